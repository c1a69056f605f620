"""The content of an answer, apart from any spelling, and strategies for it."""

import json
from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import strategies as st

from tests.laws.bodies import NAMES, TEXTS

Object = dict[str, Any]


@dataclass(frozen=True)
class Said:
    """What an answer says."""

    pieces: tuple[Any, ...] = ()  # of the text; what is no string is spelt as JSON
    calls: tuple[tuple[str, Object], ...] = ()
    usage: Object | None = None
    finish_reason: str | None = None
    thinking: tuple[str, ...] = field(default=())  # pieces as well

    @property
    def text(self) -> str:
        """The text as a client is to see it."""
        return "".join(each if isinstance(each, str) else compact(each) for each in self.pieces)

    def saying(self, **changes: Any) -> "Said":
        """The same but for some fields."""
        return replace(self, **changes)


def compact(value: Any) -> str:
    """A value as JSON without spaces."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**6), 10**6) | TEXTS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=2),
    max_leaves=4,
)
ARGUMENTS = st.dictionaries(NAMES, _VALUES, max_size=3)
_NUMBERS = st.integers(-100, 100) | st.booleans() | st.just({"a": [1, None]})
STRINGS = st.lists(TEXTS, max_size=5).map(tuple)
PIECES = st.lists(TEXTS | TEXTS | _NUMBERS, max_size=5).map(tuple)
CALLS = st.just(()) | st.lists(st.tuples(NAMES, ARGUMENTS), max_size=3).map(tuple)
USAGES = st.none() | st.fixed_dictionaries(
    {"prompt_tokens": st.integers(1, 500), "completion_tokens": st.integers(0, 500)},
    optional={
        "total_tokens": st.integers(0, 1000),
        "neurons": st.floats(0, 9),
        "prompt_tokens_details": st.none() | st.just({"cached_tokens": 3}),
        "completion_tokens_details": st.just({"reasoning_tokens": 2}),
    },
)
THOUGHTS = st.just(()) | st.lists(TEXTS, max_size=4).map(tuple)
