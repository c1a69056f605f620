"""Structured output, in the way in which a model can be asked for it.

Models with `response_format` take the bare JSON Schema in the legacy schema, where OpenAI has an envelope.
Those with OpenAI's own schema are typed with the envelope, while Cloudflare's own provider sends them the
bare one: they get an object that can be read either way. Some models have `guided_json` in its place. To
the rest it is said in words; so it is to all where a schema contains itself, for whether JSON mode follows
references is not known, and without them such a schema cannot be written.

Both fields are refused together with a stream (code 5023): such an answer is asked for whole, and becomes a
stream here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from translators.backends.workers_ai.catalogue import Facts
from translators.backends.workers_ai.guided import GUIDED, format_name
from translators.chat import ChatRequest, ResponseFormat
from translators.json_judge import Wanted, wanted_json
from translators.report import Fate, Report
from translators.schemas import Budget

_NAME: Final = "response_format"
_SCHEMA: Final = "response_format.json_schema.schema"

_ALONE: Final = "no other words, no code fence."
_CHECKED: Final = (
    "the answer is checked: its JSON alone is given out, or asked for once more where it is wrong"
)
_MOST_QUOTED: Final = 60  # characters of a pattern


@dataclass(frozen=True, slots=True)
class StructuredOutput:
    """How a model is asked for JSON.

    Attributes:
        fields: What of the body asks for it; none where words do.
        words: The same as an instruction.
        wanted: What the answer is held against; None where the model's own form of JSON is all there is.
    """

    fields: Mapping[str, Any]
    words: str
    wanted: Wanted | None

    @property
    def instruction(self) -> str:
        """What the model has to be told in words."""
        return "" if self.fields else self.words


def translate_format(
    chat: ChatRequest,
    facts: Facts,
    report: Report,
    budget: Budget | None = None,
    *,
    with_tools: bool = False,
) -> StructuredOutput | None:
    """How to ask for the format, where one is asked for.

    Args:
        chat: What the client asked for.
        facts: What the model takes.
        report: Told what becomes of it.
        budget: What its schema shares with those of the tools.
        with_tools: Whether the model may call tools in place of an answer.

    Raises:
        ApiError: 400 naming a schema that is out of bounds or wrong in itself.
    """
    form, name = chat.response_format, format_name(chat)
    if form is None:
        return None
    if facts.guards:
        fate = Fate.KEPT if form.type == "json_object" else Fate.TRANSFORMED
        report.note(_NAME, fate, "" if fate is Fate.KEPT else "the model has one form of JSON, its own")
        return StructuredOutput({_NAME: {"type": "json_object"}}, "", None)
    wanted = wanted_json(form, _SCHEMA if name == _NAME else name, budget)
    answer = "Unless you call a tool, answer" if with_tools else "Answer"
    words = f"{answer} with nothing but {_what(wanted)}"
    fields, fate, detail = _fields(form, wanted, facts)
    if chat.prompts and facts.takes_prompt:
        return _unchecked(fields, name, report)
    if name == GUIDED and _NAME in fields:
        report.note(name, Fate.TRANSFORMED, f"it is sent as '{_NAME}'")
    if detail and not (name == GUIDED and GUIDED in fields):
        report.note(name, fate, detail)
    _note_judging(wanted, name, report)
    return StructuredOutput(fields, words, wanted)


def _unchecked(fields: Mapping[str, Any], name: str, report: Report) -> StructuredOutput | None:
    """How to ask for the format of a completion, which has no turns for words or for a second try."""
    if not fields:
        report.note(name, Fate.DROPPED, "a completion of this model cannot be held to it")
        return None
    report.note(name, Fate.TRANSFORMED, "the model is held to it; a completion is not checked here")
    return StructuredOutput(fields, "", None)


def _fields(form: ResponseFormat, wanted: Wanted, facts: Facts) -> tuple[dict[str, Any], Fate, str]:
    """The fields that ask for a format, none where words do; and what became of the client's."""
    schema = wanted.schema.inlined if wanted.schema is not None else None
    if facts.json == "prompt":
        return {}, Fate.EMULATED, "the model has no JSON mode and is asked in words"
    if wanted.schema is not None and wanted.schema.is_recursive:
        detail = "the schema contains itself, which JSON mode may not follow: it is sent in words"
        return {}, Fate.EMULATED, detail
    if facts.json == GUIDED:
        asked = schema if schema is not None else {"type": "object"}
        return {GUIDED: asked}, Fate.TRANSFORMED, f"the schema is sent as '{GUIDED}'"
    if schema is None:
        return {_NAME: {"type": "json_object"}}, Fate.KEPT, ""
    detail = "bare, its references resolved"
    if facts.speaks_openai:
        detail = "with its references resolved"
        schema = {**schema, "name": form.name, "schema": schema, "strict": form.strict}
    asked = {"type": "json_schema", "json_schema": schema}
    return {_NAME: asked}, Fate.TRANSFORMED, f"the schema is sent {detail}"


def _note_judging(wanted: Wanted, name: str, report: Report) -> None:
    """Say what the answer is held against, and what of the schema it is not."""
    report.note(name, Fate.TRANSFORMED, _CHECKED)
    unjudged = sorted(wanted.schema.unjudged) if wanted.schema is not None else []
    if unjudged:
        more = f" and {len(unjudged) - 1} more" if len(unjudged) > 1 else ""
        quoted = unjudged[0][:_MOST_QUOTED]
        note = f"patterns that cannot be matched in linear time are not checked: '{quoted}'{more}"
        report.note(name, Fate.TRANSFORMED, note)


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
