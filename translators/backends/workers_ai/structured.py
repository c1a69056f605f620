"""Structured output: Workers AI's `response_format`.

The legacy schema takes the bare JSON Schema where OpenAI has an envelope. Models with OpenAI's own schema
are typed with the envelope, while Cloudflare's own provider sends them the bare one: they get an object
that can be read either way. Structured answers are refused as a stream (code 5023): such an answer is asked
for whole, and becomes a stream here.
"""

from typing import Any

from translators.backends.workers_ai.catalogue import Facts
from translators.chat import ResponseFormat
from translators.report import Fate, Report
from translators.schemas import inline


def translate_format(form: ResponseFormat | None, facts: Facts, report: Report) -> dict[str, Any]:
    """The field `response_format`, where it is to be sent.

    Raises:
        ApiError: 400 naming a schema out of bounds.
    """
    if form is None:
        return {}
    if facts.guards and form.type != "json_object":
        report.note("response_format", Fate.TRANSFORMED, "the model has one form of JSON, its own")
        return {"response_format": {"type": "json_object"}}
    if form.type == "json_object" or form.schema is None:
        report.note("response_format", Fate.KEPT)
        return {"response_format": {"type": "json_object"}}
    schema = inline(form.schema, "response_format.json_schema.schema")
    if facts.speaks_openai:
        report.note("response_format", Fate.TRANSFORMED, "the schema is sent with its references resolved")
        schema = {**schema, "name": form.name, "schema": schema, "strict": form.strict}
    else:
        report.note("response_format", Fate.TRANSFORMED, "the schema is sent bare, its references resolved")
    return {"response_format": {"type": "json_schema", "json_schema": schema}}
