"""OpenAI's older completions endpoint: a prompt in, text out.

Source: OpenAI's specification, `CreateCompletionRequest`. It reaches what chat cannot: the `prompt` form
of Workers AI's schema, and `raw`.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from translators.call import Stamp
from translators.chat import ChatRequest
from translators.clients import body, openai_error
from translators.clients.body import Object
from translators.clients.completion_logprobs import completion_logprobs
from translators.clients.openai_chat.parameters import Reader
from translators.clients.openai_chat.read import include_usage
from translators.clients.openai_chat.write import DONE, usage_fields
from translators.deltas import Block, Choice, Completion, Delta, Failed, Finish, Text, Usage
from translators.errors import invalid, wrong_type
from translators.report import Entry, Fate

_DEFAULT_MAX_TOKENS: Final = 16  # OpenAI's specification
_CHOICES: Final = body.IntegerIn(1, 128)
_LIMIT: Final = body.IntegerIn(1, 2**31)
_MAX_CALLS: Final = 128

STRUCTURAL: Final = frozenset(
    {"echo", "max_tokens", "model", "n", "prompt", "stop", "stream", "stream_options", "suffix"}
)

PLAIN: Final[Mapping[str, Reader]] = {
    "best_of": body.IntegerIn(1, 128),
    "frequency_penalty": body.number,
    "logit_bias": body.obj,
    "logprobs": body.IntegerIn(0, 5),
    "presence_penalty": body.number,
    "seed": body.integer,
    "temperature": body.number,
    "top_p": body.number,
    "user": body.text,
}

_encode = msgspec.json.Encoder().encode


def read(raw: bytes) -> ChatRequest:
    """The common request of a body.

    Raises:
        ApiError: 400 naming the parameter at fault.
    """
    fields = body.decode(raw)
    model = body.filled(body.required(fields, "model"), "model")
    given = {name: value for name, value in fields.items() if value is not None}
    prompts = _prompts(body.required(given, "prompt"))
    choices = _CHOICES(given.get("n", 1), "n")
    if len(prompts) * choices > _MAX_CALLS:
        raise invalid(
            f"'prompt' times 'n' asks for more than {_MAX_CALLS} answers.", "prompt", "invalid_value"
        )
    if body.text(given.get("suffix", ""), "suffix"):
        raise invalid(
            "'suffix' is not supported: the model cannot fill a gap.", "suffix", "unsupported_parameter"
        )
    settled = _settled(fields)
    return ChatRequest(
        model=model,
        prompts=prompts,
        max_tokens=_LIMIT(given["max_tokens"], "max_tokens") if "max_tokens" in given else None,
        usual_max_tokens=_DEFAULT_MAX_TOKENS,
        choices=choices,
        stop=body.stops(given.get("stop", []), "stop"),
        stream=body.boolean(given.get("stream", False), "stream"),
        include_usage=include_usage(given),
        parameters={name: PLAIN[name](value, name) for name, value in given.items() if name in PLAIN},
        extra={n: value for n, value in given.items() if n not in PLAIN and n not in STRUCTURAL},
        echo=body.boolean(given.get("echo", False), "echo"),
        sent={name: name for name in given if name not in settled},
        settled=settled,
    )


def _prompts(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    if not isinstance(value, list):
        raise wrong_type("prompt", "a string or an array of strings", value)
    if not value or not all(isinstance(each, str) for each in value):
        raise invalid(
            "'prompt' must be a string or an array of strings; arrays of token ids need the model's own "
            "vocabulary and are not supported.",
            "prompt",
            "invalid_type",
        )
    return tuple(value)


def _settled(fields: Object) -> dict[str, Entry]:
    entries = {name: Entry(name, Fate.KEPT) for name, value in fields.items() if value is None}
    for name in ("model", "stream", "stream_options", "suffix"):
        if name in fields:
            entries[name] = Entry(name, Fate.KEPT)
    if fields.get("echo") is not None:
        echo = fields["echo"] is True
        entries["echo"] = (
            Entry("echo", Fate.EMULATED, "the gateway puts the prompt first")
            if echo
            else Entry("echo", Fate.KEPT)
        )
    return entries


class CompletionWriter:
    """Writes the answer to one request."""

    def __init__(self, request: ChatRequest, stamp: Stamp) -> None:
        self._fields = {
            "id": f"cmpl-{stamp.token}",
            "object": "text_completion",
            "created": stamp.created,
            "model": request.model,
        }
        self._include_usage = request.include_usage
        self._echo = {
            number * request.choices + choice: prompt
            for number, prompt in enumerate(request.prompts if request.echo else ())
            for choice in range(request.choices)
        }
        # Where in the text of each choice the next token with a log probability begins.
        self._offsets = {choice: len(prompt) for choice, prompt in self._echo.items()}
        self._ended = False

    def stream(self, deltas: Iterable[Delta]) -> bytes:
        """The events of some deltas."""
        return b"".join(self._event(delta) for delta in deltas)

    def end(self) -> bytes:
        """What closes a stream that has not failed."""
        return b"" if self._ended else DONE

    def whole(self, completion: Completion) -> bytes:
        """The body of a whole answer."""
        answer: Object = {**self._fields, "choices": [self._whole_choice(c) for c in completion.choices]}
        if completion.usage is not None:
            answer["usage"] = usage_fields(completion.usage)
        return _encode(answer)

    def _whole_choice(self, choice: Choice) -> Object:
        text = self._echo.get(choice.index, "") + (choice.text_of("text") or "")
        pieces = [raw for item in choice.items if isinstance(item, Block) for raw in item.logprobs]
        return _choice(choice.index, text, _reason(choice.reason), self._scores(choice.index, pieces))

    def _event(self, delta: Delta) -> bytes:
        match delta:
            case Text():
                text = self._echo.pop(delta.choice, "") + delta.text
                pieces = [] if delta.logprobs is None else [delta.logprobs]
                return self._chunk(_choice(delta.choice, text, None, self._scores(delta.choice, pieces)))
            case Finish():
                text = self._echo.pop(delta.choice, "")
                return self._chunk(_choice(delta.choice, text, _reason(delta.reason)))
            case Usage():
                if not self._include_usage:
                    return b""
                return self._data({**self._fields, "choices": [], "usage": usage_fields(delta)})
            case Failed():
                self._ended = True
                return openai_error.event(delta.error)
            case _:
                return b""  # a completion has room for text alone

    def _scores(self, choice: int, pieces: Iterable[msgspec.Raw]) -> Object | None:
        scores, self._offsets[choice] = completion_logprobs(pieces, self._offsets.get(choice, 0))
        return scores

    def _chunk(self, choice: Object) -> bytes:
        usage = {"usage": None} if self._include_usage else {}
        return self._data({**self._fields, "choices": [choice], **usage})

    def _data(self, fields: Object) -> bytes:
        return b"data: " + _encode(fields) + b"\n\n"


def _choice(index: int, text: str, reason: str | None, logprobs: Object | None = None) -> Object:
    return {"text": text, "index": index, "logprobs": logprobs, "finish_reason": reason}


def _reason(reason: str) -> str:
    """The endpoint knows stop, length and content_filter only."""
    return "stop" if reason == "tool_calls" else reason
