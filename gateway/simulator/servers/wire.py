"""What whole answers and streams of a product share: ids, times, usage, finish reasons, calls."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from gateway.simulator.chances import logprob
from gateway.simulator.model import Generation
from gateway.simulator.servers.products import Product
from gateway.simulator.servers.request import Question
from gateway.simulator.tools import ToolCall

Json = dict[str, Any]
DONE = b"data: [DONE]\n\n"
_OLLAMA_IDS = 1000
_WITH_CACHE = 1024  # OpenAI tells of cached tokens from so many on


@dataclass(frozen=True, slots=True)
class Wire:
    """How one answer is spelled."""

    product: Product
    question: Question
    fingerprint: bytes  # of the request; ids derive from it
    clock: Callable[[], float]
    began: int
    cached: int = 0  # tokens of the prompt that the server still knew
    faults: frozenset[str] = field(default=frozenset())

    @property
    def created(self) -> int:
        """State the time: that of the answer, or of each chunk."""
        return int(self.clock()) if self.product.created_each else self.began

    def answer_id(self, prefix: str = "chatcmpl") -> str:
        """Make the answer's id."""
        match self.product.name:
            case "tgi":
                return ""
            case "ollama":
                return f"{prefix}-{int.from_bytes(self.fingerprint[:4], 'big') % _OLLAMA_IDS}"
            case "lmdeploy" | "sglang":
                return self.fingerprint.hex()
            case _:
                return f"{prefix}-{self.fingerprint.hex()}"

    def call_id(self, choice: int, at: int) -> str:
        """Make a call's id."""
        seed = self.fingerprint + (choice * 1000 + at).to_bytes(4, "big")
        chosen = hashlib.blake2b(seed, digest_size=16).hexdigest()
        match self.product.name:
            case "tgi":
                return "0"
            case "vllm" | "lmdeploy" | "tensorrt_llm":
                return f"chatcmpl-tool-{chosen}"
            case "llama_cpp":
                return chosen
            case "ollama":
                return f"call_{chosen[:8]}"
            case _:
                return f"call_{chosen[:24]}"

    def head(self, kind: str, prefix: str = "chatcmpl") -> Json:
        """State what every chunk and every answer begins with."""
        head = {
            "id": self.answer_id(prefix),
            "object": kind,
            "created": self.created,
            "model": self.question.model,
        }
        if "system_fingerprint" in self.product.answer and self.product.name != "vllm":
            head["system_fingerprint"] = self.product.answer["system_fingerprint"]
        return head

    def calls(self, generation: Generation) -> tuple[ToolCall, ...]:
        """Name the calls; TGI makes one at a time, others where they are told to."""
        is_single = self.question.is_single or self.product.calls == "tgi"
        return generation.calls[:1] if is_single else generation.calls

    def finish(self, generation: Generation) -> str:
        """Say why an answer ended."""
        for fault, reason in (("abort", "abort"), ("finish-error", "error"), ("finish-odd", "load")):
            if fault in self.faults:
                return reason
        if generation.finish == "tool_calls":
            if self.product.calls == "tgi":
                return "stop"  # its model ends the text of a call as any other
            return self.product.named_ends_with if self.question.names_tool else "tool_calls"
        return generation.finish

    def usage(self, generations: Sequence[Generation]) -> Json:
        """State the cost so far; the prompt of several choices counts once."""
        per_prompt = max(1, len(generations) // len(self.question.asked))
        prompt = sum(each.prompt_tokens for each in generations[::per_prompt])
        completion = sum(each.completion_tokens for each in generations)
        counts: Json = {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
        }
        reasoning = sum(each.reasoning_tokens for each in generations)
        match self.product.name:
            case "vllm":
                counts["prompt_tokens_details"] = None
            case "sglang":
                counts |= {"prompt_tokens_details": None, "reasoning_tokens": reasoning}
                if reasoning:
                    counts["completion_tokens_details"] = {"reasoning_tokens": reasoning}
            case "openai":
                cached = self.cached if prompt >= _WITH_CACHE else 0
                counts["prompt_tokens_details"] = {"cached_tokens": cached, "audio_tokens": 0}
                counts["completion_tokens_details"] = {
                    "reasoning_tokens": 0,
                    "audio_tokens": 0,
                    "accepted_prediction_tokens": 0,
                    "rejected_prediction_tokens": 0,
                }
        return counts

    def timings(self, generations: Sequence[Generation]) -> Json:
        """State what llama.cpp adds to the end of an answer; the times are invented."""
        if self.product.name != "llama_cpp":
            return {}
        prompt, said = generations[0].prompt_tokens, sum(each.completion_tokens for each in generations)
        counted = {"cache_n": self.cached, "prompt_n": prompt - self.cached, "predicted_n": said}
        return {"timings": {**counted, "prompt_ms": float(prompt), "predicted_ms": 10.0 * said}}

    def logprobs(self, pieces: Sequence[str], generation: Generation) -> Json | None:
        """State how likely each piece was, where that was asked for."""
        alternatives = generation.conversation.alternatives
        if alternatives is None:
            return None
        return {"content": [logprob(piece, alternatives) for piece in pieces]}


def written(call: ToolCall) -> str:
    """Write a call's arguments."""
    return json.dumps(call.arguments, ensure_ascii=False)


def event(payload: Json) -> bytes:
    """Write one server-sent event."""
    return b"data: " + msgspec.json.encode(payload) + b"\n\n"
