"""A request's head: refused where two readers might read it in two ways.

What is no unambiguous HTTP/1.1 is never passed on. The parser refuses most of what request smuggling lives on
(two lengths, folded headers, bare line feeds, odd chunk sizes); `check_head` refuses what the parser lets
through.
"""

import re
from functools import lru_cache
from typing import Final

import httptools

from gateway import errors
from translators.errors import ApiError

# RFC 3986, section 3.2.2: what goes beyond that would be a path or a user in a URL that is made of it.
_HOST: Final = re.compile(rb"(?:\[[0-9A-Za-z:.]*\]|[A-Za-z0-9._~!$&'()*+,;=%-]*)(?::[0-9]{0,5})?")
_URL: Final = re.compile(rb"https?://([^/?#@]+)([/?].*)?", re.IGNORECASE)


class RefusedError(Exception):
    """Raised in the parser's callbacks; the parser stops there."""

    def __init__(self, error: ApiError) -> None:
        super().__init__(error.message)
        self.error = error


def reason_of(error: httptools.HttpParserError) -> ApiError:
    """What to tell a client; the parser's own sentences are fixed ones, but for those about URLs."""
    if isinstance(error, httptools.HttpParserCallbackError):
        if isinstance(error.__context__, RefusedError):
            return error.__context__.error
        raise error
    if isinstance(error, httptools.HttpParserInvalidURLError):
        return errors.bad_http("the target has a character that must be percent-encoded")
    return errors.bad_http(str(error))


def path_of(url: bytes, headers: list[tuple[bytes, bytes]]) -> bytes:
    """The target of a client that sends a whole URL, as for a proxy: RFC 9112 has every server accept that.

    Only where the URL and the Host header name one host (section 3.2.2); else it stays what it is.
    """
    found = _URL.fullmatch(url)
    if found is None or all(name != b"host" or value.lower() != found[1].lower() for name, value in headers):
        return url
    rest = found[2] or b"/"
    return rest if rest.startswith(b"/") else b"/" + rest


@lru_cache(64)  # few, for a value may be as long as all headers together
def _is_host(value: bytes) -> bool:
    return _HOST.fullmatch(value) is not None


def check_head(version: str, target: bytes, headers: list[tuple[bytes, bytes]]) -> bool:
    """Refuse what two readers might read in two ways; whether the client waits for a 100 is the answer.

    RFC 9112, sections 3.2 (one Host; a path, or what `path_of` has left of a URL) and 6.1 (chunked alone, and
    not with HTTP/1.0).
    """
    if version not in {"1.0", "1.1"}:
        raise RefusedError(errors.bad_http("the version must be HTTP/1.1 or HTTP/1.0"))
    if not target.startswith(b"/") and target != b"*":
        raise RefusedError(errors.bad_http("the target must be a path, for this is not a proxy"))
    hosts = 0
    expects = False
    for name, value in headers:
        if name == b"host":
            hosts += 1
            if not _is_host(value):
                raise RefusedError(errors.bad_http("the Host header must be a host and perhaps a port"))
        elif name == b"transfer-encoding" and (version == "1.0" or value.lower() != b"chunked"):
            raise RefusedError(errors.bad_http("the only Transfer-Encoding is chunked, with HTTP/1.1"))
        elif name == b"expect":
            if value.lower() != b"100-continue":
                raise RefusedError(errors.unknown_expectation())
            expects = version == "1.1"
    if hosts > 1 or (hosts == 0 and version == "1.1"):
        raise RefusedError(errors.bad_http("there must be exactly one Host header"))
    return expects
