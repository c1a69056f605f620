"""`guided_json`, by which clients of vLLM ask for JSON after a schema, read as `response_format`.

Three models have the field itself, and it is how they are asked in any case; so what a client means by it is
the same for all models, and every answer is checked against it.
"""

from typing import Any, Final

import msgspec

from translators.backends.workers_ai.catalogue import Facts
from translators.chat import ChatRequest, ResponseFormat
from translators.errors import invalid
from translators.report import Fate, Report

GUIDED: Final = "guided_json"
_FORMAT: Final = "response_format"


def with_guided(chat: ChatRequest, facts: Facts, report: Report) -> ChatRequest:
    """The request with the format that `guided_json` asks for; errors name it as the client did.

    Raises:
        ApiError: 400 where it is no schema.
    """
    given = {**chat.parameters, **chat.extra}
    if GUIDED not in given:
        return chat
    schema = _schema(given[GUIDED])
    chat = msgspec.structs.replace(chat, parameters=_without(chat.parameters), extra=_without(chat.extra))
    if chat.response_format is not None:
        report.note(GUIDED, Fate.DROPPED, f"'{_FORMAT}' is sent beside it and counts")
        return chat
    if facts.guards:
        report.note(GUIDED, Fate.DROPPED, "the model has one form of JSON, its own")
        return chat
    form = ResponseFormat("json_schema", schema, "answer", strict=True)
    return msgspec.structs.replace(chat, response_format=form, sent={**chat.sent, GUIDED: _FORMAT})


def format_name(chat: ChatRequest) -> str:
    """The parameter that the client asks for a format by."""
    return GUIDED if chat.sent.get(GUIDED) == _FORMAT else _FORMAT


def _schema(value: Any) -> dict[str, Any]:
    """The schema, which vLLM also takes as text."""
    if isinstance(value, str):
        try:
            value = msgspec.json.decode(value)
        except (msgspec.DecodeError, RecursionError):
            value = None
    if not isinstance(value, dict):
        raise invalid(
            f"'{GUIDED}' must be a JSON Schema, as an object or as its text.", GUIDED, "invalid_type"
        )
    return value


def _without(given: Any) -> dict[str, Any]:
    return {name: value for name, value in given.items() if name != GUIDED}
