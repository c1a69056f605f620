"""The Lua scripts: one atomic idea per file in `gateway/lua`, each behind the same prologue."""

from collections.abc import Sequence
from functools import cached_property
from hashlib import sha1
from importlib.resources import files
from typing import Final


class Script:
    """One script. Its first two arguments are the prologue's; its reply begins with the store's time.

    Args:
        name: The file's, without its ending.
        parts: Other scripts that it calls by their names, with the KEYS and ARGV that it gives them.
    """

    def __init__(self, name: str, parts: Sequence[str] = ()) -> None:
        self.name: Final = name
        self._parts = parts

    @cached_property
    def text(self) -> str:
        """What the store runs."""
        parts = (f"local function {part}(KEYS, ARGV)\n{_read(part)}\nend\n" for part in self._parts)
        return "".join([_read("prologue"), *parts, _read(self.name)])

    @cached_property
    def sha(self) -> str:
        """The name that the store gives it."""
        return sha1(self.text.encode(), usedforsecurity=False).hexdigest()


def _read(name: str) -> str:
    return (files("gateway") / "lua" / f"{name}.lua").read_text(encoding="utf-8")
