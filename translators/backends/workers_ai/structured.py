"""Structured output: Workers AI's `response_format`.

It takes the bare schema where OpenAI has an envelope, and refuses to stream (code 5023): such an answer
is asked for whole, and becomes a stream here.
"""

from typing import Any

from translators.chat import ResponseFormat
from translators.report import Fate, Report
from translators.schemas import inline


def translate_format(form: ResponseFormat | None, report: Report) -> dict[str, Any]:
    """The field `response_format`, where it is to be sent.

    Raises:
        ApiError: 400 naming a schema out of bounds.
    """
    if form is None:
        return {}
    if form.type == "json_object" or form.schema is None:
        report.note("response_format", Fate.KEPT)
        return {"response_format": {"type": "json_object"}}
    report.note("response_format", Fate.TRANSFORMED, "the schema is sent bare, its references resolved")
    schema = inline(form.schema, "response_format.json_schema.schema")
    return {"response_format": {"type": "json_schema", "json_schema": schema}}
