"""The access line: one JSON object per request on standard output, and nothing that is secret in it.

Neither headers nor bodies nor query strings are written, and a path that is no endpoint of ours is cut.
"""

import sys
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from time import monotonic, time_ns

import msgspec

from gateway.exchange import Exchange

_encode = msgspec.json.Encoder().encode


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
                path=exchange.path[:200],
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
            )
        )
        + b"\n"
    )


def write(line: bytes) -> None:
    """Write a line at once: what ends up in a buffer is lost with the process."""
    # A full disk, a reader that is gone or a stream that is closed must not harm the answers.
    with suppress(OSError, ValueError):
        sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()


def _now() -> str:
    """The time in RFC 3339 form, to the millisecond."""
    second, millisecond = divmod(time_ns() // 1_000_000, 1000)
    return f"{_second(second)}.{millisecond:03d}+00:00"


@lru_cache(1)
def _second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 3)
