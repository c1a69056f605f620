"""The legacy shape: `response` and `tool_calls`, without ids when whole and mostly without a reason to end.

Sources: Cloudflare's model pages, its own SDK's tests, and captured streams: padding, numbers and objects
in place of text, arguments as text or as an object or before the name, the null fragment that ends a call,
usage in the last event only. R1 and QwQ think in the text itself, between tags. Llama Guard's verdict comes
as words or as an object.
"""

from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from tests.laws.answers.said import CALLS, PIECES, STRINGS, THOUGHTS, USAGES, Object, Said, compact


@dataclass(frozen=True)
class Spelling:
    """How an answer is written; what concerns calls differs between whole and streamed."""

    empty_calls: bool = True
    fragments: int = 1
    name_late: bool = False
    null_fragment: bool = False
    ids: bool = True
    nested: bool = True  # calls in OpenAI's form, or flat
    text_arguments: bool = False


def result(said: Said, spelling: Spelling) -> Object:
    """A whole answer."""
    pieces = _pieces(said)
    text: Any = "".join(each if isinstance(each, str) else compact(each) for each in pieces)
    if len(pieces) == 1:
        text = pieces[0]  # a number or an object comes as such
    answer: Object = {"response": text if pieces or not said.calls else None}
    if said.calls or spelling.empty_calls:
        answer["tool_calls"] = [_whole_call(name, arguments, spelling) for name, arguments in said.calls]
    if said.usage is not None:
        answer["usage"] = said.usage
    if said.finish_reason is not None:
        answer["finish_reason"] = said.finish_reason
    return answer


def events(said: Said, spelling: Spelling) -> list[Object]:
    """The events of a stream."""
    empty: Object = {"tool_calls": []} if spelling.empty_calls else {}
    out: list[Object] = [{"response": piece, **empty} for piece in _pieces(said)]
    for index, call in enumerate(said.calls):
        out += [{"tool_calls": [each]} for each in _fragments(index, call, spelling)]
    if said.finish_reason is not None:
        out.append({"finish_reason": said.finish_reason})
    if said.usage is not None:
        out.append({"response": "", "usage": said.usage})
    return out or [{"response": "", **empty}]


def _pieces(said: Said) -> tuple[Any, ...]:
    """The text, with what was thought in front of it."""
    if not said.thinking:
        return said.pieces
    return ("\n<thi", "nk>", *said.thinking, "</thin", "k>\n\n", *said.pieces)


def preface(said: Said) -> str:
    """What was thought, as it stands in front of the text."""
    return "".join(_pieces(said.saying(pieces=())))


def _whole_call(name: str, arguments: Object, spelling: Spelling) -> Object:
    call = {"name": name, "arguments": compact(arguments) if spelling.text_arguments else arguments}
    return {"type": "function", "function": call} if spelling.nested else call


def _fragments(index: int, call: tuple[str, Object], spelling: Spelling) -> list[Object]:
    name, arguments = call
    if not spelling.nested:
        return [{"name": name, "arguments": arguments}]
    text = compact(arguments)
    size = -(-len(text) // spelling.fragments)
    parts = [text[at : at + size] for at in range(0, len(text), size)]
    head: Object = {"index": index, "type": "function", "function": {"name": name, "arguments": ""}}
    if spelling.ids:
        head["id"] = f"call{index}"
    out = [{"index": index, "function": {"arguments": part}} for part in parts]
    out.insert(1 if spelling.name_late else 0, head)
    if spelling.null_fragment:
        out.append({"id": None, "type": None, "function": {"name": None, "arguments": ""}})
    return out


SPELLINGS = st.builds(
    Spelling,
    empty_calls=st.booleans(),
    fragments=st.integers(1, 4),
    name_late=st.booleans(),
    null_fragment=st.booleans(),
    ids=st.booleans(),
    nested=st.booleans(),
    text_arguments=st.booleans(),
)
_REASONS = st.none() | st.sampled_from(["stop", "length", "tool_calls", "model_length", "eos_token"])
SAID = st.builds(Said, PIECES, CALLS, USAGES, _REASONS)
THOUGHT = st.builds(Said, STRINGS, CALLS, USAGES, _REASONS, THOUGHTS)
_VERDICTS = st.sampled_from(["safe", "unsafe\nS1,S9", {"safe": True, "categories": []}]).map(
    lambda verdict: (verdict,)
)
JUDGED = st.builds(Said, _VERDICTS, st.just(()), USAGES)
