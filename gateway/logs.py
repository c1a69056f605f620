"""The access line: one JSON object per request on standard output, and nothing that is secret in it.

Neither headers nor bodies nor query strings are written. A path is cut, and a key in it is left out: somebody
may have put one where an id belongs.
"""

import asyncio
import re
import select
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

    def _write(self, pieces: Iterable[tuple[bytes, int]]) -> None:
        for lines, count in pieces:
            if not _written(lines):
                self._lost(count)


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


def _written(lines: bytes) -> bool:
    """Write lines at once, for what ends up in a buffer is lost with the process; False where they are.

    A full disk, a reader that is gone or does not read, or a stream that is closed must not harm the answers.
    """
    with suppress(OSError, ValueError):
        out = sys.stdout.buffer
        if _takes_a_line(out):
            out.write(lines)
            out.flush()
            return True
    return False


def _takes_a_line(out: BinaryIO) -> bool:
    """Whether a line can be written without waiting: a pipe that says so takes 4096 bytes at least."""
    try:
        ready = _poll(out.fileno())
    except (OSError, ValueError):  # a stream of Python's own, which never waits
        return True
    return ready is None or bool(ready.poll(0))


@lru_cache(4)
def _poll(fd: int) -> "select.poll | None":
    if not hasattr(select, "poll"):  # Windows
        return None
    ready = select.poll()
    ready.register(fd, select.POLLOUT)
    return ready


def _without_keys(path: str) -> str:
    return _KEY.sub("sk-...", path) if "sk-" in path else path


def _now() -> str:
    """The time in RFC 3339 form, to the millisecond."""
    second, millisecond = divmod(time_ns() // 1_000_000, 1000)
    return f"{_second(second)}.{millisecond:03d}+00:00"


@lru_cache(1)
def _second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 3)
