"""Connections to a backend over real sockets: answers in every legal framing, broken ones, and reuse."""

import asyncio
import errno
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import cast

import pytest

from gateway import pool as pools
from gateway.connection import MOST_HEADERS, READ_BUFFER, BrokenError, Connection
from gateway.pool import EXHAUSTED, Pool

HEAD = b"POST /run HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = b"transfer-encoding: chunked\r\n\r\n"
SECONDS = 5


Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Backend:
    """Answers request k of every connection with the kth script: bytes, events to await, None to close."""

    def __init__(self, *scripts: Sequence[bytes | asyncio.Event | None]) -> None:
        self.scripts = scripts
        self.requests: list[bytes] = []
        self.connections = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        for script in self.scripts:
            self.requests.append(await reader.readuntil(b"\r\n\r\n") + await reader.readexactly(2))
            for piece in script:
                if piece is None:
                    return
                if isinstance(piece, asyncio.Event):
                    await piece.wait()
                    continue
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0)
        await reader.read()


@asynccontextmanager
async def serving(backend: Script) -> AsyncIterator[Pool]:
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(cast(asyncio.Task[None], asyncio.current_task()))
        with suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            await backend(reader, writer)
        writer.close()
        with suppress(ConnectionError, asyncio.CancelledError):
            await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    pool = Pool("127.0.0.1", server.sockets[0].getsockname()[1], None, SECONDS)
    try:
        async with asyncio.timeout(SECONDS):
            yield pool
    finally:
        await pool.close()
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(SECONDS):
        while not condition():  # noqa: ASYNC110 - nothing announces what is waited for
            await asyncio.sleep(0.001)


async def taken(pool: Pool) -> Connection:
    """A connection to send on, an old one where there is any."""
    return pool.take_idle() or await pool.connect()


async def ask(pool: Pool) -> tuple[Connection, bytes]:
    """One whole exchange; the connection is not given back."""
    connection = await taken(pool)
    await connection.send(HEAD, b"{}")
    return connection, await rest(connection)


async def rest(connection: Connection) -> bytes:
    body = b""
    while data := await connection.read():
        body += data
    return body


@pytest.mark.parametrize(
    ("pieces", "body", "again"),
    [
        ([OK + b"content-length: 2\r\n\r\nab"], b"ab", True),
        ([OK + b"content-length: 0\r\n\r\n"], b"", True),
        ([b"HTTP/1.1 204 No Content\r\n\r\n"], b"", True),
        ([OK + CHUNKED, b"1;x=y\r\na\r\n", b"1\r\nb\r\n0\r\nt: r\r\n\r\n"], b"ab", True),
        ([b"HTTP/1.1 100 Continue\r\n\r\n", OK + b"content-length: 2\r\n\r\nab"], b"ab", True),
        ([b"HTTP/1.1 103 Early Hints\r\nx: y\r\n\r\n" + OK + b"content-length: 2\r\n\r\nab"], b"ab", True),
        ([OK + b"connection: close\r\ncontent-length: 2\r\n\r\nab"], b"ab", False),
        ([b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nab"], b"ab", False),
        ([OK + b"\r\nab", None], b"ab", False),
        ([OK + b"content-length: 2\r\n\r\nab" + OK + b"content-length: 2\r\n\r\ncd"], b"ab", False),
        ([OK + b"content-length: 2\r\n\r\nabc"], b"ab", False),
    ],
)  # fmt: skip
async def test_an_answer_ends_where_its_framing_says(
    pieces: list[bytes | None],
    body: bytes,
    again: bool,  # noqa: FBT001 - a row of the table above
) -> None:
    backend = Backend(pieces)
    async with serving(backend) as pool:
        connection, read = await ask(pool)
        assert (read, connection.reusable) == (body, again)
        assert await connection.read() == b""
    assert backend.requests == [HEAD + b"{}"]


@pytest.mark.parametrize(
    "pieces",
    [
        [None],
        [b"nonsense\r\n\r\n"],
        [b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n"],
        [OK + b"content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"],
        [OK + b"content-length: 1\r\ncontent-length: 2\r\n\r\nab"],
        [OK + b"content-length: -1\r\n\r\nab"],
        [OK + b"".join(b"h%d: v\r\n" % n for n in range(MOST_HEADERS + 1)) + b"\r\n"],
        [OK + b"h: " + b"v" * 2**17 + b"\r\n\r\n"],
        [OK, None],
        [OK + b"content-length: 3\r\n\r\nab", None],
        [OK + CHUNKED + b"2\r\nab\r\n", None],
        [OK + CHUNKED + b"x\r\nab\r\n"],
    ],
)  # fmt: skip
async def test_an_answer_that_breaks_is_never_taken_for_a_whole_one(pieces: list[bytes | None]) -> None:
    async with serving(Backend(pieces)) as pool:
        with pytest.raises(BrokenError):
            await ask(pool)
        connection = next(iter(pool._open), None)
        assert connection is None or not connection.reusable


async def test_what_came_before_a_break_can_be_read() -> None:
    async with serving(Backend([OK + b"content-length: 9\r\n\r\nab", None])) as pool:
        connection = await taken(pool)
        await connection.send(HEAD, b"{}")
        assert await connection.read() == b"ab"
        with pytest.raises(BrokenError):
            await connection.read()


async def test_headers_are_lower_case_and_repeated_ones_joined() -> None:
    async with serving(Backend([OK + b"X-A: 1\r\nx-a: 2\r\nContent-Length: 0\r\n\r\n"])) as pool:
        connection, _ = await ask(pool)
        assert connection.headers == {"x-a": "1, 2", "content-length": "0"}


async def test_the_connection_that_was_used_last_is_used_next() -> None:
    answer: list[bytes | None] = [OK + b"content-length: 0\r\n\r\n"]
    backend = Backend(answer, answer)
    async with serving(backend) as pool:
        first, _ = await ask(pool)
        second, _ = await ask(pool)
        pool.give(first)
        pool.give(second)
        assert await taken(pool) is second
        await second.send(HEAD, b"{}")
        assert await rest(second) == b""
    assert backend.connections == 2


async def test_a_connection_that_the_backend_closed_is_not_used_again() -> None:
    backend = Backend([OK + b"content-length: 0\r\n\r\n", None])
    async with serving(backend) as pool:
        connection, _ = await ask(pool)
        pool.give(connection)
        await until(lambda: not pool._open)
        assert not pool._idle
        assert await taken(pool) is not connection


ENDLESS = OK + CHUNKED + b"2\r\nab\r\n"


async def released(pool: Pool) -> Connection:
    """A connection that is given back before its answer's body has ended, for its text has."""
    connection = await taken(pool)
    await connection.send(HEAD, b"{}")
    assert await connection.read() == b"ab"
    pool.give(connection, is_done=True)
    assert connection.is_open()
    assert not pool._idle
    return connection


async def test_a_connection_whose_answer_ends_a_little_later_is_used_again() -> None:
    end = asyncio.Event()
    async with serving(Backend([ENDLESS, end, b"1\r\nc\r\n0\r\n\r\n"])) as pool:
        connection = await released(pool)
        end.set()
        await until(lambda: bool(pool._idle))
        assert await taken(pool) is connection
        assert not pool._ending


async def test_a_connection_whose_answer_does_not_end_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(pools, "monotonic", lambda: now)
    never = asyncio.Event()
    async with serving(Backend([ENDLESS, never])) as pool:
        older = await released(pool)
        now += 0.5
        younger = await released(pool)
        now += pools._END_IS_DUE - 0.5
        pool._close_endless()
        assert list(pool._ending) == [younger]
        await until(lambda: not older.is_open())
        assert pool._cut is not None


async def test_a_connection_that_breaks_before_its_answers_end_is_forgotten() -> None:
    end = asyncio.Event()
    async with serving(Backend([ENDLESS, end, None])) as pool:
        await released(pool)
        end.set()
        await until(lambda: not pool._open)
        assert not pool._idle
        assert not pool._ending


async def test_a_connection_on_which_the_backend_speaks_unasked_is_closed() -> None:
    backend = Backend([OK + b"content-length: 0\r\n\r\n", b"", OK])
    async with serving(backend) as pool:
        connection, _ = await ask(pool)
        pool.give(connection)
        await until(lambda: not pool._open)
        assert not pool._idle
        with pytest.raises(BrokenError):
            await connection.send(HEAD, b"{}")


async def test_connections_grow_old_and_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(pools, "monotonic", lambda: now)
    answer: list[bytes | None] = [OK + b"content-length: 0\r\n\r\n"]
    async with serving(Backend(answer)) as pool:
        older, _ = await ask(pool)
        younger, _ = await ask(pool)
        pool.give(older)
        now += 1
        pool.give(younger)
        now += pools.KEEP_ALIVE - 1
        pool._close_old()
        assert list(pool._idle) == [younger]
        now += 1
        assert await taken(pool) is not younger
        pool._close_old()
        assert not pool._idle
        assert pool._sweep is None


async def test_an_answer_that_nobody_reads_waits_at_the_backend() -> None:
    body = b"x" * 50 * READ_BUFFER
    sent = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK + b"content-length: %d\r\n\r\n" % len(body))
        for start in range(0, len(body), READ_BUFFER):
            writer.write(body[start : start + READ_BUFFER])
            await writer.drain()
            sent += READ_BUFFER

    async with serving(serve) as pool:
        connection = await taken(pool)
        await connection.send(HEAD, b"{}")
        before = -1
        while before != sent:  # until the sockets' own buffers are full
            before = sent
            await asyncio.sleep(0.05)
        assert connection._size < 4 * READ_BUFFER
        assert sent < len(body)
        assert await rest(connection) == body


async def test_a_request_that_was_not_taken_whole_leaves_no_connection_behind() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\n\r\n")
        await asyncio.Event().wait()

    async with serving(serve) as pool:
        connection = await taken(pool)
        await connection.send(HEAD, b"x" * 2**24)
        assert connection.status == 413
        assert await connection.read() == b""
        assert not connection.reusable
        pool.give(connection)


async def test_a_name_that_means_nothing_is_an_error_and_asked_for_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = 0
    loop = asyncio.get_running_loop()

    async def getaddrinfo(*_args: object, **_named: object) -> list[object]:
        nonlocal asked
        asked += 1
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    monkeypatch.setattr(loop, "getaddrinfo", getaddrinfo)
    pool = Pool("nowhere.invalid", 80, None, SECONDS)
    for _ in range(2):
        outcomes = await asyncio.gather(taken(pool), taken(pool), return_exceptions=True)
        assert all(isinstance(outcome, OSError) for outcome in outcomes)
    assert asked == 2
    await pool.close()


async def test_a_name_is_not_called_unknown_where_there_is_no_file_to_ask_with(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The system says so then, for it can read neither its files nor a name server's answer."""

    async def getaddrinfo(*_args: object, **_named: object) -> list[object]:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    def full(*_args: object, **_named: object) -> socket.socket:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    monkeypatch.setattr("gateway.pool.socket.socket", full)
    pool = Pool("somewhere.invalid", 80, None, SECONDS)
    with pytest.raises(OSError, match="Too many open files") as raised:
        await taken(pool)
    assert raised.value.errno in EXHAUSTED
    monkeypatch.undo()
    await pool.close()


async def test_connecting_has_a_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()

    async def getaddrinfo(*_args: object, **_named: object) -> list[object]:
        await asyncio.sleep(SECONDS)
        return []

    monkeypatch.setattr(loop, "getaddrinfo", getaddrinfo)
    pool = Pool("slow.invalid", 80, None, 0.01)
    with pytest.raises(TimeoutError):
        await taken(pool)
    await pool.close()


async def test_a_tls_handshake_that_fails_leaves_no_socket() -> None:
    backend = Backend([OK])
    async with serving(backend) as plain:
        pool = Pool("127.0.0.1", plain._reached[1], ssl.create_default_context(), SECONDS)
        take = asyncio.create_task(taken(pool))
        await until(lambda: backend.connections == 1)
        take.cancel()
        with pytest.raises(asyncio.CancelledError):
            await take
        assert not pool._open
        await pool.close()
