"""What all wire forms of an answer share: ids, usage, server-sent events and their padding."""

import hashlib
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from gateway.simulator.model import Generation
from gateway.simulator.models import Model
from gateway.simulator.tools import ToolCall

# Captured streams pad each event with a prefix of this alphabet (no c, q, w), repeated; why is not said.
_PADDING = "abdefghijklmnoprstuvxyz1234567890" * 2
# Times of answers lie after this one; they derive from the request, so that the same request gets the same.
_EPOCH = 1_750_000_000
DONE = b"data: [DONE]\n\n"


@dataclass(frozen=True, slots=True)
class Wire:
    """How one answer is spelled."""

    model: Model
    fingerprint: bytes  # of the request; ids, times and padding derive from it
    faults: frozenset[str] = field(default=frozenset())  # odd spellings that were asked for

    @property
    def created(self) -> int:
        """When the answer came, in seconds."""
        return _EPOCH + int.from_bytes(self.fingerprint[:3], "big")

    @property
    def chat_id(self) -> str:
        """The answer's id as the engine makes it."""
        return f"chatcmpl-{self.fingerprint.hex()}"

    def call_id(self, choice: int, index: int, name: str) -> str:
        """Make a call's id. Kimi's count from 0 in every turn, so they repeat within a conversation."""
        if "kimi" in self.model.name or "duplicate-ids" in self.faults:
            return f"functions.{name}:{index}"
        seed = self.fingerprint + (choice * 1000 + index).to_bytes(4, "big")
        return f"call_{hashlib.blake2b(seed, digest_size=12).hexdigest()}"

    def arguments(self, call: ToolCall) -> str:
        """Write a call's arguments, with the slips of a careless model where asked for."""
        stated = call.arguments
        if "slipped-arguments" in self.faults:
            stated = {name: _slipped(value) for name, value in stated.items()}
        text = msgspec.json.encode(stated).decode()
        return f"{text[:-1]},}}" if "broken-arguments" in self.faults else text

    def usage(self, generations: Sequence[Generation]) -> dict[str, Any]:
        """State the cost so far; neurons by the price table, to four places (inferred)."""
        prompt = generations[0].prompt_tokens
        completion = sum(generation.completion_tokens for generation in generations)
        neurons = (prompt * self.model.neurons[0] + completion * self.model.neurons[1]) / 1_000_000
        return {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
            "neurons": round(neurons, 4),
        }


def _slipped(value: Any) -> Any:
    """Make a string of what ought to be something else."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def event(payload: Mapping[str, Any]) -> bytes:
    """Write one server-sent event."""
    return b"data: " + msgspec.json.encode(payload) + b"\n\n"


def padding(chance: random.Random) -> str:
    """Choose a padding; shortest and longest as seen in captures."""
    return _PADDING[: chance.randrange(7, 48)]
