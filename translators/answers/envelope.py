"""What an error says of itself, in whatever envelope it comes.

Cloudflare has `errors` as a list or an object, and an `error` list at its gateway's host; OpenAI has one
object under `error`; SGLang, LMDeploy and TensorRT-LLM say it all on one level; vLLM and TGI have a mere
string there. The message may be an engine's own error, as JSON.
"""

import re
from typing import Any, Final

import msgspec

from translators.quotes import is_field_path

_PREFIX: Final = re.compile(r"^(?:AiError: |Bad input: |Error: |No such model: )+")
_REQUEST_ID: Final = re.compile(r" \([0-9a-f]{8}(?:-[0-9a-f-]{27})?\)$")
_TEXT_LIMIT: Final = 20_000  # characters; a validator's longest lists have some thousands


def holds_error(body: bytes) -> bool:
    """Whether a body says in a known form that something failed, whatever its status is."""
    return bool(first_error(body))


def first_error(body: bytes) -> dict[str, Any]:
    """The first error of a body; empty where it holds none in a known form."""
    try:
        envelope: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    if not isinstance(envelope, dict):
        return {}
    if envelope.get("object") == "error":  # SGLang, LMDeploy and TensorRT-LLM say it all on one level
        return envelope
    errors = envelope.get("errors") or envelope.get("error")
    first = errors[0] if isinstance(errors, list) and errors else errors
    if isinstance(first, str):
        return {"message": first}
    return first if isinstance(first, dict) else {}


def innermost(error: dict[str, Any]) -> tuple[str, str | None]:
    """The message without its prefixes and request id, and the parameter that is named beside it.

    Both are the engine's own where the message is the engine's JSON.
    """
    message = error.get("message")
    if not isinstance(message, str) or len(message) > _TEXT_LIMIT:
        return "", None
    text = _REQUEST_ID.sub("", _PREFIX.sub("", message))
    begin = text.find("{")
    engine = _engine_error(text[begin : text.rfind("}") + 1]) if begin >= 0 else {}
    said = engine.get("message")
    if begin and not isinstance(said, str):  # brackets among words
        return text, _field(error.get("param"))
    return (said if isinstance(said, str) else ""), _field(engine.get("param"))


def _engine_error(text: str) -> dict[str, Any]:
    """The error that an engine's JSON holds; empty where it holds none."""
    try:
        engine: Any = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return {}
    nested = engine.get("error")
    return nested if isinstance(nested, dict) else engine


def _field(param: object) -> str | None:
    """The name of a request's field; other names are none of the client's business."""
    return param if isinstance(param, str) and is_field_path(param) else None
