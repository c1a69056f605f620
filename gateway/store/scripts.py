"""The Lua scripts: one atomic idea per file in `gateway/lua`, each behind the same prologue."""

from functools import cached_property
from hashlib import sha1
from importlib.resources import files
from typing import Final


class Script:
    """One script. Its first two arguments are the prologue's; its reply begins with the store's time."""

    def __init__(self, name: str) -> None:
        self.name: Final = name

    @cached_property
    def text(self) -> str:
        """What the store runs."""
        return _read("prologue") + _read(self.name)

    @cached_property
    def sha(self) -> str:
        """The name that the store gives it."""
        return sha1(self.text.encode(), usedforsecurity=False).hexdigest()


def _read(name: str) -> str:
    return (files("gateway") / "lua" / f"{name}.lua").read_text(encoding="utf-8")
