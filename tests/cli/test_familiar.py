"""Requests whose head is known already: what comes of them is what the parser would have made of them."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any
from weakref import ref

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cli import server
from gateway.cli.protocol import Bounds
from gateway.cli.protocol.familiar import FamiliarHead, FamiliarHeads, familiar
from gateway.settings import Deadlines, Server
from tests.cli.test_server import live, says

HEAD = b"POST /v1/x HTTP/1.1\r\nContent-Length: %b\r\nhost: x\r\n\r\n"
PATIENCE = 10


def _scope(*lengths: bytes) -> dict[str, Any]:
    headers = [*((b"content-length", each) for each in lengths), (b"host", b"x")]
    return {"method": "POST", "raw_path": b"/v1/x", "headers": headers}


def test_a_head_is_known_again_with_a_body_of_any_length_that_is_here_in_full() -> None:
    scope = _scope(b"2")
    head = familiar(scope, HEAD % b"2" + b"{}")
    assert head
    for size in (0, 1, 2, 10, 70_000):
        length, data = b"%d" % size, HEAD % b"%d" % size + b"x" * size
        assert head.length_in(data) == length
        assert head.body(length, data) == b"x" * size
        assert head.scope(length, {"a": 1}, {}) == _scope(length) | {"state": {"a": 1}}
    assert scope == _scope(b"2")
    for number in (b"", b"1", b"3", b"+2", b"-2", b" 2", b"2 ", b"0x2", b"2\r\n", b"2222222222", b"2, 2"):
        assert not head.length_in(HEAD % number + b"{}")
    whole = HEAD % b"2" + b"{}"
    for cut in range(len(whole)):
        assert not head.length_in(whole[:cut])
    assert not head.length_in(whole + whole)
    assert not head.length_in(whole.replace(b"host", b"Host"))


@pytest.mark.parametrize(
    ("data", "lengths"),
    [
        (HEAD.replace(b"Content-Length: %b", b"transfer-encoding: chunked") + b"0\r\n\r\n", []),
        (HEAD % b"2" + b"{}", []),
        (HEAD % b"2" + b"{}", [b"2", b"2"]),
        (HEAD % b"2 " + b"{}", [b"2"]),
        (HEAD % b"2" + b"{}" + HEAD % b"2" + b"{}", [b"2"]),
        (b"\r\n\r\n" + HEAD % b"2" + b"{}", [b"2"]),
        ((HEAD % b"2")[:-2], [b"2"]),
        (HEAD % b"2" + b"{}", [b"3"]),
        (HEAD.replace(b"host", b"h" * 5000) % b"2" + b"{}", [b"2"]),
    ],
    ids=["chunked", "none", "two", "a space", "two requests", "a blank line", "no end", "another", "long"],
)
def test_a_head_of_which_anything_is_unusual_is_not_to_be_known_again(
    data: bytes, lengths: list[bytes]
) -> None:
    assert familiar(_scope(*lengths), data) is None


@dataclass(frozen=True)
class Request:
    """One of the requests of a connection.

    Attributes:
        lines: Those of its head that are not about the length.
        cut: Where its bytes are cut in two, counted from its end; 0: nowhere.
    """

    lines: tuple[bytes, ...]
    body: bytes
    chunked: bool = False
    cut: int = 0

    @property
    def data(self) -> bytes:
        length = b"transfer-encoding: chunked" if self.chunked else b"content-length: %d" % len(self.body)
        chunks = (b"%x\r\n%b\r\n" % (len(self.body), self.body) if self.body else b"") + b"0\r\n\r\n"
        return b"\r\n".join((*self.lines, length, b"", b"")) + (chunks if self.chunked else self.body)


PLAIN = (b"POST /v1/chat?a=b HTTP/1.1", b"Host: x", b"Accept: */*")
ESCAPED = (b"POST /v1/%40cf/x HTTP/1.1", b"HOST:x", b"x-Content-Length: 7")
OTHERS = (
    (*PLAIN, b"Origin: http://x"),
    (*PLAIN, b"Expect: 100-continue"),
    (*PLAIN, b"Connection: keep-alive, Upgrade", b"Upgrade: h2c"),
    (b"GET /v1/models HTTP/1.1", b"Host: x"),
)
requests = st.builds(
    Request,
    lines=st.sampled_from([PLAIN, PLAIN, PLAIN, ESCAPED, *OTHERS]),
    body=st.binary(max_size=40) | st.integers(0, 40_000).map(lambda size: b"x" * size),
    chunked=st.sampled_from([False, False, False, True]),
    cut=st.sampled_from([0, 0, 0, 0, 1, 30, 70]),
)


@asynccontextmanager
async def _echoing(app: server.App | None = None) -> AsyncIterator[int]:
    """Answers on a port, with what it is asked or as an application does."""
    bounds = Bounds(Server(), Deadlines(), lambda error: says(error.message))
    listener = server.listen("127.0.0.1", 0)
    async with server.running(server.Site(app or _echo, listener, bounds)):
        yield listener.getsockname()[1]


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module")
def port(loop: asyncio.Runner) -> Iterator[int]:
    echoing = _echoing()
    yield loop.run(echoing.__aenter__())
    loop.run(echoing.__aexit__(None, None, None))


@given(st.lists(requests, min_size=1, max_size=8))
def test_each_request_of_a_connection_is_read_as_if_it_were_the_first(
    loop: asyncio.Runner, port: int, made: list[Request]
) -> None:
    loop.run(_compare(port, made))


async def _compare(port: int, made: list[Request]) -> None:
    alone = [(await _answers(port, [each]))[0] for each in made]
    until = next((n + 1 for n, each in enumerate(made) if b"Upgrade: h2c" in each.lines), len(made))
    assert await _answers(port, made) == alone[:until]


async def test_only_what_is_left_of_a_request_is_read_where_its_head_is_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    known: list[bytes] = []
    scope_of = FamiliarHead.scope

    def scope(head: FamiliarHead, length: bytes, *others: dict[str, Any]) -> dict[str, Any]:
        known.append(length)
        return scope_of(head, length, *others)

    monkeypatch.setattr(FamiliarHead, "scope", scope)
    async with _echoing() as port:
        await _answers(port, [Request(PLAIN, b"x" * size) for size in (1, 2, 3, 40)])
        assert known == [b"3", b"40"]
        # Whose heads differ each time is given up on, and is answered all the same.
        await _answers(port, [Request((*PLAIN, b"id: %d" % number), b"") for number in range(9)])
        assert known == [b"3", b"40"]


async def test_connections_share_what_is_known_of_their_heads_and_keep_their_own_addresses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    known: list[FamiliarHead] = []
    scope_of = FamiliarHead.scope

    def scope(head: FamiliarHead, *given: Any) -> dict[str, Any]:
        known.append(head)
        return scope_of(head, *given)

    monkeypatch.setattr(FamiliarHead, "scope", scope)
    request = Request(PLAIN, b"{}").data
    async with _echoing(_client) as port, AsyncExitStack() as connections:
        open_at_once = [await connections.enter_async_context(_connected(port)) for _ in range(3)]
        for _ in range(4):
            for reader, writer in open_at_once:
                writer.write(request)
                head = await reader.readuntil(b"\r\n\r\n")
                own = writer.get_extra_info("sockname")
                assert await reader.readexactly(_length(head)) == b"%b:%d" % (own[0].encode(), own[1])
        assert len(known) >= len(open_at_once)
        assert len({id(each) for each in known}) == 1


def test_a_head_is_forgotten_with_the_last_connection_that_knows_it() -> None:
    heads = FamiliarHeads()
    data = HEAD % b"2" + b"{}"
    first = heads.learn(_scope(b"2"), data)
    assert first is heads.learn(_scope(b"3"), HEAD % b"3" + b"{ }")
    assert heads.learn(_scope(b"2"), data + b"x") is None
    assert first is not None
    gone = ref(first)
    del first
    assert gone() is None


@asynccontextmanager
async def _connected(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    async with asyncio.timeout(PATIENCE):
        yield reader, writer
    writer.close()


def _length(head: bytes) -> int:
    return int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0])


async def _client(scope: Any, receive: Any, send: Any) -> None:
    """Answers with the address of whoever asks."""
    if scope["type"] == "lifespan":
        await live(receive, send)
        return
    await receive()
    answer = b"%b:%d" % (scope["client"][0].encode(), scope["client"][1])
    head = [(b"content-length", b"%d" % len(answer))]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await send({"type": "http.response.body", "body": answer})


async def _answers(port: int, made: Iterable[Request]) -> list[Any]:
    """What the requests of one connection are answered with, until the server ends it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answers: list[Any] = []
    async with asyncio.timeout(PATIENCE):
        for each in made:
            before, after = each.data[: len(each.data) - each.cut], each.data[len(each.data) - each.cut :]
            writer.write(before)
            if each.cut and before:
                await asyncio.sleep(0.002)
            writer.write(after)
            try:
                head = await reader.readuntil(b"\r\n\r\n")
                while head.startswith(b"HTTP/1.1 100 "):
                    head = await reader.readuntil(b"\r\n\r\n")
            except (asyncio.IncompleteReadError, ConnectionError):
                break
            length = head.partition(b"content-length: ")[2].partition(b"\r\n")[0]
            answers.append(json.loads(await reader.readexactly(int(length))))
    writer.close()
    return answers


async def _echo(scope: Any, receive: Any, send: Any) -> None:
    """Answers with what it was asked."""
    if scope["type"] == "lifespan":
        await live(receive, send)
        return
    body, more = b"", True
    while more:
        message = await receive()
        body += message["body"]
        more = message["more_body"]
    its = {name: value for name, value in scope.items() if name not in {"client", "state"}}
    its["state"], its["body"] = sorted(scope["state"]), body
    answer = json.dumps(its, default=lambda value: value.decode("latin-1")).encode()
    head = [(b"content-length", b"%d" % len(answer))]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await send({"type": "http.response.body", "body": answer})
