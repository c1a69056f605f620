"""The simulated account: from a request's body to an answer, whole or as events. Pure; `app` sends it."""

import hashlib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from gateway.simulator import conversation, edge, legacy, validator
from gateway.simulator.model import Generation
from gateway.simulator.models import MODELS, Model
from gateway.simulator.vocabulary import Vocabulary

Answer = edge.Refusal | dict[str, Any] | Iterator[bytes]


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer that reached Workers AI, with the id that its headers carry."""

    request_id: str
    answer: Answer


class Account:
    """One Cloudflare account with its models."""

    def __init__(self, *, seed: int = 0, numeric_responses: bool = False) -> None:
        self._salt = str(seed).encode()
        self._vocabulary = Vocabulary(seed)
        self._numeric_responses = numeric_responses

    def fingerprint(self, *parts: bytes) -> bytes:
        """Derive what looks random from the request and the seed."""
        return hashlib.blake2b(b"\0".join((self._salt, *parts)), digest_size=16).digest()

    def run(self, name: str, body: bytes) -> Reply:
        """Answer `POST /ai/run/{model}`."""
        request_id = str(uuid.UUID(bytes=self.fingerprint(name.encode(), body), version=4))
        return Reply(request_id, self._answer(name, body, request_id))

    def _answer(self, name: str, body: bytes, request_id: str) -> Answer:
        model = MODELS.get(name)
        if model is None:
            text = f"No such model: No such model {name} or task ({request_id})"
            return edge.model_refusal(400, 5007, text)
        if not body:
            return edge.model_refusal(400, 3003, "Request is missing headers or body: body")
        try:
            value = msgspec.json.decode(body)
            if refused := validator.refusal(model.input, value):
                return edge.model_refusal(400, 5006, f"Bad input: Error: {refused}")
            return self._generate(model, value, request_id)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            # Inferred, as the next: no capture shows a body that is not JSON.
            return edge.model_refusal(400, 5006, f"Bad input: SyntaxError: {error}")
        except RecursionError:
            return edge.model_refusal(400, 5006, "Bad input: RangeError: the body is nested too deeply")

    def _generate(self, model: Model, body: dict[str, Any], request_id: str) -> Answer:
        prompt_form = model.input["oneOf"][0]
        as_prompt = "prompt" in body and validator.refusal(prompt_form, body) is None
        asked = conversation.read(body, as_prompt=as_prompt)
        same = {key: value for key, value in body.items() if key != "stream"}
        fingerprint = self.fingerprint(model.name.encode(), msgspec.json.encode(same, order="sorted"))
        variant = fingerprint[0] if asked.temperature > 0 else 0
        generation = Generation(asked, self._vocabulary, variant)
        if generation.prompt_tokens + asked.max_tokens > model.window:
            return _over_window(generation.prompt_tokens, asked.max_tokens, model.window, request_id)
        if body.get("stream") is True:
            return legacy.events(generation, model, legacy.Wire(fingerprint, self._numeric_responses))
        return legacy.whole(generation, model)


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


def search(text: str) -> dict[str, Any]:
    """Answer `GET /ai/models/search` with the simulated models whose name holds `text`."""
    found = [_catalogue_entry(model) for model in MODELS.values() if text.lower() in model.name.lower()]
    count = len(found)
    info = {"count": count, "page": 1, "per_page": 100, "total_count": count}
    return {"success": True, "result": found, "errors": [], "messages": [], "result_info": info}


def _catalogue_entry(model: Model) -> dict[str, Any]:
    prices = [
        {"unit": f"per M {side} tokens", "price": price, "currency": "USD"}
        for side, price in zip(("input", "output"), model.dollars, strict=True)
    ]
    properties: list[dict[str, Any]] = [
        {"property_id": "context_window", "value": str(model.window)},
        {"property_id": "price", "value": prices},
        *({"property_id": name, "value": "true"} for name in model.properties),
    ]
    return {
        "id": str(uuid.uuid5(uuid.NAMESPACE_URL, model.name)),
        "source": 1,
        "name": model.name,
        "description": model.description,
        "task": {
            "id": str(uuid.uuid5(uuid.NAMESPACE_URL, "Text Generation")),
            "name": "Text Generation",
            "description": "Models that continue text or answer messages.",
        },
        "tags": [],
        "properties": properties,
    }
