"""The simulated account: from a request's body to an answer, whole or as events. `app` sends it."""

import hashlib
import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from gateway.simulator import (
    chat,
    chat_stream,
    codes,
    composition,
    conversation,
    ecmascript,
    edge,
    faults,
    guard,
    legacy,
    models,
    responses,
    strict,
    validator,
)
from gateway.simulator.faults import Fault
from gateway.simulator.model import Generation
from gateway.simulator.models import Model
from gateway.simulator.vocabulary import Vocabulary
from gateway.simulator.wire import Wire

Answer = edge.Refusal | dict[str, Any] | Iterator[bytes]

# Kimi's server looks into plain text for pictures and fails at what merely looks like one.
_DATA_URL = re.compile(r"data:image/[\w.+-]+;base64,(?![A-Za-z0-9+/]{4})")


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer that reached Workers AI, with the id that its headers carry and the fault that it suffers."""

    request_id: str
    answer: Answer
    fault: Fault | None = None


class Account:
    """One Cloudflare account with its models."""

    def __init__(
        self,
        clock: Callable[[], float],
        *,
        seed: int = 0,
        numeric_responses: bool = False,
        gpt_oss_streams: bool = True,
        requests_per_minute: int | None = None,
    ) -> None:
        self._clock = clock
        self._salt = str(seed).encode()
        self._vocabulary = Vocabulary(seed)
        self._faults = frozenset({"numeric-response"} if numeric_responses else ())
        self._gpt_oss_streams = gpt_oss_streams
        self._requests_per_minute = requests_per_minute
        self._requests: dict[str, tuple[int, int]] = {}  # by model: which minute, how many in it

    def fingerprint(self, *parts: bytes) -> bytes:
        """Derive what looks random from the request and the seed."""
        return hashlib.blake2b(b"\0".join((self._salt, *parts)), digest_size=16).digest()

    def run(self, name: str, body: bytes, chosen: Fault | None = None) -> Reply:
        """Answer `POST /ai/run/{model}`; `chosen` is the fault that a header names."""
        request_id = str(uuid.UUID(bytes=self.fingerprint(name.encode(), body), version=4))
        fault = chosen or faults.of_model(name)
        if refused := self._refused(name, fault, request_id):
            return Reply(request_id, refused)
        return Reply(request_id, self._answer(name, body, fault, request_id), fault)

    def _refused(self, name: str, fault: Fault | None, request_id: str) -> edge.Refusal | None:
        """Refuse whatever the body says: by a chosen code, or because there were too many requests."""
        kind, argument = fault or ("", 0)
        if kind == "code":
            return codes.refusal(argument, model=name, request_id=request_id)
        limit = argument if kind == "rate-limit" else self._requests_per_minute
        if limit is None:
            return None
        minute = int(self._clock() // 60)
        last, count = self._requests.get(name, (minute, 0))
        count = count + 1 if last == minute else 1
        self._requests[name] = (minute, count)
        return codes.refusal(3021, model=name, request_id=request_id) if count > limit else None

    def _answer(self, name: str, body: bytes, fault: Fault | None, request_id: str) -> Answer:
        model = _find(name)
        if model is None:
            return codes.refusal(5007, model=name, request_id=request_id)
        if not body:
            return codes.refusal(3003, model=name, request_id=request_id)
        try:
            value = ecmascript.decode(body)
            if refused := model.refusal(value):
                return edge.model_refusal(400, 5006, f"Bad input: Error: {refused}")
            return self._generate(model, value, fault, request_id)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            # Inferred, as the next: no capture shows a body that is not JSON.
            return edge.model_refusal(400, 5006, f"Bad input: SyntaxError: {error}")
        except RecursionError:
            return edge.model_refusal(400, 5006, "Bad input: RangeError: the body is nested too deeply")

    def _generate(self, model: Model, sent: dict[str, Any], fault: Fault | None, request_id: str) -> Answer:
        if fault and fault.name == "busy" and _would_not_wait(sent):
            return codes.refusal(3040, model=model.name, request_id=request_id)
        form = _form(model, sent)
        body = responses.as_chat(sent) if form == "input" else model.understood(sent)
        if fault and fault.name == "ignored-tools":
            body = {key: value for key, value in body.items() if key not in ("tools", "tool_choice")}
        asked = conversation.read(body, as_prompt=form == "prompt", unless_told=composition.defaults(model))
        asked = composition.fitted(model, body, asked, self._vocabulary)
        same = {key: value for key, value in sent.items() if key != "stream"}
        fingerprint = self.fingerprint(model.name.encode(), msgspec.json.encode(same, order="sorted"))
        wanted = self._faults | ({fault.name} if fault else set())
        generations = composition.compose(model, asked, self._vocabulary, fingerprint, wanted)
        if refused := _unfit(model, asked, sent, generations[0], request_id):
            return refused
        wire = Wire(model, fingerprint, wanted)
        is_streamed = sent.get("stream") is True
        if is_streamed and self._streams_as_json(model, wire):
            return {}
        return _spelled(generations, wire, form, is_streamed=is_streamed)

    def _streams_as_json(self, model: Model, wire: Wire) -> bool:
        """Whether a stream is answered with an empty result, as gpt-oss may do."""
        is_gpt_oss = model.family == "openai+responses" and not self._gpt_oss_streams
        return is_gpt_oss or "json-for-stream" in wire.faults


def _would_not_wait(body: Mapping[str, Any]) -> bool:
    options = body.get("options")
    return isinstance(options, dict) and options.get("rejectIfBusy") is True


def _find(name: str) -> Model | None:
    """Find a model; a fault's name is one that answers like another."""
    if fault := faults.of_model(name):
        return replace(models.models()[faults.MENU[fault.name].like], alias=name)
    return models.find(name)


def _form(model: Model, body: Mapping[str, Any]) -> str:
    """Say which form of the input a body has: `messages`, `prompt` or `input`."""
    if model.family == "legacy_guard":
        return "messages"
    if not model.speaks_openai:
        prompt_form = model.input["oneOf"][0]
        is_prompt = "prompt" in body and validator.refusal(prompt_form, body) is None
        return "prompt" if is_prompt else "messages"
    prompt, messages, *more = model.input["anyOf"]
    forms = zip(("messages", "prompt", "input"), (messages, prompt, *more), strict=False)
    return next(name for name, form in forms if strict.refusal(form, body) is None)


def _spelled(generations: tuple[Generation, ...], wire: Wire, form: str, *, is_streamed: bool) -> Answer:
    """Write the answer in the wire form of the model's family."""
    first = generations[0]
    if form == "input":
        return responses.whole(first, wire)
    if wire.model.family in {"legacy", "legacy_guard"}:
        if is_streamed:
            return legacy.events(first, wire)
        if wire.model.family == "legacy_guard" and first.conversation.schema is not None:
            return legacy.judged(first, guard.categories(first.conversation), wire)
        return legacy.whole(first, wire)
    as_prompt = form == "prompt"
    if is_streamed:
        return chat_stream.events(generations, wire, as_prompt=as_prompt)
    return chat.whole(generations, wire, as_prompt=as_prompt)


def _unfit(
    model: Model,
    asked: conversation.Conversation,
    body: Mapping[str, Any],
    generation: Generation,
    request_id: str,
) -> edge.Refusal | None:
    """Refuse what only the engine sees: too many tokens, modes that exclude each other, odd pictures."""
    if model.window is not None and generation.prompt_tokens + asked.max_tokens > model.window:
        return _over_window(generation.prompt_tokens, asked.max_tokens, model.window, request_id)
    code = 0
    wanted = body.get("response_format")
    is_schema = isinstance(wanted, dict) and wanted.get("type") == "json_schema"
    if model.family == "legacy" and is_schema and asked.schema is not None and body.get("stream") is True:
        code = 5023
    elif model.speaks_openai and body.get("tool_choice") == "any":
        code = 8001
    elif "kimi" in model.name and any(_DATA_URL.search(turn.text) for turn in asked.turns):
        code = 8006
    return codes.refusal(code, model=model.name, request_id=request_id) if code else None


def _over_window(prompt: int, completion: int, window: int, request_id: str) -> edge.Refusal:
    """Pass on the engine's own refusal, as JSON inside the message."""
    text = (
        f"Requested token count exceeds the model's maximum context length of {window} tokens. "
        f"You requested a total of {prompt + completion} tokens: {prompt} tokens from the input messages "
        f"and {completion} tokens for the completion. Please reduce the number of tokens in the input "
        "messages or the completion to fit within the limit."
    )
    engine = {"object": "error", "message": text, "type": "BadRequestError", "param": None, "code": 400}
    return edge.model_refusal(400, 8007, f"AiError: {msgspec.json.encode(engine).decode()} ({request_id})")
