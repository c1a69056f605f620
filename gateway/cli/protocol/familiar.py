"""A request's head that the parser has judged, so that the same one need not be judged again.

Who was refused because there are too many asks again, and with the same head, in which only the length of the
body may be another. Judging it anew costs more than all the rest of a refusal.
"""

from dataclasses import dataclass
from typing import Final

Headers = list[tuple[bytes, bytes]]

_HEAD_END: Final = b"\r\n\r\n"
_LENGTH: Final = b"\r\ncontent-length:"
_LARGEST: Final = 4096  # bytes of a head; that of an SDK has some 700
_DIGITS: Final = 9


@dataclass(frozen=True, slots=True)
class FamiliarHead:
    """The head of a request that was read whole and refused.

    Attributes:
        before: What comes before the length of the body.
        after: What comes after it.
    """

    method: str
    path: bytes
    before: bytes
    after: bytes

    def begins(self, data: bytes) -> bool:
        """Whether these bytes are one whole request with this head, and nothing else."""
        if not data.startswith(self.before):
            return False
        start = len(self.before)
        end = data.find(b"\r", start, start + _DIGITS + 1)
        length = data[start:end]
        return (
            data.startswith(self.after, end)
            and length.isdigit()
            and end + len(self.after) + int(length) == len(data)
        )


def familiar(method: str, path: bytes, headers: Headers, data: bytes) -> FamiliarHead | None:
    """The head of a request that is all that these bytes are; None where it is not to be known again.

    Args:
        method: As the parser understood it, as are path and headers.
        path: The target without its query.
        headers: With names in lower case.
        data: The bytes that the parser was given, from the first one of the request to its last.
    """
    lengths = [value for name, value in headers if name == b"content-length"]
    head, end, _body = data[:_LARGEST].partition(_HEAD_END)
    name_at = head.lower().find(_LENGTH)
    if len(lengths) != 1 or not end or name_at < 0:
        return None
    value_at = head.find(lengths[0], name_at + len(_LENGTH))
    if value_at < 0:
        return None
    after = head[value_at + len(lengths[0]) :] + end
    known = FamiliarHead(method, path, head[:value_at], after)
    return known if after.startswith(b"\r") and known.begins(data) else None
