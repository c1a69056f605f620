"""OpenAI's shape, as Workers AI sends it.

Sources: captured streams of GLM, Gemma and Kimi, and Cloudflare's own SDK's tests: nulls in the fragments
that continue a call, thinking under two names, usage of zeros or on every chunk, a last chunk without
choices, a last event in the legacy shape with the true usage, padding, and what the engines behind it add.
"""

from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from tests.laws.answers.said import CALLS, STRINGS, THOUGHTS, USAGES, Object, Said, compact


@dataclass(frozen=True)
class Spelling:
    """How an answer is written."""

    thinking: str = "reasoning_content"
    nulls: bool = True  # whether what a delta does not say is there as null
    head: bool = True  # whether chunks have an id, a model, ...
    role: bool = True  # whether the first chunk says the role alone
    fragments: int = 1
    ids: str = "functions.f:{}"
    zeros: bool = True  # usage of zeros on the last chunk with a choice
    cumulative: bool = False  # usage so far on every chunk
    closing: bool = False  # a chunk with usage and without choices
    mixed: bool = True  # a last event in the legacy shape
    as_prompt: bool = False  # a completion's text instead of a message
    scored: bool = False  # with log probabilities
    halved: bool = False  # whether each piece of text has a token before it that is a part of a character


_FINGERPRINTS: Object = {"stop_reason": None, "matched_stop": 163586}


def result(said: Said, spelling: Spelling) -> Object:
    """A whole answer."""
    tokens = [token for piece in said.pieces for token in _tokens(piece, spelling)]
    scores = [score for token in tokens for score in _scores(token, spelling)]
    choice: Object = {"index": 0, "logprobs": {"content": scores} if scores else None, **_FINGERPRINTS}
    choice["finish_reason"] = _reason(said)
    if spelling.as_prompt:
        choice["text"] = said.text
    else:
        choice["message"] = _message(said, spelling)
    kind = "text_completion" if spelling.as_prompt else "chat.completion"
    answer: Object = {**_head(kind, spelling), "choices": [choice], "prompt_logprobs": None}
    return answer if said.usage is None else {**answer, "usage": said.usage}


def _message(said: Said, spelling: Spelling) -> Object:
    message: Object = {"role": "assistant", "content": said.text if said.pieces or not said.calls else None}
    if said.thinking or spelling.nulls:
        message[spelling.thinking] = "".join(said.thinking) or None
    if said.calls:
        message["tool_calls"] = [
            {
                "id": spelling.ids.format(index),
                "type": "function",
                "function": {"name": name, "arguments": compact(arguments)},
            }
            for index, (name, arguments) in enumerate(said.calls)
        ]
    elif spelling.nulls:
        message["tool_calls"] = None
    return message


def events(said: Said, spelling: Spelling) -> list[Object]:
    """The events of a stream."""
    kind = "text_completion" if spelling.as_prompt else "chat.completion.chunk"
    head = _head(kind, spelling)
    choices = [_choice(step, spelling) for step in _steps(said, spelling)]
    last = {
        **_choice({spelling.thinking: None} if spelling.nulls else {}, spelling),
        "finish_reason": _reason(said),
    }
    out = [{**head, "choices": [choice]} for choice in (*choices, last)]
    if spelling.zeros:
        out[-1]["usage"] = {"prompt_tokens": 0, "completion_tokens": 0}
    if said.usage is None:
        return out
    if spelling.cumulative:
        for number, chunk in enumerate(out):
            chunk["usage"] = {"prompt_tokens": said.usage["prompt_tokens"], "completion_tokens": number}
        out[-1]["usage"] = said.usage
    if spelling.closing:
        out.append({**head, "choices": [], "usage": said.usage})
    if spelling.mixed:
        out.append({"response": "", "usage": said.usage})
    return out


def _tokens(piece: str, spelling: Spelling) -> list[str]:
    """The texts of a piece's tokens: of one that is only a part of a character it is empty."""
    if not spelling.halved:
        return [piece]
    return ["", piece] if piece else []


def _scores(token: str, spelling: Spelling) -> list[Object]:
    """The log probabilities of a token with this text."""
    named = token or ("<0xF0>" if spelling.halved else "")
    return (
        [{"token": named, "logprob": -0.5, "bytes": None, "top_logprobs": []}]
        if named and spelling.scored
        else []
    )


def _reason(said: Said) -> str:
    return said.finish_reason or ("tool_calls" if said.calls else "stop")


def _head(kind: str, spelling: Spelling) -> Object:
    head = {"id": "id-1776784307643", "object": kind, "created": 1776784307, "model": "m"}
    return head if spelling.head else {}


def _choice(step: Object, spelling: Spelling) -> Object:
    """One choice of a chunk."""
    if spelling.as_prompt:
        return {"index": 0, "text": step.get("content") or "", "logprobs": None, "finish_reason": None}
    scores = _scores(step["content"], spelling) if step.keys() == {"content"} else []
    scored = {"logprobs": {"content": scores} if scores else None} if spelling.scored else {}
    return {"index": 0, "delta": step, "finish_reason": None, **scored}


def _steps(said: Said, spelling: Spelling) -> list[Object]:
    """The deltas: the role, what is thought, the text, the calls."""
    silent: Object = {"content": None} if spelling.nulls else {}
    steps: list[Object] = [{"role": "assistant", "content": ""}] if spelling.role else []
    steps += [{**silent, spelling.thinking: thought} for thought in said.thinking]
    steps += [{"content": token} for piece in said.pieces for token in _tokens(piece, spelling)]
    for index, call in enumerate(said.calls):
        steps += [{**silent, "tool_calls": [each]} for each in _fragments(index, call, spelling)]
    return steps


def _fragments(index: int, call: tuple[str, Object], spelling: Spelling) -> list[Object]:
    name, arguments = call
    text = compact(arguments)
    size = -(-len(text) // spelling.fragments)
    nulls: Object = {"id": None, "type": "function"} if spelling.nulls else {}
    nameless: Object = {"name": None} if spelling.nulls else {}
    head: Object = {"index": index, "id": spelling.ids.format(index), "type": "function"}
    head["function"] = {"name": name, "arguments": ""}
    return [
        head,
        *(
            {"index": index, **nulls, "function": {"arguments": text[at : at + size], **nameless}}
            for at in range(0, len(text), size)
        ),
    ]


def spellings(**fixed: Any) -> st.SearchStrategy[Spelling]:
    """Spellings, some of whose fields are fixed."""
    drawn = {
        "thinking": st.sampled_from(["reasoning_content", "reasoning"]),
        "nulls": st.booleans(),
        "head": st.booleans(),
        "role": st.booleans(),
        "fragments": st.integers(1, 4),
        "ids": st.sampled_from(["functions.f:{}", "call_{}", "toolu_0{}"]),
        "zeros": st.booleans(),
        "halved": st.booleans(),
        "cumulative": st.booleans(),
        "closing": st.booleans(),
        "mixed": st.booleans(),
    }
    return st.builds(Spelling, **{**drawn, **{name: st.just(value) for name, value in fixed.items()}})


_REASONS = st.none() | st.sampled_from(["stop", "length", "tool_calls", "content_filter"])
SAID = st.builds(Said, STRINGS, CALLS, USAGES, _REASONS, THOUGHTS)
COMPLETED = st.builds(Said, STRINGS, st.just(()), USAGES, st.none() | st.sampled_from(["stop", "length"]))
