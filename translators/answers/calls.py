"""Tool calls in all spellings of the legacy wire, read into deltas.

Whole answers have `{name, arguments}` with the arguments as an object or as JSON text and without an id;
streams have OpenAI-like fragments with an index, whose last may be all nulls, and whose arguments may
come before the name. A call is given out once its name is known. Ids say little: Kimi's repeat with every
turn, and two calls of one answer may have the same.
"""

from dataclasses import dataclass, field
from typing import Any

import msgspec

from translators.call import Stamp
from translators.deltas import Arguments, Call, Delta
from translators.model_text.json_scan import Scanner
from translators.tools import mint_call_id


@dataclass(slots=True)
class _Open:
    """A call in progress; `index` is ours, given when its name is known."""

    id: str | None = None
    name: str | None = None
    index: int | None = None
    waiting: list[str] = field(default_factory=list)
    arguments: list[str] = field(default_factory=list)
    scanner: Scanner = field(default_factory=Scanner)
    scanned: int = 0  # fragments of the arguments that the scanner has seen

    def is_over(self, call_id: str | None, name: str | None, arguments: str, *, counted: bool) -> bool:
        """Whether a fragment with this id, name and arguments begins another call.

        Some servers repeat id and name in every fragment, some give every call the index 0, and some send
        whole calls without index and id.
        """
        if name is None or self.name is None:
            return False
        if call_id == self.id if call_id is not None else counted:
            # Only another call's arguments can follow an object that is whole.
            return bool(arguments.strip()) and self._has_whole_arguments()
        return True

    def _has_whole_arguments(self) -> bool:
        for fragment in self.arguments[self.scanned :]:
            self.scanner.feed(fragment)
        self.scanned = len(self.arguments)
        return self.scanner.closed


class Calls:
    """All calls of one choice.

    Args:
        stamp: Whence their ids come.
        choice: Which choice of all it is, for the ids.
        number: Which one of this answer, for the deltas.
    """

    def __init__(self, stamp: Stamp, choice: int, number: int = 0) -> None:
        self._stamp = stamp
        self._choice = choice
        self._number = number
        self._all: list[_Open] = []
        self._by_index: dict[int, _Open] = {}  # the latest call under each index
        self._next_index = 0  # above all of them
        self._count = 0

    def __bool__(self) -> bool:
        """Whether any call was given out."""
        return self._count > 0

    def take(self, value: Any, *, whole: bool = False) -> list[Delta]:
        """Take the `tool_calls` of an answer or of one event; what is no list of objects says nothing.

        Args:
            value: The list.
            whole: Whether each element is a whole call, whatever ids and indexes say.
        """
        out: list[Delta] = []
        for fragment in value if isinstance(value, list) else ():
            if isinstance(fragment, dict):
                out += self._take_one(fragment, whole=whole)
        return out

    def end(self) -> list[Delta]:
        """Give `{}` to calls without arguments: clients parse them as JSON."""
        return [
            Arguments(self._number, call.index, "{}")
            for call in self._all
            if call.index is not None and not call.arguments
        ]

    def _take_one(self, fragment: dict[str, Any], *, whole: bool) -> list[Delta]:
        nested = fragment.get("function")
        function = nested if isinstance(nested, dict) else fragment
        # Llama's chat template names the arguments `parameters`.
        stated = function.get("arguments", function.get("parameters"))
        name, arguments = _text(function.get("name")), _arguments(stated)
        call_id = _text(fragment.get("id"))
        index = fragment.get("index") if _is_index(fragment.get("index")) else None
        call = None if whole else self._find(index)
        if call is not None and function is fragment and name and call.name:
            call = None  # with its name on one level a call is whole; without one it is a fragment there too
        if call is None or call.is_over(call_id, name, arguments, counted=index is not None):
            if name is None and not arguments:
                return []  # the null fragment that ends a call
            call = self._open(index)
        call.id = call.id or call_id
        call.name = call.name or name
        if arguments:
            call.waiting.append(arguments)
            call.arguments.append(arguments)
        return self._give_out(call)

    def _find(self, index: int | None) -> _Open | None:
        """The call that a fragment may go on with: by its index, else the last one."""
        if index is not None:
            return self._by_index.get(index)
        return self._all[-1] if self._all else None

    def _open(self, index: int | None) -> _Open:
        call = _Open()
        self._all.append(call)
        index = self._next_index if index is None else index
        self._by_index[index] = call
        self._next_index = max(self._next_index, index + 1)
        return call

    def _give_out(self, call: _Open) -> list[Delta]:
        if call.name is None:
            return []
        out: list[Delta] = []
        if call.index is None:
            call.index = self._count
            self._count += 1
            call_id = mint_call_id(self._stamp, self._choice, call.index, call.id)
            out.append(Call(self._number, call.index, call_id, call.name))
        out += [Arguments(self._number, call.index, text) for text in call.waiting]
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
