"""Structured output, in the way in which a server can be asked for it.

Whether its JSON can be relied on is a fact of the product: where nobody says so, the answer is held against
what was asked for, as one is that was asked for in words.
"""

from typing import Any, Final

from translators.asking.constraints import (
    FORMAT,
    STRUCTURED,
    Constraint,
    schema_place,
    take_constraint,
    with_format,
)
from translators.asking.names import own_name, said_otherwise
from translators.asking.structured import StructuredOutput, asked_in_words
from translators.backends.openai_server.servers import Served
from translators.chat import ChatRequest, ResponseFormat
from translators.json_judge import wanted_json
from translators.report import Fate, Report
from translators.schemas import Budget
from translators.tools import offered_tools

_CHECKED: Final = "the answer is checked, and asked for once more where it is wrong"


def with_constraint(chat: ChatRequest, facts: Served, report: Report) -> ChatRequest:
    """The request with what other servers' parameters ask for in the form that this product has.

    Raises:
        ApiError: 400 where what should be a schema is none.
    """
    chat, constraint = take_constraint(chat, facts.takes, report)
    if constraint is None:
        return chat
    if constraint.kind in ("json", "json_object") and not chat.prompts:
        return with_format(chat, constraint)
    if facts.takes(STRUCTURED):
        return _said(chat, constraint, STRUCTURED, {constraint.kind: constraint.value})
    if constraint.kind in facts.server.constraints:
        return _said(chat, constraint, facts.server.constraints[constraint.kind], constraint.value)
    report.note(constraint.name, Fate.DROPPED, f"an answer here can be held to no {constraint.kind}")
    return chat


def _said(chat: ChatRequest, constraint: Constraint, name: str, value: Any) -> ChatRequest:
    return said_otherwise(chat, {name: value}, own={constraint.name: name})


def translate_format(chat: ChatRequest, facts: Served, report: Report) -> StructuredOutput | None:
    """How the server is asked for JSON: in its own form, or in words where it has none.

    Raises:
        ApiError: 400 naming a schema that is out of bounds or wrong in itself.
    """
    form, name = chat.response_format, own_name(chat, FORMAT)
    if form is None:
        return None
    report.note(name, Fate.KEPT)
    report.sent_as(name, FORMAT)
    has_mode = "json" in facts.can and _can_be_said(form, facts)
    fields = {FORMAT: _own_form(form, facts, name, report)} if has_mode else {}
    if has_mode and facts.server.keeps_format:
        return StructuredOutput(fields, "", None)
    wanted = wanted_json(form, schema_place(chat, form), Budget())
    if has_mode:
        report.note(name, Fate.TRANSFORMED, _CHECKED)
    else:
        report.note(name, Fate.EMULATED, "the model has no JSON mode for it and is asked in words")
    return StructuredOutput(
        fields, asked_in_words(wanted, form.description, with_tools=bool(offered_tools(chat))), wanted
    )


def _can_be_said(form: ResponseFormat, facts: Served) -> bool:
    """Whether the product has a form for it: TGI wants objects whose properties are named."""
    return facts.server.format != "tgi" or (form.schema is not None and "properties" in form.schema)


def _own_form(form: ResponseFormat, facts: Served, name: str, report: Report) -> dict[str, Any]:
    if facts.server.format == "tgi":
        report.note(name, Fate.TRANSFORMED, "the schema is sent in the server's own form")
        return {"type": "json", "value": form.schema}
    if form.type == "json_object":
        return {"type": "json_object"}
    envelope: dict[str, Any] = {"name": form.name or "answer", "schema": form.schema}
    envelope |= {"strict": True} if form.strict else {}
    envelope |= {"description": form.description} if form.description else {}
    return {"type": "json_schema", "json_schema": envelope}
