"""Gives streams odd shapes: cut at odd places as networks do, without an end, with an error inside.

Engines that write text unit by unit may part a character in two: a JSON escape can be half of one.
"""

import itertools
import json
import random
import re
from collections.abc import Iterator
from typing import Any

import msgspec

from gateway.simulator import edge
from gateway.simulator.wire import DONE, event

_BEFORE_ERROR = 3  # events
_PER_LIST = 3  # events
_DATA = b"data: "
_PAIR = re.compile("[\U00010000-\U0010ffff]")


def cut(events: Iterator[bytes], fingerprint: bytes) -> Iterator[bytes]:
    """Cut inside lines, inside characters and across events; the bytes stay the same."""
    # Not for secrets: the same request is to be cut the same.
    chance = random.Random(fingerprint)  # noqa: S311 - no secret
    held = b""
    for written in events:
        held += written
        while len(held) > 1 and chance.random() < 0.7:
            at = chance.randrange(1, len(held))
            yield held[:at]
            held = held[at:]
    if held:
        yield held


def without_final_newline(events: Iterator[bytes]) -> Iterator[bytes]:
    """Leave out the blank line after the last event."""
    last: bytes | None = None
    for written in events:
        if last is not None:
            yield last
        last = written
    yield (last or b"").rstrip(b"\n")


def ended_by_error(events: Iterator[bytes]) -> Iterator[bytes]:
    """End in an error after a few events. No capture shows such an event; its form is inferred."""
    yield from itertools.islice(events, _BEFORE_ERROR)
    yield event(edge.model_refusal(500, 8005, "Internal Server Error").body)


def with_halves(events: Iterator[bytes]) -> Iterator[bytes]:
    """Part each character that needs two UTF-16 units between its halves, each a JSON escape."""
    for written in events:
        payload = None if written == DONE else _payload(written)
        holder = None if payload is None else _holder_of_text(payload)
        if payload is None or holder is None:
            yield written
            continue
        place, field = holder
        for part in _halved(place[field]):
            place[field] = part
            yield _DATA + json.dumps(payload).encode() + b"\n\n"


def in_lists(events: Iterator[bytes]) -> Iterator[bytes]:
    """Put several events into one (a form that LangChain's client for Workers AI knows)."""
    held: list[Any] = []
    for written in events:
        if written != DONE:
            held.append(_payload(written))
        if held and (written == DONE or len(held) == _PER_LIST):
            yield event({"streamed_data": held})
            held = []
        if written == DONE:
            yield written


def _payload(written: bytes) -> dict[str, Any]:
    payload: dict[str, Any] = msgspec.json.decode(written.removeprefix(_DATA))
    return payload


def _holder_of_text(payload: dict[str, Any]) -> tuple[dict[str, Any], str] | None:
    """The object that holds a text to part, and its name there; None where there is none."""
    deltas = [choice["delta"] for choice in payload.get("choices", ()) if "delta" in choice]
    places = [(payload, "response"), *((delta, name) for delta in deltas for name in delta)]
    return next(
        ((place, name) for place, name in places if _PAIR.search(_text(place.get(name)))),
        None,
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _halved(text: str) -> Iterator[str]:
    """The text in parts, each but the first begun by the second half of a character."""
    begun = 0
    units = text.encode("utf-16-le")
    for pair in _PAIR.finditer(text):
        ends = len(text[: pair.start()].encode("utf-16-le")) + 2
        yield units[begun:ends].decode("utf-16-le", "surrogatepass")
        begun = ends
    yield units[begun:].decode("utf-16-le", "surrogatepass")
