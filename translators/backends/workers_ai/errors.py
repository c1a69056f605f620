"""Workers AI's errors, read into the common error.

Three envelopes occur (`errors` as a list or an object, and the gateway host's `error` list); the code
inside says what happened, the HTTP status is only a second opinion.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from translators.errors import INVALID_REQUEST, SERVER_ERROR, ApiError, bad_answer

_DAY: Final = 86_400
_MINUTE: Final = 60


def _next_minute(now: int) -> float:
    return _MINUTE - now % _MINUTE


def _midnight(now: int) -> float:
    return _DAY - now % _DAY


def _soon(_now: int) -> float:
    return 2


@dataclass(frozen=True, slots=True)
class _Meaning:
    status: int
    code: str | None
    message: str
    type: str = INVALID_REQUEST
    wait: Callable[[int], float] | None = None
    quotes: bool = False


_AUTH: Final = _Meaning(
    502,
    "upstream_auth",
    "The gateway's credential for Workers AI was refused. Tell the gateway's operator.",
    SERVER_ERROR,
)
_TIMEOUT: Final = _Meaning(504, "timeout", "Workers AI did not answer in time. Ask again.", SERVER_ERROR)
_BUSY: Final = _Meaning(
    503,
    "overloaded",
    "Workers AI has no capacity for this model at the moment. Ask again.",
    SERVER_ERROR,
    _soon,
)
_RATE: Final = _Meaning(
    429,
    "rate_limit_exceeded",
    "Workers AI's limit of requests per minute is reached.",
    "requests",
    _next_minute,
)
_QUOTA: Final = _Meaning(
    429,
    "insufficient_quota",
    "The Workers AI account has used up its allocation for today; it is renewed at 00:00 UTC.",
    "insufficient_quota",
    _midnight,
)
_NO_MODEL: Final = _Meaning(404, "model_not_found", "The model does not exist on Workers AI.")
_PLAN: Final = _Meaning(
    403,
    "model_not_available",
    "The gateway's Workers AI account may not use this model: it needs a paid plan or accepted terms.",
    "permission_error",
)
_INPUT: Final = _Meaning(400, None, "Workers AI refused the request.", quotes=True)

# The codes of Cloudflare's error page and of captured answers.
_MEANINGS: Final = {
    **dict.fromkeys((10000, 9106, 3023, 3041, 5018), _AUTH),
    **dict.fromkeys((5016, 5035), _PLAN),
    **dict.fromkeys((3007, 3008), _TIMEOUT),
    **dict.fromkeys((3040, 3050), _BUSY),
    3021: _RATE,
    **dict.fromkeys((4006, 3036), _QUOTA),
    **dict.fromkeys((5007, 3042, 7001), _NO_MODEL),
    8007: _Meaning(
        400, "context_length_exceeded", "This model's maximum context length is exceeded.", quotes=True
    ),
    3006: _Meaning(413, None, "The request is too large for Workers AI. Send less."),
    **dict.fromkeys((5006, 5004, 5012, 5023, 8001, 8006, 3003), _INPUT),
}

# Where there is no code that we know, the status decides.
_STATUSES: Final = {
    400: _INPUT,
    401: _AUTH,
    403: _AUTH,
    404: _NO_MODEL,
    408: _TIMEOUT,
    413: _MEANINGS[3006],
    422: _INPUT,
    429: _RATE,
    503: _BUSY,
    504: _TIMEOUT,
    529: _BUSY,
}
_BROKEN: Final = _Meaning(502, "upstream_error", "Workers AI failed to answer. Ask again.", SERVER_ERROR)

_PREFIX: Final = re.compile(r"^(?:AiError: |Bad input: |Error: |No such model: )+")
_REQUEST_ID: Final = re.compile(r" \([0-9a-f]{8}(?:-[0-9a-f-]{27})?\)$")
_POINTER: Final = re.compile(r"'/([A-Za-z0-9_/]*)'")
_UNQUOTABLE: Final = re.compile(
    r"https?:|://|[0-9a-f]{16}|bearer|\b(?:\d{1,3}\.){3}\d{1,3}\b|(?:^|\s)/\w|\w+\.(?:com|net|dev|internal)\b",
    re.IGNORECASE,
)
_QUOTE_LIMIT: Final = 300


def read_error(status: int, body: bytes, now: int) -> ApiError:
    """The common error of an answer that is no success.

    Args:
        status: The HTTP status.
        body: The body, in whatever form.
        now: Seconds since 1970, to compute how long to wait.
    """
    code, text = _code_and_text(body)
    meaning = _MEANINGS.get(code) or _STATUSES.get(status, _BROKEN)
    return ApiError(
        meaning.status,
        meaning.message,
        type=meaning.type,
        code=meaning.code,
        param="model" if meaning is _NO_MODEL else None,
        retry_after=meaning.wait(now) if meaning.wait else None,
        quote=_quotable(text) if meaning.quotes else "",
    )


def shape_error(body: bytes) -> ApiError:
    """An answer of status 200 that is neither a result nor an error."""
    kind = "an empty body" if not body.strip() else "an answer in a form that is not known"
    return bad_answer(f"Workers AI sent {kind}. Ask again; if it stays, tell the gateway's operator.")


def _code_and_text(body: bytes) -> tuple[int, str]:
    try:
        envelope: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return 0, ""
    if not isinstance(envelope, dict):
        return 0, ""
    errors = envelope.get("errors") or envelope.get("error")
    first = errors[0] if isinstance(errors, list) and errors else errors
    if not isinstance(first, dict):
        return 0, ""
    code, text = first.get("code"), first.get("message")
    return (code if isinstance(code, int) else 0), (text if isinstance(text, str) else "")


def _quotable(text: str) -> str:
    """The backend's sentence, where it holds nothing but the request's own matter; else nothing."""
    sentence = _innermost(_REQUEST_ID.sub("", _PREFIX.sub("", text)))
    sentence = _POINTER.sub(lambda match: f"'{_field(match[1])}'", sentence)[:_QUOTE_LIMIT]
    return "" if _UNQUOTABLE.search(sentence) else sentence.rstrip(".")


def _innermost(text: str) -> str:
    """The engine's own message, where the text is the engine's JSON error (vLLM, SGLang)."""
    if not text.startswith("{"):
        return text
    try:
        engine: Any = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return ""
    nested = engine.get("error")
    message = (nested if isinstance(nested, dict) else engine).get("message")
    return message if isinstance(message, str) else ""


def _field(pointer: str) -> str:
    """`messages/0/content` -> `messages[0].content`."""
    name = ""
    for token in pointer.split("/"):
        name += f"[{token}]" if token.isdecimal() else f".{token}"
    return name.removeprefix(".") or "body"
