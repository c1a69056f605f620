"""Strategies for what Workers AI answers in the legacy form, whole and streamed.

Sources: Cloudflare's model pages, its own SDK's tests, and captured streams: padding, numbers in place of
text, arguments as text or as an object or before the name, the null fragment that ends a call, usage in
the last event only, no finish reason, no newline at the end.
"""

import json
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from tests.laws.bodies import NAMES, TEXTS
from tests.laws.exchange import EVENTS, JSON, Answer

PADDING = "abdefghijklmnoprstuvxyz1234567890"


@dataclass(frozen=True)
class Said:
    """The content of an answer, apart from any spelling."""

    pieces: tuple[Any, ...] = ()  # of the text; what is no string is spelt as JSON
    calls: tuple[tuple[str, dict[str, Any]], ...] = ()
    usage: dict[str, Any] | None = None
    finish_reason: str | None = None

    @property
    def text(self) -> str:
        """The text as a client is to see it."""
        return "".join(each if isinstance(each, str) else _json(each) for each in self.pieces)


@dataclass(frozen=True)
class Spelling:
    """How a stream is written."""

    newline: str = "\n"
    space: str = " "
    padded: bool = True
    done: bool = True
    last_newline: bool = True
    empty_calls: bool = True
    fragments: int = 1
    name_late: bool = False
    null_fragment: bool = False
    ids: bool = True
    nested: bool = True  # calls in OpenAI's form, or flat
    comments: bool = False


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def whole(said: Said, *, text_arguments: bool = False, nested: bool = False) -> Answer:
    """The answer to a request without `stream`."""
    result: dict[str, Any] = {"response": said.text if said.pieces or not said.calls else None}
    if said.calls:
        result["tool_calls"] = [
            _whole_call(name, arguments, text=text_arguments, nested=nested) for name, arguments in said.calls
        ]
    if said.usage is not None:
        result["usage"] = said.usage
    if said.finish_reason is not None:
        result["finish_reason"] = said.finish_reason
    envelope = {"result": result, "success": True, "errors": [], "messages": []}
    return Answer(_json(envelope).encode(), JSON)


def _whole_call(name: str, arguments: dict[str, Any], *, text: bool, nested: bool) -> dict[str, Any]:
    call = {"name": name, "arguments": _json(arguments) if text else arguments}
    return {"type": "function", "function": call} if nested else call


def stream(said: Said, spelling: Spelling) -> Answer:
    """The answer to a request with `stream`."""
    lines = [f"data:{spelling.space}{_json(event)}" for event in _events(said, spelling)]
    if spelling.comments:
        lines.insert(len(lines) // 2, ": keep-alive")
    if spelling.done:
        lines.append(f"data:{spelling.space}[DONE]")
    blank = spelling.newline * 2
    text = blank.join(lines) + (blank if spelling.last_newline else "")
    return Answer(text.encode(), EVENTS)


def _events(said: Said, spelling: Spelling) -> list[dict[str, Any]]:
    empty: dict[str, Any] = {"tool_calls": []} if spelling.empty_calls else {}
    events: list[dict[str, Any]] = [{"response": piece, **empty} for piece in said.pieces]
    for index, call in enumerate(said.calls):
        events += [{"tool_calls": [each]} for each in _fragments(index, call, spelling)]
    if said.finish_reason is not None:
        events.append({"finish_reason": said.finish_reason})
    if said.usage is not None:
        events.append({"response": "", "usage": said.usage})
    if spelling.padded:
        for number, event in enumerate(events):
            event["p"] = PADDING[: number % len(PADDING)]
    return events


def _fragments(index: int, call: tuple[str, dict[str, Any]], spelling: Spelling) -> list[dict[str, Any]]:
    name, arguments = call
    if not spelling.nested:
        return [{"name": name, "arguments": arguments}]
    text = _json(arguments)
    size = -(-len(text) // spelling.fragments)
    parts = [text[at : at + size] for at in range(0, len(text), size)]
    head: dict[str, Any] = {"index": index, "type": "function", "function": {"name": name, "arguments": ""}}
    if spelling.ids:
        head["id"] = f"call{index}"
    out = [{"index": index, "function": {"arguments": part}} for part in parts]
    out.insert(1 if spelling.name_late else 0, head)
    if spelling.null_fragment:
        out.append({"id": None, "type": None, "function": {"name": None, "arguments": ""}})
    return out


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**6), 10**6) | TEXTS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=2),
    max_leaves=4,
)
ARGUMENTS = st.dictionaries(NAMES, _VALUES, max_size=3)
_NUMBERS = st.integers(-100, 100) | st.booleans() | st.just({"a": [1, None]})
PIECES = st.lists(TEXTS | TEXTS | _NUMBERS, max_size=5).map(tuple)
CALLS = st.lists(st.tuples(NAMES, ARGUMENTS), max_size=3).map(tuple)
USAGES = st.fixed_dictionaries(
    {"prompt_tokens": st.integers(1, 500), "completion_tokens": st.integers(0, 500)},
    optional={
        "total_tokens": st.integers(0, 1000),
        "neurons": st.floats(0, 9),
        "prompt_tokens_details": st.just({"cached_tokens": 3}),
    },
)
REASONS = st.sampled_from(["stop", "length", "tool_calls", "model_length", "eos_token"])

SAID = st.builds(Said, PIECES, CALLS | st.just(()), st.none() | USAGES, st.none() | REASONS)
SPELLINGS = st.builds(
    Spelling,
    newline=st.sampled_from(["\n", "\r\n", "\r"]),
    space=st.sampled_from([" ", ""]),
    padded=st.booleans(),
    done=st.booleans(),
    last_newline=st.booleans(),
    empty_calls=st.booleans(),
    fragments=st.integers(1, 4),
    name_late=st.booleans(),
    null_fragment=st.booleans(),
    ids=st.booleans(),
    nested=st.booleans(),
    comments=st.booleans(),
)


@st.composite
def ended_streams(draw: st.DrawFn) -> tuple[Said, Answer]:
    """A stream that says in one way or another that it is whole."""
    said = draw(SAID)
    spelling = draw(SPELLINGS)
    if not spelling.done and said.usage is None and said.finish_reason is None:
        said = Said(said.pieces, said.calls, draw(USAGES), said.finish_reason)
    return said, stream(said, spelling)
