"""A request's head that the parser has judged, so that the same one need not be judged again.

A client that keeps its connection asks with the same head again and again, in which only the length of the
body is another. Judging it anew costs as much as a sixth of a chat, and more than all the rest of a refusal.

A client's other connections ask with that head as well, and so do all who use the same library with the same
key. They share what is kept of it: so it stays in the processor's cache while many are served in turn.
"""

from dataclasses import dataclass
from typing import Any, Final
from weakref import WeakValueDictionary

Scope = dict[str, Any]

# What a scope tells of the connection, and not of the request.
_OF_CONNECTION: Final = ("server", "client", "scheme", "root_path")

_HEAD_END: Final = b"\r\n\r\n"
_LENGTH: Final = b"content-length"
_LENGTH_LINE: Final = b"\r\n" + _LENGTH + b":"
_LARGEST: Final = 4096  # bytes of a head; that of an SDK has some 700
_DIGITS: Final = 9


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False)
class FamiliarHead:
    """The head of a request that was read whole.

    Attributes:
        path: The target without its query.
        before: What comes before the length of the body.
        after: What comes after it.
    """

    method: str
    path: bytes
    before: bytes
    after: bytes
    _scope: Scope
    _length_at: int  # among the headers

    def length_in(self, data: bytes) -> bytes:
        """How long the body is, where these bytes are one whole request with this head; else empty."""
        if not data.startswith(self.before):
            return b""
        start = len(self.before)
        end = data.find(b"\r", start, start + _DIGITS + 1)
        length = data[start:end]
        if not (data.startswith(self.after, end) and length.isdigit()):
            return b""
        return length if end + len(self.after) + int(length) == len(data) else b""

    def scope(self, length: bytes, state: Scope, connection: Scope) -> Scope:
        """What the parser would have made of the head.

        Args:
            length: The body's, as it is written there.
            state: The server's, which a request may add to.
            connection: What any scope of the connection tells of it.
        """
        headers = self._scope["headers"].copy()
        headers[self._length_at] = (_LENGTH, length)
        return {**self._scope, **connection, "headers": headers, "state": state.copy()}

    def body(self, length: bytes, data: bytes) -> bytes:
        """The rest of a request with this head."""
        return data[len(self.before) + len(length) + len(self.after) :]


class FamiliarHeads:
    """Those of all connections that are open."""

    def __init__(self) -> None:
        self._heads: WeakValueDictionary[tuple[bytes, bytes], FamiliarHead] = WeakValueDictionary()

    def learn(self, scope: Scope, data: bytes) -> FamiliarHead | None:
        """The head of a request that is all that these bytes are; None where it is not to be known again."""
        head = familiar(scope, data)
        return head and self._heads.setdefault((head.before, head.after), head)


def of_connection(scope: Scope) -> Scope:
    """What a scope tells of its connection."""
    return {name: scope[name] for name in _OF_CONNECTION}


def familiar(scope: Scope, data: bytes) -> FamiliarHead | None:
    """The head of a request that is all that these bytes are; None where it is not to be known again.

    Args:
        scope: What the parser has made of it, with the headers' names in lower case.
        data: The bytes that the parser was given, from the first one of the request to its last.
    """
    headers = scope["headers"]
    lengths = [number for number, (name, _value) in enumerate(headers) if name == _LENGTH]
    head, end, _body = data[:_LARGEST].partition(_HEAD_END)
    name_at = head.lower().find(_LENGTH_LINE)
    if len(lengths) != 1 or not end or name_at < 0:
        return None
    length = headers[lengths[0]][1]
    value_at = head.find(length, name_at + len(_LENGTH_LINE))
    if value_at < 0:
        return None
    after = head[value_at + len(length) :] + end
    its = {name: value for name, value in scope.items() if name not in _OF_CONNECTION}
    its |= {"headers": headers.copy(), "state": {}}
    known = FamiliarHead(scope["method"], scope["raw_path"], head[:value_at], after, its, lengths[0])
    return known if after.startswith(b"\r") and known.length_in(data) else None
