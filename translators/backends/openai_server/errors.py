"""A server's errors, read into the common error.

The envelope is one of several (`translators.answers.envelope`), its codes are mostly HTTP statuses once more.
What it says is quoted where it is about the request and harmless; a context that is too short is told in the
one sentence that agents know.
"""

from dataclasses import dataclass
from typing import Final

from translators.answers.envelope import first_error, innermost
from translators.errors import INVALID_REQUEST, SERVER_ERROR, ApiError, CredentialError
from translators.overflow import overflow, tells_of_overflow
from translators.quotes import quotable


@dataclass(frozen=True, slots=True)
class _Meaning:
    status: int
    code: str | None
    message: str
    type: str = INVALID_REQUEST
    param: str | None = None
    is_about_request: bool = False


_INPUT: Final = _Meaning(400, None, "The server refused the request.", is_about_request=True)
_BROKEN: Final = _Meaning(502, "upstream_error", "The server failed to answer. Ask again.", SERVER_ERROR)
_LENGTH: Final = _Meaning(400, "context_length_exceeded", "")  # the words are those of `overflow`
_AUTH: Final = _Meaning(
    502,
    "upstream_auth",
    "The gateway's key for the server was refused. Tell the gateway's operator.",
    SERVER_ERROR,
)
_NO_MODEL: Final = _Meaning(
    404,
    "model_not_found",
    "The server does not have the model. GET /v1/models lists those that can be asked.",
    param="model",
)
_RATE: Final = _Meaning(
    429, "rate_limit_exceeded", "The server has too many requests at the moment. Ask again later.", "requests"
)
_BUSY: Final = _Meaning(
    503, "overloaded", "The server cannot take the request at the moment. Ask again.", SERVER_ERROR
)
_TIMEOUT: Final = _Meaning(504, "timeout", "The server did not answer in time. Ask again.", SERVER_ERROR)
_TOO_LARGE: Final = _Meaning(413, None, "The request is too large for the server. Send less.")
_QUOTA: Final = _Meaning(
    429, "insufficient_quota", "The gateway's quota at the server is used up.", "insufficient_quota"
)

_STATUSES: Final = {
    400: _INPUT,
    401: _AUTH,
    403: _AUTH,
    404: _NO_MODEL,
    408: _TIMEOUT,
    413: _TOO_LARGE,
    422: _INPUT,
    424: _BROKEN,  # TGI's GenerationError
    429: _RATE,
    503: _BUSY,
    504: _TIMEOUT,
    522: _TIMEOUT,  # so Cloudflare's edge says that what is behind it does not answer; as does 524
    524: _TIMEOUT,
    529: _BUSY,
}

# Cloudflare's own, where Workers AI is asked in OpenAI's form (its pages on errors).
_NUMBERS: Final = {
    **dict.fromkeys((10000, 9106, 3023, 3041, 5018), _AUTH),
    **dict.fromkeys((5007, 3042), _NO_MODEL),
    **dict.fromkeys((3007, 3008), _TIMEOUT),
    **dict.fromkeys((3040, 3050), _BUSY),
    **dict.fromkeys((4006, 3036), _QUOTA),
    3021: _RATE,
    3006: _TOO_LARGE,
    8007: _LENGTH,
}

_DAY: Final = 86_400

# Codes and types of errors, as OpenAI and the engines name them.
_NAMES: Final = {
    **dict.fromkeys(("context_length_exceeded", "exceed_context_size_error"), _LENGTH),
    **dict.fromkeys(("rate_limit_exceeded", "rate_limit_error", "RateLimitError"), _RATE),
    "insufficient_quota": _QUOTA,
    **dict.fromkeys(("model_not_found", "not_found_error", "NotFoundError"), _NO_MODEL),
    **dict.fromkeys(("invalid_api_key", "authentication_error", "AuthenticationError"), _AUTH),
    **dict.fromkeys(("invalid_request_error", "BadRequestError", "validation", "template_error"), _INPUT),
    **dict.fromkeys(
        ("overloaded", "overloaded_error", "unavailable_error", "ServiceUnavailableError"), _BUSY
    ),
}

# In a stream TGI says 422 whatever happened; how its message begins tells.
_TGI: Final = (
    ("Input validation error", _INPUT),
    ("Template error", _INPUT),
    ("Missing template", _INPUT),
    ("Tool error", _INPUT),
    ("Model is overloaded", _RATE),
)


def read_error(status: int, body: bytes, now: int = 0) -> ApiError:
    """The common error of an answer that is no success.

    Args:
        status: The HTTP status; 502 for an error that stands in a stream.
        body: The body, in whatever form.
        now: Seconds since 1970: an account's allocation is renewed with the day.
    """
    error = first_error(body)
    text, param = innermost(error)
    meaning = _meaning(status, error, text)
    if meaning is _LENGTH or (meaning is _INPUT and tells_of_overflow(text)):
        return overflow(text)
    number = error.get("code")  # of any kind
    of_account = isinstance(number, int) and number in _NUMBERS
    of_credential = meaning is _AUTH or (meaning in {_RATE, _QUOTA} and not of_account)
    kind = CredentialError if of_credential else ApiError
    return kind(
        meaning.status,
        meaning.message,
        type=meaning.type,
        code=meaning.code,
        param=meaning.param or (param if meaning.is_about_request else None),
        retry_after=_DAY - now % _DAY if of_account and meaning is _QUOTA else None,
        quote=quotable(text) if meaning.is_about_request else "",
    )


def _meaning(status: int, error: dict[str, object], text: str) -> _Meaning:
    """By the names in it, then by its code, which mostly is a status once more, then by the answer's own."""
    if "http_status_code" in error:
        return next((meaning for words, meaning in _TGI if text.startswith(words)), _BROKEN)
    number = error.get("code")
    if isinstance(number, int) and number in _NUMBERS:
        return _NUMBERS[number]
    if status in (401, 403):
        return _AUTH
    for name in (error.get("code"), error.get("type")):
        if isinstance(name, str) and name in _NAMES:
            return _NAMES[name]
    for code in (error.get("code"), status):
        if isinstance(code, int) and code in _STATUSES:
            return _STATUSES[code]
    return _BROKEN
