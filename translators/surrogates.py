"""Characters above U+FFFF that come as two escaped halves, whole again.

JSON escapes such a character as a surrogate pair, and a backend that cuts its text anywhere sends the halves
of one in two events. No text may hold a half. So one at the edge of a JSON string is read as a stand-in, one
of the last 2,048 private characters of Unicode, until the other half has come; a half that stays alone
becomes U+FFFD. Answers that really hold one of those private characters are only touched behind a half.
"""

import re
from typing import Final

import msgspec

from translators.deltas import Arguments, Call, Delta, Reasoning, Refusal, Text

_REPLACEMENT: Final = "\ufffd"
_TO_STAND_IN: Final = 0x10F800 - 0xD800
_STAND_IN: Final = re.compile("[\U0010f800-\U0010ffff]")
_FIRST_HALF: Final = re.compile("[\U0010f800-\U0010fbff]")

# Escapes in JSON. The quotes are those of a string: a quote inside of one is an escape, and taken as such.
_ESCAPE: Final = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|\\u(?P<first>[dD][89abAB][0-9a-fA-F]{2})(?=\")"
    rb"|\"\\u(?P<second>[dD][c-fC-F][0-9a-fA-F]{2})"
    rb"|(?P<lone>\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
    rb"|\\.",
    re.DOTALL,
)

_Spoken = Text | Refusal | Reasoning | Arguments


class Halves:
    """The halves of one answer; each text, each thinking and each call's arguments wait for their own."""

    def __init__(self) -> None:
        self._seen = False
        self._held: dict[tuple[type[Delta], int, int], _Spoken] = {}

    def read(self, data: bytes) -> bytes:
        """JSON with stand-ins for halves that may find their others, and U+FFFD for all others."""
        return _ESCAPE.sub(self._read_escape, data)

    def _read_escape(self, found: re.Match[bytes]) -> bytes:
        half = found["first"] or found["second"]
        if half is None:
            return b"\\ufffd" if found["lone"] else found[0]
        self._seen = True
        stand_in = chr(int(half, 16) + _TO_STAND_IN).encode()
        return stand_in if found["first"] else b'"' + stand_in

    def join(self, deltas: list[Delta]) -> list[Delta]:
        """The deltas without halves: one at the end of a text is held for what follows in it."""
        if not self._seen:
            return deltas
        out: list[Delta] = []
        for delta in deltas:
            match delta:
                case Text() | Refusal() | Reasoning() | Arguments():
                    out += self._join(delta)
                case Call():
                    out.append(msgspec.structs.replace(delta, name=_whole(delta.name)))
                case _:
                    out.append(delta)
        return out

    def end(self) -> list[Delta]:
        """What stands for the halves whose others have not come."""
        held, self._held = self._held, {}
        return [msgspec.structs.replace(each, text=_REPLACEMENT) for each in held.values()]

    def _join(self, delta: _Spoken) -> list[Delta]:
        key = (type(delta), delta.choice, delta.index if isinstance(delta, Arguments) else 0)
        held = self._held.pop(key, None)
        text = delta.text if held is None else held.text + delta.text
        if _FIRST_HALF.match(text[-1:]):
            bare = Text(delta.choice, "") if isinstance(delta, Text) else delta
            self._held[key] = msgspec.structs.replace(bare, text=text[-1])
            text = text[:-1]
        joined = msgspec.structs.replace(delta, text=_whole(text))
        if isinstance(joined, Text) and joined.logprobs is not None:
            return [msgspec.structs.replace(joined, logprobs=_without_halves(joined.logprobs))]
        return [joined] if text else []


def _whole(text: str) -> str:
    """Text with its pairs as the characters that they are, and U+FFFD for each half that stands alone."""
    halves = _STAND_IN.sub(lambda found: chr(ord(found[0]) - _TO_STAND_IN), text)
    return halves.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _without_halves(raw: msgspec.Raw) -> msgspec.Raw:
    return msgspec.Raw(_whole(bytes(raw).decode()).encode())
