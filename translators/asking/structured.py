"""Structured output that a model is asked for by fields or in words, and asked for once more."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from translators.json_judge import Wanted

_ALONE: Final = "no other words, no code fence."


@dataclass(frozen=True, slots=True)
class StructuredOutput:
    """How a model is asked for JSON.

    Attributes:
        fields: What of the body asks for it; none where words do.
        words: The same as an instruction; none where the model takes no instructions.
        wanted: What the answer is held against; None where the model's own form of JSON is all there is.
    """

    fields: Mapping[str, Any]
    words: str
    wanted: Wanted | None

    @property
    def instruction(self) -> str:
        """What the model has to be told in words."""
        return "" if self.fields else self.words


def asked_in_words(wanted: Wanted, description: str | None = None, *, with_tools: bool) -> str:
    """The instruction that asks for JSON.

    Args:
        wanted: What the answer is held against.
        description: What it is for, where the client says so.
        with_tools: Whether the model may call tools in place of an answer.
    """
    answer = "Unless you call a tool, answer" if with_tools else "Answer"
    purpose = f"{description}\n" if description else ""
    return f"{purpose}{answer} with nothing but {_what(wanted)}"


def _what(wanted: Wanted) -> str:
    if wanted.schema is None:
        return f"a JSON object: {_ALONE}"
    schema = msgspec.json.encode(wanted.schema.source).decode()
    return f"JSON that satisfies the JSON Schema below: {_ALONE}\n{schema}"


def told(messages: Sequence[Mapping[str, Any]], words: str) -> list[Mapping[str, Any]]:
    """The messages with an instruction in the system's turn, which some chat templates want to be first."""
    first = messages[0] if messages else {}
    if first.get("role") != "system":
        return [{"role": "system", "content": words}, *messages]
    said = first["content"]
    content = [*said, {"type": "text", "text": words}] if isinstance(said, list) else f"{said}\n\n{words}"
    return [{**first, "content": content if said else words}, *messages[1:]]


def in_words(body: Mapping[str, Any], output: StructuredOutput) -> dict[str, Any]:
    """The body that asks in words in place of fields."""
    rest = {name: value for name, value in body.items() if name not in output.fields}
    return {**rest, "messages": told(body["messages"], output.words)}


def repairing(output: StructuredOutput, said: str, problems: str) -> list[dict[str, str]]:
    """The turns that show the model its answer and what is wrong with it."""
    turns = [{"role": "assistant", "content": said}] if said.strip() else []
    words = f"This is not the JSON that was asked for: {problems}.\n{output.words}"
    return [*turns, {"role": "user", "content": words}]
