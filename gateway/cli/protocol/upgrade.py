"""The body of a request that asks for another protocol, which is answered in this one (RFC 9110 section 7.8).

Java's client asks for HTTP/2 in this way with every first request. httptools takes what follows the head for
the other protocol's, so that a second parser, told how the body is framed, has to read it.
"""

from collections.abc import Iterable
from typing import Final, Protocol

import httptools

_FRAMING: Final = frozenset({b"content-length", b"transfer-encoding"})


class Receiver(Protocol):
    """Who is told of the body: the connection, which no other request follows on."""

    def on_body(self, body: bytes) -> None:
        """Take a piece of it."""

    def end_body(self) -> None:
        """Hear that it is here in full."""


def parser_of_body(receiver: Receiver) -> httptools.HttpRequestParser:
    """A parser that is to be fed with `head_of_body` first, and then with what follows the request's head."""
    return httptools.HttpRequestParser(_BodyAlone(receiver))


def head_of_body(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """A head that frames the body as the request's own headers do, and asks for nothing."""
    framing = [b"%s: %s" % header for header in headers if header[0] in _FRAMING]
    return b"\r\n".join((b"POST / HTTP/1.1", *framing, b"", b""))


class _BodyAlone:
    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._ended = False

    def on_body(self, body: bytes) -> None:
        """Take a piece; what comes behind the end is of another request."""
        if not self._ended:
            self._receiver.on_body(body)

    def on_message_complete(self) -> None:
        """The body is here in full."""
        if not self._ended:
            self._ended = True
            self._receiver.end_body()
