"""One answer in progress, in whatever shape it comes.

Three shapes occur, and two of them even in one stream: the legacy one (`response`, `tool_calls`), OpenAI's
(`choices`), whose stream ends with a legacy-shaped event that holds the true usage, and gpt-oss's
Responses (`output`). So the shape is read off each event and never assumed from the model. A whole answer
is read as a stream of one event, so the two agree (law 4). Of several choices that come together each says
its number; only OpenAI's shape has more than one.
"""

from typing import Any, Final

import msgspec
from msgspec import UNSET

from translators.answers.calls import Calls
from translators.answers.output import read_output
from translators.answers.usage import read_usage
from translators.call import Stamp
from translators.deltas import Arguments, Call, Delta, Finish, Reason, Reasoning, Refusal, Text, Usage

_CHARACTERS_PER_TOKEN: Final = 4

_REASONS: Final[dict[str, Reason]] = {
    "stop": "stop",
    "length": "length",
    "model_length": "length",
    "max_tokens": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
}


# Words by which a backend says that it failed (Cloudflare's own provider knows "error", LMDeploy the second).
_FAILURES: Final = frozenset({"error", "parse_error", "abort", "cancelled", "failed"})


_ANSWERED: Final = (Text, Refusal, Call, Arguments)
_COUNTED: Final = (Text, Reasoning, Refusal, Arguments)


class Payload(msgspec.Struct, gc=False):
    """One event, or the `result` of a whole answer. Unknown fields (`p`, the padding) fall away."""

    response: msgspec.Raw | msgspec.UnsetType = UNSET
    tool_calls: Any = UNSET
    choices: Any = UNSET
    output: Any = UNSET
    usage: Any = None
    finish_reason: Any = None
    status: Any = None
    errors: Any = None
    error: Any = None
    streamed_data: msgspec.Raw | msgspec.UnsetType = UNSET

    @property
    def is_answer(self) -> bool:
        """Whether it has one of the known shapes: usage alone is no answer."""
        legacy = self.response is not UNSET or self.tool_calls is not UNSET
        return (
            legacy
            or isinstance(self.finish_reason, str)
            or isinstance(self.output, list)
            or any(isinstance(each, dict) for each in self.listed)
        )

    @property
    def listed(self) -> list[Any]:
        """The choices of OpenAI's shape."""
        if isinstance(self.output, list):
            return [read_output(self.output, self.status)]
        return self.choices if isinstance(self.choices, list) else []


_text_of: Final = msgspec.json.Decoder(str)
_payloads: Final = msgspec.json.Decoder(list[Payload] | None)


class _Choice(msgspec.Struct, eq=False, gc=False):
    """One choice in progress.

    Attributes:
        stamp: Whence the ids of its calls come.
        first: The number of the answer's first choice, for those ids.
        number: Its own.
        calls: Made with the first that comes.
        reason: Why it ends, where the backend has said so.
        came: Whether the backend has said anything of it.
    """

    stamp: Stamp
    first: int
    number: int
    calls: Calls | None = None
    reason: Reason | None = None
    came: bool = False

    def text(self, out: list[Delta], content: Any, logprobs: Any = None) -> None:
        text = _spelt(content)
        # A token that is only a part of a character has an empty text. Behind a call one would end that call.
        if text or (content == "" and not self.calls and _has_tokens(logprobs)):
            raw = msgspec.Raw(msgspec.json.encode(logprobs)) if logprobs else None
            out.append(Text(self.number, text, raw))

    def call(self, out: list[Delta], value: Any, *, whole: bool = False) -> None:
        if not value:
            return
        if self.calls is None:
            self.calls = Calls(self.stamp, self.first + self.number, self.number)
        out += self.calls.take(value, whole=whole)

    def end(self, out: list[Delta], reason: Reason) -> None:
        if self.calls is not None:
            out += self.calls.end()
        out.append(Finish(self.number, reason))


class Answer:
    """One answer in progress.

    Args:
        stamp: Whence the ids of calls come.
        choice: Which choice of a fan-out this is, for the ids; the deltas themselves begin with choice 0.
        max_tokens: What was asked for: as many tokens mean that the answer was cut.
        prompt_estimate: The prompt in tokens, for when the backend reports nothing.
        choices: How many choices were asked for.
    """

    def __init__(
        self, stamp: Stamp, choice: int, max_tokens: int, prompt_estimate: int, choices: int = 1
    ) -> None:
        self._choices = [_Choice(stamp, choice, 0)]
        if choices > 1:
            self._choices += [_Choice(stamp, choice, number) for number in range(1, choices)]
        self._max_tokens = max_tokens
        self._prompt_estimate = prompt_estimate
        self._characters = 0
        self._usage: Usage | None = None
        self._usage_closes = False
        self.spoke = False  # whether something came that had a shape that is known
        self.broke = False  # whether the backend itself says that it failed

    @property
    def ended(self) -> bool:
        """Whether the backend has said something that comes only at the end."""
        return self._usage_closes or all(each.reason is not None for each in self._choices)

    @property
    def lacks_choices(self) -> bool:
        """Whether of several choices one has not come."""
        return len(self._choices) > 1 and not all(each.came for each in self._choices)

    def take(self, payload: Payload) -> list[Delta]:
        """The deltas of one event.

        Raises:
            msgspec.DecodeError: A part of it cannot be read.
        """
        out: list[Delta] = []
        if payload.streamed_data is not UNSET:
            self._take_events(out, payload.streamed_data)
        counted, first = len(out), self._choices[0]
        is_legacy = payload.choices is UNSET and payload.output is UNSET
        choices = [] if is_legacy else payload.listed
        if not (choices and self._take_choices(out, choices)):  # what is said in both shapes is said once
            if payload.response is not UNSET and (text := _text(payload.response)):
                out.append(Text(first.number, text))
            if payload.tool_calls:
                first.call(out, payload.tool_calls)
        self.spoke = self.spoke or bool(out) or payload.is_answer
        if isinstance(payload.status, str) and payload.status in _FAILURES:
            self.broke = True
        if payload.finish_reason is not None:
            self._end_of(first, payload.finish_reason)
        # Of several events in one the last has told.
        closed_until_now = self._usage_closes and payload.streamed_data is UNSET
        if closed_until_now or payload.usage is not None:
            self._take_usage(payload.usage, alone=not (out or choices))
        for delta in out[counted:]:
            if isinstance(delta, _COUNTED):
                self._characters += len(delta.text)
        return out

    def end(self) -> list[Delta]:
        """What follows the last event, but for the usage."""
        out: list[Delta] = []
        for each in self._choices:
            each.end(out, self._finish(each))
        return out

    def usage(self) -> Usage:
        """What the backend reported, or else what we counted so far."""
        if self._usage is not None:
            return self._usage
        completion = -(-self._characters // _CHARACTERS_PER_TOKEN)
        return Usage(self._prompt_estimate, completion, estimated=True)

    def _take_events(self, out: list[Delta], events: msgspec.Raw) -> None:
        """Several events in one, which LangChain's client knows."""
        for each in _payloads.decode(events) or ():
            self.broke = self.broke or bool(each.errors or each.error)
            if self.broke:
                return
            out += self.take(each)

    def _take_choices(self, out: list[Delta], choices: list[Any]) -> bool:
        """Take what OpenAI's shape says; whether anything of an answer was in it."""
        before = len(out)
        for place, said in enumerate(choices):
            choice = self._meant(said, place) if isinstance(said, dict) else None
            if choice is not None:
                self._take_choice(out, choice, said)
        return any(isinstance(delta, _ANSWERED) for delta in out[before:])

    def _meant(self, said: dict[str, Any], place: int) -> _Choice | None:
        """Which choice this is; by its place where it does not say, and none where so many are not wanted."""
        if len(self._choices) == 1:
            return self._choices[0]
        number = said.get("index")
        number = number if isinstance(number, int) and not isinstance(number, bool) else place
        return self._choices[number] if 0 <= number < len(self._choices) else None

    def _take_choice(self, out: list[Delta], choice: _Choice, said: dict[str, Any]) -> None:
        """One choice in OpenAI's shape: a delta, a whole message, or a completion's text."""
        choice.came = True
        part = said.get("delta")
        message = part or said.get("message") or {}
        if not isinstance(message, dict):
            return
        # Three conventions for one thing: reasoning_content (Qwen, GLM, Kimi), reasoning (Nemotron).
        thinking = message.get("reasoning_content") or message.get("reasoning")
        if isinstance(thinking, str) and thinking:
            out.append(Reasoning(choice.number, thinking))
        content = message.get("content")
        if content == "" and (thinking or message.get("tool_calls")):
            content = None  # beside something else an empty text is none
        choice.text(out, content, said.get("logprobs"))
        choice.text(out, said.get("text"), said.get("logprobs"))
        if isinstance(message.get("refusal"), str) and message["refusal"]:
            out.append(Refusal(choice.number, message["refusal"]))
        choice.call(out, message.get("tool_calls"), whole=not part)
        if isinstance(message.get("function_call"), dict):  # OpenAI's old form of a single call
            call = {"index": 0, "function": message["function_call"]}
            choice.call(out, [call], whole=not part)
        self._end_of(choice, said.get("finish_reason"))

    def _end_of(self, choice: _Choice, reason: Any) -> None:
        if isinstance(reason, str) and reason:
            self.broke = self.broke or reason in _FAILURES
            choice.reason = _REASONS.get(reason, "stop")

    def _take_usage(self, value: Any, *, alone: bool) -> None:
        """Take the last usage; chunks before it repeat or zero it, and are neither summed nor believed.

        Usage that stands alone ends a stream, unless more of the answer follows.
        """
        usage = None if value is None else read_usage(value)
        known = usage is not None and bool(usage.prompt or usage.completion)
        if known:
            self._usage = usage
        self._usage_closes = alone and (known or self._usage_closes)

    def _finish(self, choice: _Choice) -> Reason:
        reason = choice.reason
        if choice.calls:
            return "tool_calls" if reason in (None, "stop") else reason
        if reason is not None:
            return "stop" if reason == "tool_calls" else reason  # what was announced has not come
        most = self._max_tokens * len(self._choices)
        cut = self._usage is not None and self._usage.completion >= most
        return "length" if cut else "stop"


def _text(response: msgspec.Raw) -> str:
    """`response` as text: a token that is a number, or JSON mode's object, comes as such, not as a string."""
    raw = bytes(response)
    if raw.startswith(b'"'):
        return _text_of.decode(raw)
    return "" if raw == b"null" else raw.decode()


def _spelt(content: Any) -> str:
    """Content in OpenAI's shape as text: a list of text parts is joined, other JSON is spelt out."""
    if isinstance(content, str):
        return content
    if content is None:
        return ""
    if isinstance(content, list) and all(_is_text_part(part) for part in content):
        return "".join(part["text"] for part in content)
    return msgspec.json.encode(content).decode()


def _has_tokens(logprobs: Any) -> bool:
    """Whether log probabilities, in the form of either endpoint, are those of some tokens."""
    return isinstance(logprobs, dict) and bool(logprobs.get("content") or logprobs.get("tokens"))


def _is_text_part(part: Any) -> bool:
    return isinstance(part, dict) and isinstance(part.get("text"), str) and "type" in part
