"""The common answer, written as OpenAI's chat completion: whole, and streamed in one canonical form.

The stream's rules, each of which some client needs: `role` in the first delta of a choice only; `id`,
`type` and `name` of a call once and then absent; `choices` always a list; one `finish_reason` per choice;
`id`, `created` and `model` constant; usage null on every chunk but the last where the client asked for it
and absent where it did not.
"""

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from translators.call import Stamp
from translators.chat import ChatRequest
from translators.clients import openai_error
from translators.clients.chat_logprobs import ChatLogprobs, chat_logprobs
from translators.clients.openai_chat.read import wants_functions
from translators.deltas import (
    Arguments,
    Call,
    Choice,
    Completion,
    Delta,
    Failed,
    Finish,
    Reasoning,
    Refusal,
    Text,
    Usage,
    WholeCall,
)

DONE: Final = b"data: [DONE]\n\n"

_encode = msgspec.json.Encoder().encode


class ChatWriter:
    """Writes the answer to one request."""

    def __init__(self, request: ChatRequest, stamp: Stamp) -> None:
        self._id = f"chatcmpl-{stamp.token}"
        self._created = stamp.created
        self._model = request.model
        self._functions = wants_functions(request)
        # OpenAI ends a call of a named function with `stop`, and agents written for it expect that.
        self._named = request.tool_choice.mode == "named"
        self._include_usage = request.include_usage
        self._ended = False
        self._is_streaming = False

    def stream(self, deltas: Iterable[Delta]) -> bytes:
        """The events of some deltas."""
        if not self._is_streaming:
            self._begin_stream()
        return b"".join([self._event(delta) for delta in deltas])

    def end(self) -> bytes:
        """What closes a stream that has not failed."""
        return b"" if self._ended else DONE

    def whole(self, completion: Completion) -> bytes:
        """The body of a whole answer."""
        body: dict[str, Any] = {
            "id": self._id,
            "object": "chat.completion",
            "created": self._created,
            "model": self._model,
            "choices": [self._choice(choice) for choice in completion.choices],
        }
        if completion.usage is not None:
            body["usage"] = usage_fields(completion.usage)
        return _encode(body)

    def _begin_stream(self) -> None:
        self._is_streaming = True
        self._begun: set[int] = set()
        self._silent: set[int] = set()  # choices that have done nothing but think so far
        self._kinds: dict[tuple[int, int], str] = {}
        # What every event of the stream begins and ends with.
        head = {"id": self._id, "object": "chat.completion.chunk", "created": self._created}
        self._head = b"data: " + _encode({**head, "model": self._model})[:-1] + b',"choices":'
        self._tail = b',"usage":null}\n\n' if self._include_usage else b"}\n\n"
        self._text_end = b'},"logprobs":null,"finish_reason":null}]' + self._tail

    def _event(self, delta: Delta) -> bytes:
        match delta:
            case Text():
                if self._silent:
                    self._silent.discard(delta.choice)
                begin = b"" if delta.choice in self._begun else self._begin(delta.choice, "")
                return begin + self._text(delta)
            case Usage():
                if not self._include_usage:
                    return b""
                return self._head + b'[],"usage":' + _encode(usage_fields(delta)) + b"}\n\n"
            case Failed():
                self._ended = True
                return openai_error.event(delta.error)
            case Finish():
                begin = b"" if delta.choice in self._begun else self._begin(delta.choice, "")
                last = {"content": ""} if delta.choice in self._silent else {}
                return begin + self._chunk(delta.choice, last, self._reason(delta.reason))
            case Reasoning():
                if delta.choice in self._begun:
                    return self._chunk(delta.choice, self._delta(delta))
                self._silent.add(delta.choice)
                return self._begin(delta.choice, None) + self._chunk(delta.choice, self._delta(delta))
            case _:
                self._silent.discard(delta.choice)
                begin = b"" if delta.choice in self._begun else self._begin(delta.choice, None)
                return begin + self._chunk(delta.choice, self._delta(delta))

    def _begin(self, choice: int, content: str | None) -> bytes:
        self._begun.add(choice)
        return self._chunk(choice, {"role": "assistant", "content": content, "refusal": None})

    def _text(self, delta: Text) -> bytes:
        if delta.logprobs is not None:
            scores = chat_logprobs([delta.logprobs])
            return self._chunk(delta.choice, {"content": delta.text}, logprobs=scores)
        start = b'[{"index":%d,"delta":{"content":' % delta.choice
        return self._head + start + _encode(delta.text) + self._text_end

    def _chunk(
        self,
        choice: int,
        delta: dict[str, Any],
        reason: str | None = None,
        logprobs: ChatLogprobs | None = None,
    ) -> bytes:
        fields = {"index": choice, "delta": delta, "logprobs": logprobs, "finish_reason": reason}
        return self._head + _encode([fields]) + self._tail

    def _delta(self, delta: Refusal | Reasoning | Call | Arguments) -> dict[str, Any]:
        match delta:
            case Refusal():
                return {"refusal": delta.text}
            case Reasoning():
                return {"reasoning_content": delta.text}
            case Call() if self._functions:
                return {"function_call": {"name": delta.name, "arguments": ""}}
            case Arguments() if self._functions:
                return {"function_call": {"arguments": delta.text}}
            case Call():
                self._kinds[delta.choice, delta.index] = delta.kind
                payload = _payload(delta.kind, delta.name, "")
                return {"tool_calls": [{"index": delta.index, "id": delta.id, "type": delta.kind, **payload}]}
            case _:
                kind = self._kinds[delta.choice, delta.index]
                field = {"input": delta.text} if kind == "custom" else {"arguments": delta.text}
                return {"tool_calls": [{"index": delta.index, kind: field}]}

    def _reason(self, reason: str) -> str:
        if reason != "tool_calls":
            return reason
        if self._named:
            return "stop"
        return "function_call" if self._functions else reason

    def _choice(self, choice: Choice) -> dict[str, Any]:
        texts, calls, logprobs = _by_kind(choice)
        text, refusal = texts.get("text"), texts.get("refusal")
        if text is None and refusal is None and not calls:
            text = ""
        message: dict[str, Any] = {
            "role": "assistant",
            "content": text,
            "refusal": refusal,
            "annotations": [],
        }
        if "reasoning" in texts:
            message["reasoning_content"] = texts["reasoning"]
        if calls and self._functions:
            message["function_call"] = {"name": calls[0].name, "arguments": calls[0].arguments}
        elif calls:
            message["tool_calls"] = [_whole_call(call) for call in calls]
        return {
            "index": choice.index,
            "message": message,
            "logprobs": chat_logprobs(logprobs) if logprobs else None,
            "finish_reason": self._reason(choice.reason),
        }


def usage_fields(usage: Usage) -> dict[str, Any]:
    """OpenAI's usage object; details only where the backend reported them."""
    fields: dict[str, Any] = {
        "prompt_tokens": usage.prompt,
        "completion_tokens": usage.completion,
        "total_tokens": usage.prompt + usage.completion,
    }
    if usage.cached is not None:
        fields["prompt_tokens_details"] = {"cached_tokens": usage.cached}
    if usage.reasoning is not None:
        fields["completion_tokens_details"] = {"reasoning_tokens": usage.reasoning}
    return fields


def _by_kind(choice: Choice) -> tuple[dict[str, str], list[WholeCall], list[msgspec.Raw]]:
    """All text of each kind, the calls, and the pieces of the log probabilities."""
    texts: dict[str, str] = {}
    calls: list[WholeCall] = []
    logprobs: list[msgspec.Raw] = []
    for item in choice.items:
        if isinstance(item, WholeCall):
            calls.append(item)
        else:
            known = texts.get(item.kind)
            texts[item.kind] = item.text if known is None else known + item.text
            logprobs += item.logprobs
    return texts, calls, logprobs


def _whole_call(call: WholeCall) -> dict[str, Any]:
    return {"id": call.id, "type": call.kind, **_payload(call.kind, call.name, call.arguments)}


def _payload(kind: str, name: str, arguments: str) -> dict[str, dict[str, str]]:
    """A call's own part: `function` with JSON arguments, or `custom` with free input."""
    if kind == "custom":
        return {"custom": {"name": name, "input": arguments}}
    return {"function": {"name": name, "arguments": arguments}}
