"""Both sides of HTTP without a network: bytes go into our server's and our client's protocol, and what they
write is read again by another parser.
"""

from collections.abc import Coroutine
from typing import Any, Final

import httptools
import msgspec
import uvicorn
from uvicorn.server import ServerState

from gateway.cli.protocol import Bounds, Protocol
from gateway.connection import HEADER_BYTES, MOST_HEADERS, Connection
from gateway.outbox import Deferred, Outbox
from gateway.settings import Deadlines, Server
from translators.clients.openai_error import envelope
from translators.errors import ApiError

STATUSES: Final = {200, 400, 408, 414, 417, 431}
_PIECE: Final = 37


class _Transport:
    """Takes what is written, and says that it is a connection."""

    def __init__(self) -> None:
        self.written = bytearray()
        self.closing = False

    def write(self, data: bytes) -> None:
        if not self.closing:  # as the event loop's own: what comes after the end goes nowhere
            self.written += data

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True

    abort = close

    def write_eof(self) -> None:
        pass

    def pause_reading(self) -> None:
        pass

    resume_reading = pause_reading

    def get_write_buffer_size(self) -> int:
        return 0

    def get_extra_info(self, _name: str, _default: object = None) -> None:
        return None


class _AtOnce(Outbox):
    """There is no event loop, whose turns could end."""

    def add(self, transport: Deferred) -> None:
        transport.flush()


class _Loop:
    """Runs tasks as far as they go without waiting; as the event loop's own they begin in the next turn."""

    def __init__(self) -> None:
        self._new: list[Coroutine[Any, Any, None]] = []
        self.waiting: list[Coroutine[Any, Any, None]] = []

    def create_task(self, task: Coroutine[Any, Any, None]) -> "_Task":
        self._new.append(task)
        return _Task()

    def turn(self) -> None:
        while self._new:  # the end of one answer may begin the next
            task = self._new.pop(0)
            try:
                task.send(None)
            except StopIteration:
                continue
            self.waiting.append(task)


class _Task:
    def add_done_callback(self, _done: Any) -> None:
        pass


async def _hello(scope: Any, _receive: Any, send: Any) -> None:
    """Answers at once, with what the request asks for and nothing read of its body."""
    await _send(send, 200, b"null", head=scope["method"] == "HEAD")


def _refusal(error: ApiError) -> Any:
    async def refuse(scope: Any, _receive: Any, send: Any) -> None:
        await _send(send, error.status, envelope(error), head=scope["method"] == "HEAD")

    return refuse


async def _send(send: Any, status: int, body: bytes, *, head: bool) -> None:
    body = b"" if head else body  # and no length, so that one answer after the other can be read again
    fields = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": body, "more_body": False})


CONFIG: Final = uvicorn.Config(_hello, log_config=None, access_log=False, ws="none", interface="asgi3")


def serve(data: bytes) -> None:
    """Bytes of a client to the server: whatever they are, it answers in HTTP or not at all."""
    if not CONFIG.loaded:
        CONFIG.load()
    loop, transport = _Loop(), _Transport()
    bounds = Bounds(Server(), Deadlines(), _refusal, lambda: 0.0, outbox=_AtOnce())
    protocol = Protocol(bounds, config=CONFIG, server_state=ServerState(), app_state={}, _loop=loop)
    protocol.connection_made(transport)  # type: ignore[arg-type]
    size = _PIECE if len(data) % 2 else len(data)
    for at in range(0, len(data), size or 1):
        if not transport.closing:
            protocol.data_received(data[at : at + size])
            loop.turn()
    _check_answers(bytes(transport.written))
    protocol.connection_lost(None)
    for task in loop.waiting:
        task.close()


def _check_answers(written: bytes) -> None:
    if not written:
        return
    answers = _Answers()
    parser = httptools.HttpResponseParser(answers)
    answers.parser = parser
    parser.feed_data(written)
    assert set(answers.statuses) <= STATUSES | {100}
    for error in (each for each in answers.bodies if each.startswith(b"{")):
        assert msgspec.json.decode(error)["error"].keys() == {"message", "type", "param", "code"}


class _Answers:
    """What a client reads."""

    parser: httptools.HttpResponseParser

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.bodies: list[bytes] = []

    def on_headers_complete(self) -> None:
        self.statuses.append(self.parser.get_status_code())

    def on_body(self, body: bytes) -> None:
        self.bodies.append(body)


def ask(data: bytes) -> None:
    """Bytes of a backend to a connection that has asked: an answer within bounds, or a broken connection."""
    transport = _Transport()
    connection = Connection(lambda _connection: None, _AtOnce())
    connection.connection_made(transport)  # type: ignore[arg-type]
    sending = connection.send(b"POST / HTTP/1.1\r\n\r\n", b"")
    connection._asked = True  # as `send` does before it waits, which takes a loop
    sending.close()
    for at in range(0, len(data), _PIECE):
        if not transport.closing:
            connection.data_received(data[at : at + _PIECE])
    connection.connection_lost(None)
    assert len(connection.headers) <= MOST_HEADERS
    assert connection._header_bytes <= HEADER_BYTES + len(data)
    assert connection.status == 0 or 200 <= connection.status <= 999
