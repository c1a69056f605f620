"""What the gateway writes: an access line, one JSON object, per request, and nothing that is secret in it.

Neither headers nor bodies nor query strings are written. A path is cut, and a key in it is left out: somebody
may have put one where an id belongs. Lines go to standard output, messages to standard error, and neither
waits for who reads them.
"""

import asyncio
import io
import logging
import os
import re
import select
import socket
import stat
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from time import monotonic, time_ns
from typing import BinaryIO, Final

import msgspec

from gateway.exchange import Exchange

_encode = msgspec.json.Encoder().encode

_PIECE: Final = 4096  # bytes; a pipe that can be written to at all takes so many without waiting

_FRACTIONS: Final = tuple(f".{millisecond:03d}+00:00" for millisecond in range(1000))

_KEY: Final = re.compile(r"(?<![0-9A-Za-z])sk-[0-9A-Za-z_-]{12,}")


class AccessLine(msgspec.Struct, omit_defaults=True):
    """What is written about an exchange. Times in milliseconds."""

    time: str
    request_id: str
    method: str
    path: str
    status: int
    duration_ms: float
    operation: str = ""
    model: str = ""
    backend: str = ""
    stream: bool = False
    attempts: int = 0
    first_token_ms: float | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    neurons: float | None = None
    estimated: bool = False
    ended_by: str | None = None
    translation: str = ""
    error: str = ""
    client: str = ""
    key: str = ""


def access_line(exchange: Exchange) -> bytes:
    """The line of an exchange that has ended."""
    usage = exchange.usage
    first = exchange.first_token
    return (
        _encode(
            AccessLine(
                time=_now(),
                request_id=exchange.request_id,
                method=exchange.method[:16],
                path=_without_keys(exchange.path)[:200],
                status=exchange.status,
                duration_ms=_milliseconds(monotonic() - exchange.started),
                operation=exchange.operation,
                model=exchange.model[:200],
                backend=exchange.backend,
                stream=exchange.stream,
                attempts=exchange.attempts,
                first_token_ms=None if first is None else _milliseconds(first - exchange.started),
                prompt_tokens=usage.prompt if usage else None,
                completion_tokens=usage.completion if usage else None,
                neurons=usage.neurons if usage else None,
                estimated=usage.estimated if usage else False,
                ended_by=exchange.ended_by,
                translation=exchange.translation,
                error=exchange.error,
                client=exchange.address,
                key=exchange.key,
            )
        )
        + b"\n"
    )


class AccessLog:
    """Writes the lines of one turn of the event loop together, when it ends.

    They wait no longer: what is in a buffer is lost with the process.

    Args:
        lost: Told how many lines could not be written.
    """

    def __init__(self, lost: Callable[[int], None]) -> None:
        self._lost = lost
        self._lines: list[bytes] = []
        self._output: Output | None = None

    def note(self, exchange: Exchange) -> None:
        """Write the line of an exchange that has ended."""
        if not self._lines:
            asyncio.get_running_loop().call_soon(self.flush)
        self._lines.append(access_line(exchange))

    def note_alike(self, exchange: Exchange, request_ids: Sequence[bytes]) -> None:
        """Write the lines of exchanges that differ in their ids alone."""
        self._write(_alike(exchange, request_ids))

    def flush(self) -> None:
        """Write what there is."""
        lines, self._lines = self._lines, []
        self._write(_pieces(lines))

    def close(self) -> None:
        """Write what there is, for the last time."""
        self.flush()
        if self._output is not None:
            self._output.close()
            self._output = None

    def _write(self, pieces: Iterable[tuple[bytes, int]]) -> None:
        output = self._standard_output()
        for lines, count in pieces:
            if output is None or not output.take(lines):
                self._lost(count)

    def _standard_output(self) -> "Output | None":
        """What it is now, for it may be another than before; None where it was closed before we began."""
        stream: BinaryIO | None = getattr(sys.stdout, "buffer", None)
        if self._output is not None and self._output.stream is not stream:
            self._output.close()
            self._output = None
        if self._output is None and stream is not None:
            self._output = Output(stream)
        return self._output


class Messages(logging.Handler):
    """Writes what else there is to say, errors and warnings, to standard error, and waits for no reader."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._output: Output | None = None
        self._lost = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Write a message; where that cannot be done, the next one says how many are missing."""
        stream: BinaryIO | None = getattr(sys.stderr, "buffer", None)
        if stream is None:
            return
        if self._output is None or self._output.stream is not stream:
            self._close_output()
            self._output = Output(stream)
        missing = f"({self._lost} messages before this one could not be written)\n" if self._lost else ""
        text = f"{missing}{self.format(record)}\n"
        self._lost = 0 if self._output.take(text.encode(errors="replace")) else self._lost + 1

    def close(self) -> None:
        """Close what was opened to write."""
        self._close_output()
        super().close()

    def _close_output(self) -> None:
        if self._output is not None:
            self._output.close()


class Output:
    """A stream whose reader may be slow, stuck or gone: what it does not take at once is not written.

    To look beforehand would not do: between that and the write another worker may fill the same pipe. So a
    pipe or a terminal is opened once more, not to wait, for the one that we were given is other processes' as
    well; a socket is asked not to wait. A file has no reader to wait for, but what a full disk does not take
    would stay in Python's buffer, and fail once more at the end of the process, which would exit with 120.

    Attributes:
        stream: The stream.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self.stream: Final = stream
        self._opened = _opened(stream)
        self._ready = _poll(stream) if self._opened is None else None
        self._rest = b""  # of what a terminal or a disk has taken in part

    def take(self, lines: bytes) -> bool:
        """Write lines at once, for what ends up in a buffer is lost with the process; False where they are.

        A full disk, a reader that is gone or does not read, or a stream that is closed must not harm the
        answers.
        """
        with suppress(OSError, ValueError):
            return self._write_rest() and self._write(lines)
        return False

    def close(self) -> None:
        """Close what was opened here."""
        if self._opened is not None:
            self._opened.close()

    def _write_rest(self) -> bool:
        return not self._rest or (self._write(self._rest) and not self._rest)

    def _write(self, lines: bytes) -> bool:
        if self._opened is None:
            if self._ready is not None and not self._ready.poll(0):
                return False
            self.stream.write(lines)
            self.stream.flush()
            return True
        if isinstance(self._opened, socket.socket):
            count: int | None = self._opened.send(lines, socket.MSG_DONTWAIT)
        else:
            count = self._opened.write(lines)
        if not count:
            return False
        self._rest = lines[count:]
        return True


def _pieces(lines: Iterable[bytes]) -> Iterator[tuple[bytes, int]]:
    """Lines, as many as may be written at once, and how many these are."""
    piece: list[bytes] = []
    size = 0
    for line in lines:
        if piece and size + len(line) > _PIECE:
            yield b"".join(piece), len(piece)
            piece, size = [], 0
        piece.append(line)
        size += len(line)
    if piece:
        yield b"".join(piece), len(piece)


def _alike(exchange: Exchange, request_ids: Sequence[bytes]) -> Iterator[tuple[bytes, int]]:
    """Lines that differ in their ids alone: as many as may be written at once, and how many these are."""
    exchange.request_id = ""
    before, mark, after = access_line(exchange).partition(b'"request_id":"')
    most = max(1, _PIECE // (len(before + mark + after) + max(map(len, request_ids))))
    for start in range(0, len(request_ids), most):
        ids = request_ids[start : start + most]
        yield before + mark + (after + before + mark).join(ids) + after, len(ids)


def _opened(stream: BinaryIO) -> io.FileIO | socket.socket | None:
    """The same stream, to write to without waiting or a buffer; None where the system has no way to that."""
    with suppress(OSError, ValueError):  # such as a stream of Python's own
        fd = stream.fileno()
        mode = os.fstat(fd).st_mode
        if stat.S_ISREG(mode):
            return io.FileIO(os.dup(fd), "wb")
        if stat.S_ISSOCK(mode) and hasattr(socket, "MSG_DONTWAIT"):
            return socket.socket(fileno=os.dup(fd))
        if sys.platform == "linux" and (stat.S_ISFIFO(mode) or stat.S_ISCHR(mode)):
            flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY
            return io.FileIO(os.open(f"/proc/self/fd/{fd}", flags), "wb")
    return None


def _poll(stream: BinaryIO) -> "select.poll | None":
    """What tells whether a line can be written without waiting: a pipe that has room takes 4096 bytes."""
    if not hasattr(select, "poll"):  # Windows
        return None
    ready = select.poll()
    try:
        ready.register(stream.fileno(), select.POLLOUT)
    except (OSError, ValueError):  # a stream of Python's own, which never waits
        return None
    return ready


def _without_keys(path: str) -> str:
    return _KEY.sub("sk-...", path) if "sk-" in path else path


def _now() -> str:
    """The time in RFC 3339 form, to the millisecond."""
    second, millisecond = divmod(time_ns() // 1_000_000, 1000)
    return _second(second) + _FRACTIONS[millisecond]


@lru_cache(1)
def _second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1_000_000) / 1000  # to round to decimals goes by way of a text
