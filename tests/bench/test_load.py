"""The load generator and the upstream: whole answers pass, and everything else voids a run."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import cast

import pytest

from tests.bench import upstream, works
from tests.bench.load import Address, Amount, Tally, deliver
from tests.bench.works import BURST, CHAT, PACED, Work

LEGACY_PATH = f"/client/v4/accounts/a1/ai/run/{works.MODEL}"


class Canned(asyncio.Protocol):
    """A server's connection that gives one answer, and closes."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        assert data
        self._transport.write(self._answer)
        self._transport.close()


@asynccontextmanager
async def serving(connection: Callable[[], upstream.Connection | Canned]) -> AsyncIterator[int]:
    """Serve on a loopback port until the block ends, and close what is still open then."""
    made: list[upstream.Connection | Canned] = []

    def make() -> upstream.Connection | Canned:
        made.append(connection())
        return made[-1]

    async with await asyncio.get_running_loop().create_server(make, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]
        for one in made:
            one._transport.abort()
    await asyncio.sleep(0)  # the aborted transports close in the loop's next turn


async def _deliver(work: Work, amount: Amount, path: str = "/v1/chat/completions") -> Tally:
    loop = asyncio.get_running_loop()
    async with serving(lambda: upstream.Connection(loop)) as port:
        return await deliver(Address(port, path=path), work, amount)


async def _answered_with(answer: bytes, work: Work, each: int = 1) -> Tally:
    async with serving(lambda: Canned(answer)) as port:
        return await deliver(Address(port), work, Amount(1, each=each))


@pytest.mark.parametrize("work", [CHAT, BURST], ids=lambda work: work.name)
async def test_each_connection_gets_its_answers_whole(work: Work) -> None:
    tally = await _deliver(work, Amount(connections=2, each=1))
    assert (tally.fault, tally.requests, len(tally.first_bytes)) == (None, 2, 2)


async def test_a_kept_connection_is_asked_again() -> None:
    tally = await _deliver(CHAT, Amount(connections=1, each=5))
    assert (tally.fault, tally.requests) == (None, 5)


async def test_a_closed_connection_is_opened_again() -> None:
    closing = upstream.OPENAI[0].replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n", 1)
    tally = await _answered_with(closing, CHAT, each=3)
    assert (tally.fault, tally.requests) == (None, 3)


async def test_a_work_in_seconds_ends_with_all_answers_counted() -> None:
    tally = await _deliver(CHAT, Amount(connections=4, seconds=0.05))
    assert tally.fault is None
    assert tally.requests >= 4


async def test_the_paced_stream_takes_its_gaps() -> None:
    tally = await _deliver(PACED, Amount(connections=1, each=1))
    assert tally.fault is None
    assert tally.seconds >= (works.EVENTS - 1) * works.GAP_SECONDS


async def test_workers_ai_form_is_not_taken_for_openai_form() -> None:
    fault = (await _deliver(CHAT, Amount(1, each=1), LEGACY_PATH)).fault
    assert fault is not None
    assert "not in OpenAI's form" in fault


async def test_a_status_other_than_2xx_is_a_fault() -> None:
    fault = (await _deliver(CHAT, Amount(1, each=1), "/nowhere")).fault
    assert fault is not None
    assert fault.startswith("status 404: ")


async def test_nothing_listening_is_a_fault(closed_port: Callable[[], int]) -> None:
    port = closed_port()
    fault = (await deliver(Address(port), CHAT, Amount(2, each=1))).fault
    assert fault is not None
    assert fault.startswith(f"cannot connect to port {port}")


@pytest.mark.parametrize(
    ("cut", "fault"),
    [
        (upstream.OPENAI[1][:-1], "the connection closed before the end of an answer"),
        ([*upstream.OPENAI[1][:-1], upstream.LAST_CHUNK], "the stream does not end with [DONE]"),
        ([upstream.OPENAI[1][0], upstream.OPENAI[1][-1]], "the stream has 2 events"),
    ],
    ids=["cut", "no-done", "few-events"],
)
async def test_an_incomplete_stream_is_a_fault(cut: list[bytes], fault: str) -> None:
    assert fault in str((await _answered_with(b"".join(cut), BURST)).fault)


async def test_a_changed_text_is_a_fault() -> None:
    swapped = b"".join(upstream.OPENAI[1]).replace(b" word10", b" word99", 1)
    assert "is not the upstream's" in str((await _answered_with(swapped, BURST)).fault)


async def test_what_is_not_http_is_a_fault() -> None:
    assert "is not HTTP" in str((await _answered_with(b"SSH-2.0-OpenSSH\r\n\r\n", CHAT)).fault)


def test_a_stream_of_the_upstream_is_one_write_per_event() -> None:
    assert [len(chunks) for _, chunks in (upstream.LEGACY, upstream.OPENAI)] == [works.EVENTS, works.EVENTS]


async def test_the_upstream_takes_a_request_in_pieces() -> None:
    request = Address(1).request(CHAT)
    loop = asyncio.get_running_loop()
    async with serving(lambda: upstream.Connection(loop)) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for piece in (request[:50], request[50:-10], request[-10:]):
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        assert await reader.readexactly(len(upstream.OPENAI[0])) == upstream.OPENAI[0]
        writer.close()
        await writer.wait_closed()
