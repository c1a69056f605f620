"""Cuts a stream of events into pieces at odd places, as networks and proxies do."""

import random
from collections.abc import Iterator


def cut(events: Iterator[bytes], fingerprint: bytes) -> Iterator[bytes]:
    """Cut inside lines, inside characters and across events; the bytes stay the same."""
    # Not for secrets: the same request is to be cut the same.
    chance = random.Random(fingerprint)  # noqa: S311 - no secret
    held = b""
    for event in events:
        held += event
        while len(held) > 1 and chance.random() < 0.7:
            at = chance.randrange(1, len(held))
            yield held[:at]
            held = held[at:]
    if held:
        yield held
