"""The bodies of all calls of a request as bytes: made once where they are alike, and not too many at once."""

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from translators.chat import ChatRequest
from translators.errors import invalid

# Bytes of all calls of a request. Each connection holds its own until they are sent; three choices of the
# largest body that the gateway reads by default (20 MiB) have room.
_ALL_BODIES: Final = 64 << 20


def encoded(chat: ChatRequest, bodies: Iterable[dict[str, Any]]) -> list[tuple[dict[str, Any], bytes]]:
    """Each body with its bytes, which are made once for choices that are asked for in the same words.

    Raises:
        ApiError: 400 where all of them together are too large to be under way at once.
    """
    out: list[tuple[dict[str, Any], bytes]] = []
    room, last, sent = _ALL_BODIES, None, b""
    for body in bodies:
        if body is not last:
            last, sent = body, msgspec.json.encode(body)
        room -= len(sent)
        if room < 0:
            name = "n" if chat.choices > 1 else "prompt"
            raise invalid(
                f"'{name}' asks for so many answers that what is sent for them exceeds {_ALL_BODIES} bytes: "
                f"each is a call of its own with the whole request, here {len(sent)} bytes. Ask for fewer "
                "at once.",
                name,
                "invalid_value",
            )
        out.append((body, sent))
    return out
