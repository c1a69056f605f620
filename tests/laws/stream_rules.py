"""What a stream of chat completions must look like, for every client: the canonical form as one check.

Each rule is one that some client breaks without; the numbers are those of the reference on OpenAI's
surface (R1 to R12). The bytes are read by OpenAI's own decoder and its own types, strictly.
"""

import json
import re
from collections import defaultdict
from typing import Any

from openai._streaming import SSEDecoder
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types import Completion
from openai.types.chat import ChatCompletionChunk

Chunk = dict[str, Any]

_REASONS = {"stop", "length", "tool_calls", "content_filter", "function_call"}
_DONE = "[DONE]"


def data_of(raw: bytes) -> list[str]:
    """The data of all events; R8: framing is one `data: ` line and a blank one, in UTF-8, nothing else."""
    assert re.fullmatch(rb"(?:data: [^\r\n]+\n\n)*", raw), raw
    raw.decode("utf-8")
    return [event.data for event in SSEDecoder().iter_bytes(iter([raw]))]


def chunks_of(raw: bytes) -> list[Chunk]:
    """The chunks of a whole stream, without its end."""
    data = data_of(raw)
    assert data[-1] == _DONE
    assert data.count(_DONE) == 1
    return [json.loads(each) for each in data[:-1]]


def check_chat(raw: bytes, *, choices: int, include_usage: bool) -> list[Chunk]:
    """Assert every rule of an unbroken stream and give its chunks."""
    chunks = chunks_of(raw)
    _check_frame(chunks, "chat.completion.chunk")
    _check_usage(chunks, include_usage=include_usage)
    for chunk in chunks:
        for choice in chunk["choices"]:
            assert set(choice) == {"index", "delta", "logprobs", "finish_reason"}  # R3
            assert isinstance(choice["delta"], dict)
        _check_types(chunk)
    _check_order(chunks, choices)
    for index in range(choices):
        _check_choice([c for chunk in chunks for c in chunk["choices"] if c["index"] == index])
    return chunks


def check_completion(raw: bytes, *, choices: int, include_usage: bool) -> list[Chunk]:
    """The same for the older completions endpoint."""
    chunks = chunks_of(raw)
    _check_frame(chunks, "text_completion")
    _check_usage(chunks, include_usage=include_usage)
    for chunk in chunks:
        # The SDK's type is that of a whole answer, where the reason is never null.
        ended = [choice | {"finish_reason": choice["finish_reason"] or "stop"} for choice in chunk["choices"]]
        Completion.model_validate_json(json.dumps(chunk | {"choices": ended}), strict=True)
    for index in range(choices):
        own = [c for chunk in chunks for c in chunk["choices"] if c["index"] == index]
        reasons = [choice["finish_reason"] for choice in own]
        assert reasons[-1] in {"stop", "length", "content_filter"}
        assert reasons[:-1] == [None] * (len(reasons) - 1)
    return chunks


def check_broken(raw: bytes) -> dict[str, Any]:
    """Assert that a stream ends with one in-band error and nothing behind it; give the error (R11)."""
    data = data_of(raw)
    assert _DONE not in data
    *before, last = [json.loads(each) for each in data]
    assert set(last) == {"error"}
    assert set(last["error"]) == {"message", "type", "param", "code"}
    for chunk in before:
        assert "error" not in chunk
    error: dict[str, Any] = last["error"]
    return error


def _check_frame(chunks: list[Chunk], kind: str) -> None:
    assert {chunk["object"] for chunk in chunks} == {kind}  # R7
    for constant in ("id", "created", "model"):  # R9
        assert len({chunk[constant] for chunk in chunks}) == 1
        assert chunks[0][constant]
    for chunk in chunks:
        assert "error" not in chunk  # R7: `error: null` breaks a client
        assert "obfuscation" not in chunk  # R10
        assert isinstance(chunk["choices"], list)  # R3


def _check_usage(chunks: list[Chunk], *, include_usage: bool) -> None:
    """R6: asked for, it is null everywhere but on the last chunk, which has no choices."""
    if not include_usage:
        assert all("usage" not in chunk for chunk in chunks)
        assert all(chunk["choices"] for chunk in chunks)
        return
    *others, last = chunks
    assert all(chunk["usage"] is None for chunk in others)
    assert all(chunk["choices"] for chunk in others)
    assert last["choices"] == []
    usage = last["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


def _check_types(chunk: Chunk) -> None:
    """The SDK's own model, strictly. It has no word for custom calls, which real streams carry too."""
    calls = [call for choice in chunk["choices"] for call in choice["delta"].get("tool_calls", ())]
    if any(call.get("type") == "custom" for call in calls):
        chunk = json.loads(json.dumps(chunk).replace('"type": "custom"', '"type": "function"'))
    ChatCompletionChunk.model_validate_json(json.dumps(chunk), strict=True)


def _check_order(chunks: list[Chunk], choices: int) -> None:
    """R4: choice k begins after choice k-1."""
    first_seen = list(dict.fromkeys(choice["index"] for chunk in chunks for choice in chunk["choices"]))
    assert first_seen == list(range(choices))


def _check_choice(parts: list[dict[str, Any]]) -> None:
    roles = [part["delta"].get("role") for part in parts]
    assert roles == ["assistant"] + [None] * (len(parts) - 1)  # R1
    assert all("role" not in part["delta"] for part in parts[1:])
    reasons = [part["finish_reason"] for part in parts]
    assert reasons[-1] in _REASONS  # R5
    assert reasons[:-1] == [None] * (len(parts) - 1)
    _check_calls([call for part in parts for call in part["delta"].get("tool_calls", ())])


def _check_calls(fragments: list[dict[str, Any]]) -> None:
    """R2: id, type and name in a call's first fragment and absent afterwards; indexes from 0, in order."""
    by_index = defaultdict(list)
    for fragment in fragments:
        by_index[fragment["index"]].append(fragment)
    assert list(by_index) == list(range(len(by_index)))
    for first, *rest in by_index.values():
        kind = first["type"]
        assert kind in {"function", "custom"}
        assert first["id"]
        assert first[kind]["name"]
        text = "input" if kind == "custom" else "arguments"
        assert first[kind][text] == ""
        assert all(set(part) == {"index", kind} and set(part[kind]) == {text} for part in rest)


def accumulated(chunks: list[Chunk]) -> dict[str, Any]:
    """What OpenAI's SDK makes of a stream: choice -> message and finish reason."""
    state: ChatCompletionStreamState[Any] = ChatCompletionStreamState()
    for chunk in chunks:
        state.handle_chunk(ChatCompletionChunk.model_validate(chunk))
    return state.current_completion_snapshot.to_dict(mode="json")  # type: ignore[return-value]
