"""Characters above U+FFFF that come as two escaped halves, whole again.

JSON escapes such a character as a surrogate pair, and a backend that cuts its text anywhere sends the halves
of one in two events, be it where thinking turns into text. No text may hold a half. So one at the edge of a
JSON string is read as a stand-in, one of the last 2,048 private characters of Unicode, until the other half
has come; a half that stays alone becomes U+FFFD. Answers that really hold one of those private characters are
only touched behind a half.
"""

import re
from typing import Final

import msgspec

from translators.deltas import Arguments, Call, Delta, Reasoning, Refusal, Text

_REPLACEMENT: Final = "\ufffd"
_TO_STAND_IN: Final = 0x10F800 - 0xD800
_STAND_IN: Final = re.compile("[\U0010f800-\U0010ffff]")
_FIRST_HALF: Final = re.compile("[\U0010f800-\U0010fbff]")
_SECOND_HALF: Final = re.compile("[\U0010fc00-\U0010ffff]")

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
_WORDS: Final = -1  # stands for the number of a call


class Halves:
    """The halves of one answer; the words of each choice and each call's arguments wait for their own."""

    def __init__(self) -> None:
        self._seen = False
        self._held: dict[tuple[int, int], _Spoken] = {}  # choice, and number of the call or `_WORDS`

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
                    out += self._settle((delta.choice, _WORDS))
                    out.append(msgspec.structs.replace(delta, name=_whole(delta.name)))
                case _:
                    out.append(delta)
        return out

    def end(self) -> list[Delta]:
        """What stands for the halves whose others have not come."""
        return [delta for key in tuple(self._held) for delta in self._settle(key)]

    def _settle(self, key: tuple[int, int]) -> list[Delta]:
        held = self._held.pop(key, None)
        return [] if held is None else [msgspec.structs.replace(held, text=_REPLACEMENT)]

    def _join(self, delta: _Spoken) -> list[Delta]:
        key = (delta.choice, delta.index if isinstance(delta, Arguments) else _WORDS)
        held, out = self._held.get(key), list[Delta]()
        if held is None or not delta.text:
            text = delta.text
        elif type(held) is type(delta) or _SECOND_HALF.match(delta.text):
            del self._held[key]
            text = held.text + delta.text
        else:  # thinking has turned into text within a character, or the other way round
            out, text = self._settle(key), delta.text
        if _FIRST_HALF.match(text[-1:]):
            bare = Text(delta.choice, "") if isinstance(delta, Text) else delta
            self._held[key] = msgspec.structs.replace(bare, text=text[-1])
            text = text[:-1]
        joined = msgspec.structs.replace(delta, text=_whole(text))
        if isinstance(joined, Text) and joined.logprobs is not None:
            return [*out, msgspec.structs.replace(joined, logprobs=_without_halves(joined.logprobs))]
        return [*out, joined] if text else out


def _whole(text: str) -> str:
    """Text with its pairs as the characters that they are, and U+FFFD for each half that stands alone."""
    halves = _STAND_IN.sub(lambda found: chr(ord(found[0]) - _TO_STAND_IN), text)
    return halves.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _without_halves(raw: msgspec.Raw) -> msgspec.Raw:
    return msgspec.Raw(_whole(bytes(raw).decode()).encode())
