"""Strategies for the small values of bodies: texts, names, any JSON, objects with optional fields."""

from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

Body = dict[str, Any]
Strategy = st.SearchStrategy[Any]

# Texts that break naive code: ends of lines of other alphabets, joined and combining characters, both ends
# of the planes, a byte-order mark, NUL, markup of chat templates, and what looks like data or like an event.
_EDGES = st.sampled_from([
    "\u2028\u2029\x85", "\U0001f469\u200d\U0001f467 \U0010ffff", "e\u0301 \ufb03 \u0130 \xdf",
    "\ufeff\ufffd\uffff", "\x00\x1b[0m\x7f", "\u202eabc", "<think>no</think>", "<|im_end|>\n[INST]",
    "data:image/png;base64,no", "data: [DONE]\n\n", "\r\n\t ", "null", '{"name": "f", "arguments": {}}',
    "\\ud800 \\", "%s {0} ${a}",
])  # fmt: skip
TEXTS = st.text(max_size=24) | st.text(max_size=24) | _EDGES
FILLED = st.text(min_size=1, max_size=24)
NAMES = st.from_regex(r"[a-zA-Z][a-zA-Z0-9_-]{0,11}", fullmatch=True)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


def rarely(draw: st.DrawFn, one_in: int) -> bool:
    """True once in so many times."""
    return draw(st.integers(0, one_in - 1)) == one_in - 1


def fields(required: Mapping[str, Strategy], optional: Mapping[str, Strategy]) -> Strategy:
    """Objects that have some fields always and others sometimes."""
    return st.fixed_dictionaries(dict(required), optional=dict(optional))
