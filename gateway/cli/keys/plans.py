"""What is to be done with what LiteLLM has, and what becomes of each thing of it."""

import re
from dataclasses import dataclass, field
from typing import Any, Final

Json = dict[str, Any]

# How LiteLLM names a variable of the environment that holds a value.
VARIABLE: Final = re.compile(r"os\.environ/(\w+)")
NOTHING_LIKE_IT: Final = "there is nothing like it here"


@dataclass(frozen=True, slots=True)
class Line:
    """What became of one thing: taken over, or not and why."""

    what: str
    words: str
    taken: bool = True

    def __str__(self) -> str:
        return f"{'took' if self.taken else 'left'}  {self.what}: {self.words}"


@dataclass(frozen=True, slots=True)
class Planned:
    """A key to be brought in, as the admin API takes it, and the number of the line that says so."""

    body: Json
    line: int


@dataclass(slots=True)
class Plan:
    """What is to be done: keys to be brought in, and settings to be written."""

    keys: list[Planned] = field(default_factory=list)
    settings: Json = field(default_factory=dict)
    lines: list[Line] = field(default_factory=list)

    def took(self, what: str, words: str) -> None:
        """Note what is taken over."""
        self.lines.append(Line(what, words))

    def left(self, what: str, words: str) -> None:
        """Note what is not."""
        self.lines.append(Line(what, words, taken=False))


def is_count(value: Any) -> bool:
    """Whether this can be a limit."""
    if isinstance(value, float):
        return value >= 0 and value.is_integer()  # which infinity is not
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def mapping(value: Any) -> Json:
    """A mapping, or an empty one."""
    return value if isinstance(value, dict) else {}


def listed(value: Any) -> list[Json]:
    """The mappings of a list."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
