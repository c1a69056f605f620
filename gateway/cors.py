"""Which pages may call the gateway from a browser: those of the origins that are set, by default none.

A key is a header and no cookie, so no credentials of the browser's own are ever allowed (WHATWG Fetch, 3.2).
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final

Headers = Mapping[bytes, bytes]
Pairs = list[tuple[bytes, bytes]]

_MAX_AGE: Final = b"600"
_METHODS: Final = b"GET, POST, PUT, PATCH, DELETE, OPTIONS"
# What a page may send: what is read here, and what the clients and their tracing send beside it. Clients of
# one vendor send headers of their own with every release; all of them begin alike.
_TAKEN: Final = re.compile(
    rb"accept|accept-language|api-key|authorization|baggage|cache-control|content-language|content-type"
    rb"|http-referer|idempotency-key|last-event-id|pragma|traceparent|tracestate|user-agent|x-api-key"
    rb"|x-request-id|x-requested-with|x-title|(?:anthropic|openai|x-penstock|x-stainless)-[0-9a-z-]+"
)
# What a page may read of an answer beside its body.
_SHOWN: Final = (
    b"openai-processing-ms, retry-after, retry-after-ms, x-penstock-attempts, x-penstock-backend, "
    b"x-penstock-route, x-penstock-translation, x-ratelimit-limit-requests, x-ratelimit-limit-tokens, "
    b"x-ratelimit-remaining-requests, x-ratelimit-remaining-tokens, x-ratelimit-reset-requests, "
    b"x-ratelimit-reset-tokens, x-request-id, x-should-retry"
)


class Cors:
    """Knows the origins.

    Args:
        origins: As browsers write them, `https://host:port`; `*` for any.
    """

    def __init__(self, origins: Sequence[str]) -> None:
        self._any = "*" in origins
        self._origins = frozenset(origin.encode() for origin in origins)
        self.is_off: Final = not origins

    def permission(self, headers: Headers) -> Pairs:
        """What an answer says to the page that asked; nothing where it may not."""
        origin = headers.get(b"origin")
        if origin is None or not (self._any or origin.lower() in self._origins):
            return []
        return [
            (b"access-control-allow-origin", b"*" if self._any else origin),
            (b"access-control-expose-headers", _SHOWN),
            (b"vary", b"origin"),
        ]

    def preflight(self, headers: Headers) -> Pairs | None:
        """What is said before a page's request is sent; None where nobody asks for that, or it may not."""
        if b"access-control-request-method" not in headers:
            return None
        permission = self.permission(headers)
        if not permission:
            return None
        taken = _taken(headers.get(b"access-control-request-headers", b""))
        return [
            *permission,
            (b"access-control-allow-methods", _METHODS),
            *([(b"access-control-allow-headers", taken)] if taken else []),
            (b"access-control-max-age", _MAX_AGE),
        ]


def _taken(asked: bytes) -> bytes:
    """Those of the headers that a page asks to send which it may; browsers send nothing if one is missing."""
    names = (name.strip().lower() for name in asked.split(b","))
    return b", ".join(name for name in dict.fromkeys(names) if _TAKEN.fullmatch(name))
