"""Gives streams odd shapes: cut at odd places as networks do, without an end, with an error inside."""

import itertools
import random
from collections.abc import Iterator

from gateway.simulator import edge
from gateway.simulator.wire import event

_BEFORE_ERROR = 3  # events


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
