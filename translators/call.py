"""One HTTP call to a backend, as a value, and what reads its answer.

A backend dialect makes calls and readers; the gateway sends the one and feeds the other. Nothing here
does I/O: `segments` is the path below the backend's base URL, unquoted, and credentials are added where
the call is sent.
"""

from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec

from translators.deltas import Delta, Usage


class Stamp(msgspec.Struct, frozen=True, gc=False):
    """The clock, the ids and the randomness of one exchange, taken once by the gateway.

    Attributes:
        created: Seconds since 1970.
        token: At least 16 random characters of [0-9A-Za-z], the seed of every id.
    """

    created: int
    token: str


class AnswerReader(Protocol):
    """Turns a backend's answer into deltas. One reader lives as long as one answer.

    Where the bytes are cut makes no difference (law 3). Nothing is raised for what a backend
    sends: what is no answer ends in `Failed`.
    """

    def start(self, status: int, headers: Mapping[str, str]) -> None:
        """Take the status and the headers (names in lower case) of the answer."""

    def feed(self, data: bytes) -> list[Delta]:
        """Take the next bytes of the body."""

    def is_done(self) -> bool:
        """Whether the stream has said that it ends, so that nothing that still comes can matter."""

    def close(self) -> list[Delta]:
        """Take the regular end of the body; the last delta is `Usage` or `Failed`."""

    def usage(self) -> Usage:
        """What the backend reported, or else our own count of what came so far."""


class BackendCall(msgspec.Struct, frozen=True, gc=False):
    """A POST to send.

    Attributes:
        segments: The path below the backend's base URL, unquoted.
        body: The body.
        reader: Makes the reader of the answer.
        whole: Whether the answer comes in one piece, once all of it is made.
        headers: What is sent beside the backend's own headers.
        prompt_bytes: How long the prompt's text is, tools and instructions included.
        most_tokens: How many the answer may have.
    """

    segments: tuple[str, ...]
    body: bytes
    reader: Callable[[], AnswerReader]
    whole: bool = False
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)
    prompt_bytes: int = 0
    most_tokens: int = 0
