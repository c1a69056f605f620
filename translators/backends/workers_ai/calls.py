"""Tool calls in all spellings of the legacy wire, read into deltas.

Whole answers have `{name, arguments}` with the arguments as an object or as JSON text and without an id;
streams have OpenAI-like fragments with an index, whose last may be all nulls, and whose arguments may
come before the name. A call is given out once its name is known.
"""

from dataclasses import dataclass, field
from typing import Any

import msgspec

from translators.call import Stamp
from translators.deltas import Arguments, Call, Delta
from translators.tools import mint_call_id


@dataclass(slots=True)
class _Open:
    """A call in progress; `index` is ours, given when its name is known."""

    id: str | None = None
    name: str | None = None
    index: int | None = None
    waiting: list[str] = field(default_factory=list)
    has_arguments: bool = False


class Calls:
    """All calls of one choice."""

    def __init__(self, stamp: Stamp, choice: int) -> None:
        self._stamp = stamp
        self._choice = choice
        self._by_index: dict[int, _Open] = {}
        self._last: _Open | None = None
        self._count = 0

    def __bool__(self) -> bool:
        """Whether any call was given out."""
        return self._count > 0

    def take(self, value: Any) -> list[Delta]:
        """Take the `tool_calls` of an answer or of one event; what is no list of objects says nothing."""
        out: list[Delta] = []
        for fragment in value if isinstance(value, list) else ():
            if isinstance(fragment, dict):
                out += self._take_one(fragment)
        return out

    def end(self) -> list[Delta]:
        """Give `{}` to calls without arguments: clients parse them as JSON."""
        calls = [*self._by_index.values()]
        return [
            Arguments(0, call.index, "{}")
            for call in calls
            if call.index is not None and not call.has_arguments
        ]

    def _take_one(self, fragment: dict[str, Any]) -> list[Delta]:
        nested = fragment.get("function")
        function = nested if isinstance(nested, dict) else fragment
        name, arguments = _text(function.get("name")), _arguments(function.get("arguments"))
        call_id = _text(fragment.get("id"))
        call = self._find(fragment.get("index"), call_id, name, whole=function is fragment)
        if call is None:
            if name is None and not arguments:
                return []  # the null fragment that ends a call
            call = self._open(fragment.get("index"))
        call.id = call.id or call_id
        call.name = call.name or name
        if arguments:
            call.waiting.append(arguments)
        return self._give_out(call)

    def _find(self, index: Any, call_id: str | None, name: str | None, *, whole: bool) -> _Open | None:
        """The call that a fragment goes on with, or None where it begins one."""
        if whole:
            return None
        call = self._by_index.get(index) if _is_index(index) else self._last
        if call is None:
            return None
        begins = name is not None and call.name is not None and call_id is not None and call_id != call.id
        return None if begins else call

    def _open(self, index: Any) -> _Open:
        call = _Open()
        taken = max(self._by_index, default=-1) + 1
        self._by_index[index if _is_index(index) and index not in self._by_index else taken] = call
        self._last = call
        return call

    def _give_out(self, call: _Open) -> list[Delta]:
        if call.name is None:
            return []
        out: list[Delta] = []
        if call.index is None:
            call.index = self._count
            self._count += 1
            call_id = mint_call_id(self._stamp, self._choice, call.index, call.id)
            out.append(Call(0, call.index, call_id, call.name))
        out += [Arguments(0, call.index, text) for text in call.waiting]
        call.has_arguments = call.has_arguments or bool(call.waiting)
        call.waiting.clear()
        return out


def _is_index(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _arguments(value: Any) -> str:
    """Arguments as JSON text; Workers AI sends them as an object, OpenAI as text."""
    if value is None:
        return ""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
