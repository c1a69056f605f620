"""Calls as JSON states them: an object with a tool's name and its arguments, and the forms of APIs around it.

OpenAI says `arguments`, Llama `parameters`; the object may stand under `function`, and several in a list or
under `tool_calls`. Where it stands between the marks of a template it can be nothing else, so there its
arguments may also be written beside the name, or be the one value that the tool takes (offered.py).
"""

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

import msgspec

from translators.model_text.almost_json import decoded
from translators.model_text.json_scan import Event
from translators.model_text.offered import NONE, Offered, as_object, held_object, object_of

FUNCTION: Final = "function"
TOOL_CALLS: Final = "tool_calls"

_OPENING: Final[dict[object, str]] = {FUNCTION: "{", TOOL_CALLS: "["}  # what holds calls, and how it begins
_AROUND: Final = frozenset({FUNCTION, "type", "id", "index"})  # what stands beside a function
_KEYS: Final = frozenset({"name", "arguments", "parameters", "type", "id", "index"})
_UNREADABLE: Final = (msgspec.DecodeError, UnicodeError, RecursionError)

_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_items = msgspec.json.Decoder(list[msgspec.Raw])


class NoCallError(ValueError):
    """The text is no call, whatever may follow."""


class SpelledCall(NamedTuple):
    """A call, with its arguments as JSON text as the model wrote it."""

    name: str
    arguments: str
    id: str | None = None


def made(offered: Offered, name: str | None, arguments: str, call_id: str | None = None) -> SpelledCall:
    """The call of a tool, unless what stands for its arguments defines it.

    Raises:
        NoCallError: It does, or there is no such tool.
    """
    if name is None or offered.defines(name, arguments):
        raise NoCallError
    return SpelledCall(name, arguments, call_id)


def any_of(calls: list[SpelledCall]) -> list[SpelledCall]:
    """These calls, of which there has to be one.

    Raises:
        NoCallError: There is none.
    """
    if not calls:
        raise NoCallError
    return calls


def stated_calls(text: str, offered: Offered, *, marked: bool) -> list[SpelledCall]:
    """The calls that a JSON object or list states.

    Args:
        text: The JSON.
        offered: The tools that were offered.
        marked: Whether it stands between marks.

    Raises:
        NoCallError: It states none, or one that cannot be made.
    """
    try:
        calls = [_call(each, offered, marked=marked) for each in _listed(text.encode())]
    except _UNREADABLE:
        raise NoCallError from None
    return any_of(calls)


def _listed(raw: bytes) -> Iterable[bytes]:
    if raw.lstrip().startswith(b"["):
        return map(bytes, _items.decode(raw))
    members = _members.decode(raw)
    return map(bytes, _items.decode(members[TOOL_CALLS])) if members.keys() == {TOOL_CALLS} else (raw,)


def _call(raw: bytes, offered: Offered, *, marked: bool) -> SpelledCall:
    members = {key: bytes(value).decode() for key, value in _members.decode(raw).items()}
    call_id = decoded(members.get("id", ""))
    if members.get(FUNCTION, "").startswith("{"):
        if not members.keys() <= _AROUND:
            raise NoCallError
        members = {key: bytes(value).decode() for key, value in _members.decode(members[FUNCTION]).items()}
    elif marked and FUNCTION in members and "name" not in members:
        members["name"] = members.pop(FUNCTION)  # small models mix the two up
    name = offered.called(decoded(members.get("name", "")))
    is_plain = members.keys() <= _KEYS and decoded(members.get("type", '"function"')) == FUNCTION
    if name is None or not (marked or is_plain):
        raise NoCallError
    arguments = _arguments(name, members, offered, marked=marked)
    return made(offered, name, arguments, call_id if isinstance(call_id, str) else None)


def _arguments(name: str, members: Mapping[str, str], offered: Offered, *, marked: bool) -> str:
    written = members.get("arguments", members.get("parameters"))
    if written is None and marked:
        return _flat(name, members, offered)
    if written is None or ("description" in members and "arguments" not in members):
        raise NoCallError  # with `parameters` beside it, that is a definition
    whole = as_object(written, offered.schema(name)) if marked else held_object(written)
    if whole is None:
        raise NoCallError
    return whole


def _flat(name: str, members: Mapping[str, str], offered: Offered) -> str:
    """The arguments beside the name: all of them known to the tool, and what it takes."""
    parameters = offered.parameters(name)
    beside = {
        key: value
        for key, value in members.items()
        if key != "name" and (key in parameters or key not in ("type", "id"))
    }
    if not beside:
        return NONE
    arguments = object_of(beside)
    if not (beside.keys() <= parameters.keys() and offered.fit(name, arguments)):
        raise NoCallError
    return arguments


class Look:
    """Sees at the first key or name that JSON states no call, before it is whole."""

    def __init__(self, offered: Offered, *, marked: bool) -> None:
        self._offered = offered
        self._marked = marked
        self._keys: dict[int, object] = {}  # depth -> the key that came last there
        self._calls: set[int] = set()  # depths at which the keys are those of a call, or of what holds one
        self._lists: set[int] = set()  # depths at which the values are such objects

    def at(self, event: Event, text: str) -> None:
        """Look at the next event.

        Raises:
            NoCallError: It shows that there is no call.
        """
        match event.kind:
            case "key" if event.depth in self._calls:
                self._keys[event.depth] = self._known(decoded(text[event.start : event.end]))
            case "value":
                self._begins(event.depth, text[event.end])
            case "end" if event.depth in self._calls:
                self._member(self._keys.get(event.depth), text[event.start : event.end])
            case _:
                pass

    def _known(self, key: object) -> object:
        if not (self._marked or key in _KEYS or key in _OPENING):
            raise NoCallError
        return key

    def _begins(self, depth: int, character: str) -> None:
        key = self._keys.get(depth) if depth in self._calls else None
        holds = not depth or key in _OPENING or depth in self._lists
        expected = "{" if depth in self._lists else None if self._marked else _OPENING.get(key)
        if expected is not None and character != expected:
            raise NoCallError
        self._calls.discard(depth + 1)
        self._lists.discard(depth + 1)
        if holds and character == "{":
            self._calls.add(depth + 1)
        elif holds and character == "[" and depth not in self._lists:
            self._lists.add(depth + 1)

    def _member(self, key: object, text: str) -> None:
        if key == "name" and self._offered.called(decoded(text)) is None:
            raise NoCallError
        if key == "type" and not self._marked and decoded(text) != FUNCTION:
            raise NoCallError
