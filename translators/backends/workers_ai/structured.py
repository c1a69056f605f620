"""Structured output, in the way in which a model can be asked for it.

Models with `response_format` take the bare JSON Schema in the legacy schema, where OpenAI has an envelope.
Those with OpenAI's own schema are typed with the envelope, while Cloudflare's own provider sends them the
bare one: they get an object that can be read either way. Some models have `guided_json` in its place. To
the rest it is said in words; so it is to all where a schema contains itself, for whether JSON mode follows
references is not known, and without them such a schema cannot be written.

Both fields are refused together with a stream (code 5023): such an answer is asked for whole, and becomes a
stream here.
"""

from collections.abc import Mapping
from typing import Any, Final

from translators.asking.constraints import FORMAT, GUIDED, schema_place, take_constraint, with_format
from translators.asking.names import own_name, takes_none
from translators.asking.structured import StructuredOutput, asked_in_words
from translators.backends.workers_ai.catalogue import Facts
from translators.chat import ChatRequest, ResponseFormat
from translators.json_judge import Wanted, wanted_json
from translators.report import Fate, Report
from translators.schemas import Budget

_CHECKED: Final = (
    "the answer is checked: its JSON alone is given out, or asked for once more where it is wrong"
)
_MOST_QUOTED: Final = 60  # characters of a pattern


def with_constraint(chat: ChatRequest, facts: Facts, report: Report) -> ChatRequest:
    """The request with the JSON that inference servers' own parameters ask for; nothing else can be had.

    Raises:
        ApiError: 400 where what should be a schema is none.
    """
    chat, constraint = take_constraint(chat, takes_none, report)
    if constraint is None:
        return chat
    if constraint.kind not in ("json", "json_object"):
        note = f"the model can be held to JSON and to no {constraint.kind}"
        report.note(constraint.name, Fate.DROPPED, note)
        return chat
    asked = with_format(chat, constraint)
    if facts.guards:
        report.note(constraint.name, Fate.DROPPED, "the model has one form of JSON, its own")
        return chat
    return asked


def translate_format(  # noqa: PLR0913 - all that it depends on
    chat: ChatRequest,
    form: ResponseFormat,
    facts: Facts,
    report: Report,
    budget: Budget,
    *,
    with_tools: bool,
) -> StructuredOutput | None:
    """How to ask for the format.

    Args:
        chat: What the client asked for.
        form: The format in it.
        facts: What the model takes.
        report: Told what becomes of it.
        budget: What its schema shares with those of the tools.
        with_tools: Whether the model may call tools in place of an answer.

    Raises:
        ApiError: 400 naming a schema that is out of bounds or wrong in itself.
    """
    name = own_name(chat, FORMAT)
    wanted = wanted_json(form, schema_place(chat, form), budget)
    if facts.guards:  # it takes no instructions, nor a second question
        fate = Fate.KEPT if form.type == "json_object" else Fate.TRANSFORMED
        report.note(FORMAT, fate, "" if fate is Fate.KEPT else "the model has one form of JSON, its own")
        return StructuredOutput({FORMAT: {"type": "json_object"}}, "", wanted)
    words = asked_in_words(wanted, form.description, with_tools=with_tools)
    fields, fate, detail = _fields(form, wanted, facts)
    if chat.prompts and facts.takes_prompt:
        return _unchecked(fields, name, report)
    if fields and name not in {FORMAT, *fields}:
        report.note(name, Fate.TRANSFORMED, f"it is sent as '{next(iter(fields))}'")
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
    if schema is not None and form.description:  # a bare schema has no other place for it
        schema = {"description": form.description, **schema}
    if facts.json == GUIDED:
        asked = schema if schema is not None else {"type": "object"}
        return {GUIDED: asked}, Fate.TRANSFORMED, f"the schema is sent as '{GUIDED}'"
    if schema is None:
        return {FORMAT: {"type": "json_object"}}, Fate.KEPT, ""
    detail = "bare, its references resolved"
    if facts.speaks_openai:
        detail = "with its references resolved"
        schema = {**schema, "name": form.name, "schema": schema, "strict": form.strict}
    asked = {"type": "json_schema", "json_schema": schema}
    return {FORMAT: asked}, Fate.TRANSFORMED, f"the schema is sent {detail}"


def _note_judging(wanted: Wanted, name: str, report: Report) -> None:
    """Say what the answer is held against, and what of the schema it is not."""
    report.note(name, Fate.TRANSFORMED, _CHECKED)
    unjudged = sorted(wanted.schema.unjudged) if wanted.schema is not None else []
    if unjudged:
        more = f" and {len(unjudged) - 1} more" if len(unjudged) > 1 else ""
        quoted = unjudged[0][:_MOST_QUOTED]
        note = f"patterns that cannot be matched in linear time are not checked: '{quoted}'{more}"
        report.note(name, Fate.TRANSFORMED, note)
