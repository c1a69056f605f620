"""Workers AI's errors, read into the common error.

Three envelopes occur (`errors` as a list or an object, and the gateway host's `error` list); the code
inside says what happened, the HTTP status is only a second opinion. In mid-stream OpenAI's own form occurs
(one object under `error`), whose code may be a name. The message may be an engine's own error, as JSON.

A refusal by the validator names fields that are not at fault; what it is really about is told by `blame`.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from translators.answers.envelope import first_error, innermost
from translators.backends.workers_ai.blame import blame
from translators.backends.workers_ai.places import Sent, field_name
from translators.errors import (
    INVALID_OUTPUT,
    INVALID_REQUEST,
    SERVER_ERROR,
    ApiError,
    CredentialError,
)
from translators.overflow import overflow, tells_of_overflow
from translators.quotes import quotable

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
    param: str | None = None
    quotes: bool = False
    of_credential: bool = False  # whether another credential of the account may do better


_AUTH: Final = _Meaning(
    502,
    "upstream_auth",
    "The gateway's credential for Workers AI was refused. Tell the gateway's operator.",
    SERVER_ERROR,
    of_credential=True,
)
# The account may not ask this model, whoever asks for it.
_NOT_ALLOWED: Final = replace(_AUTH, of_credential=False)
_ACCOUNT: Final = _Meaning(
    502,
    "upstream_auth",
    "Cloudflare does not know the account or the AI Gateway that this gateway is set up with. "
    "Tell the gateway's operator to check their ids.",
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
# Without a code of Workers AI it is Cloudflare's API that refuses, which counts by the token's user (its page
# on rate limits); all limits that have a code are the account's.
_API_RATE: Final = replace(_RATE, of_credential=True)
_QUOTA: Final = _Meaning(
    429,
    "insufficient_quota",
    "The Workers AI account has used up its allocation for today; it is renewed at 00:00 UTC.",
    "insufficient_quota",
    _midnight,
)
_NO_MODEL: Final = _Meaning(
    404,
    "model_not_found",
    "The model does not exist on Workers AI. Check its id: GET /v1/models lists those that can be asked.",
    param="model",
)
_PLAN: Final = _Meaning(
    403,
    "model_not_available",
    "The model {model}needs Cloudflare's Workers Paid plan, which the gateway's account does not have. "
    "Choose another model, or tell the gateway's operator.",
    "permission_error",
    param="model",
)
_TERMS: Final = _Meaning(
    403,
    "model_not_available",
    "The model {model}has terms of use that the gateway's account has not agreed to. Choose another model, "
    "or tell the gateway's operator to send it the prompt 'agree' once.",
    "permission_error",
    param="model",
)
_INPUT: Final = _Meaning(400, None, "Workers AI refused the request.", quotes=True)

_LENGTH: Final = _Meaning(400, "context_length_exceeded", "")  # the words are those of `overflow`
_TOO_LARGE: Final = _Meaning(413, None, "The request is too large for Workers AI. Send less.")
_BROKEN: Final = _Meaning(502, "upstream_error", "Workers AI failed to answer. Ask again.", SERVER_ERROR)

# The codes of Cloudflare's error page, of its AI Gateway and of captured answers.
_CODES: Final = {
    **dict.fromkeys((10000, 9106, 2009), _AUTH),
    **dict.fromkeys((3023, 3041, 5018), _NOT_ALLOWED),
    # The account's id stands in the path: no route means that the operator's is wrong. 2001, 2008 and 2021
    # say the like of the AI Gateway: no such gateway, no such provider, no key laid down there.
    **dict.fromkeys((7000, 7003, 2001, 2008, 2021), _ACCOUNT),
    5035: _PLAN,
    5016: _TERMS,
    **dict.fromkeys((3007, 3008), _TIMEOUT),
    **dict.fromkeys((3040, 3050, 7009), _BUSY),
    3021: _RATE,
    2003: _Meaning(
        429, "rate_limit_exceeded", "The AI Gateway's limit of requests is reached.", "requests", _next_minute
    ),
    **dict.fromkeys((4006, 3036), _QUOTA),
    **dict.fromkeys((5007, 3042, 7001), _NO_MODEL),
    8007: _LENGTH,
    3006: _TOO_LARGE,
    **dict.fromkeys((5006, 5004, 5012, 5023, 8001, 8002, 8006, 3003, 2019), _INPUT),
    5005: _Meaning(400, None, "This model takes no LoRA adapter. Leave out 'lora'.", param="lora"),
    3039: _Meaning(
        400, None, "Files of the adapter that 'lora' names are missing on Workers AI.", param="lora"
    ),
    5019: _Meaning(400, None, "Workers AI no longer serves this model in this way. Ask another model."),
    3030: _Meaning(
        400, "content_policy_violation", "Workers AI's safety check refused the prompt or what came of it."
    ),
    # Failures inside, whatever the status says. 3043 is "Internal server error" in public logs; of 8008 only
    # that a request failed at once with it.
    **dict.fromkeys((3043, 8005, 8008), _BROKEN),
}

# OpenAI's codes and error types, and those of the engines that speak like it.
_NAMES: Final = {
    "context_length_exceeded": _LENGTH,
    "exceed_context_size_error": _LENGTH,
    **dict.fromkeys(("rate_limit_exceeded", "rate_limit_error", "RateLimitError"), _RATE),
    "insufficient_quota": _QUOTA,
    **dict.fromkeys(("model_not_found", "NotFoundError"), _NO_MODEL),
    **dict.fromkeys(("invalid_api_key", "authentication_error", "AuthenticationError"), _AUTH),
    **dict.fromkeys(("invalid_request_error", "invalid_request", "BadRequestError"), _INPUT),
    **dict.fromkeys(("overloaded", "overloaded_error", "ServiceUnavailableError"), _BUSY),
}

# Where there is no code that we know, the status decides.
_STATUSES: Final = {
    400: _INPUT,
    401: _AUTH,
    403: _AUTH,
    404: _NO_MODEL,
    408: _TIMEOUT,
    413: _TOO_LARGE,
    422: _INPUT,
    429: _API_RATE,
    503: _BUSY,
    504: _TIMEOUT,
    522: _TIMEOUT,  # so Cloudflare's edge says that what is behind it does not answer; as does 524
    524: _TIMEOUT,
    529: _BUSY,
}

# JSON mode gave up. The sentence is documented (page on JSON mode), the code is not.
_JSON_NOT_MET: Final = "JSON Mode couldn't be met"
_NO_JSON: Final = _Meaning(
    502,
    INVALID_OUTPUT,
    "Workers AI did not get the JSON out of the model that 'response_format' asks for. "
    "Ask again, make the schema simpler, or ask another model.",
    SERVER_ERROR,
)

_NUMERAL: Final = re.compile(r"[0-9]{1,6}")
_MODEL: Final = re.compile(r"@(?:cf|hf)/[A-Za-z0-9._-]{1,60}/[A-Za-z0-9._-]{0,60}[A-Za-z0-9]")


def read_error(status: int, body: bytes, now: int, sent: Sent | None = None) -> ApiError:
    """The common error of an answer that is no success.

    Args:
        status: The HTTP status.
        body: The body, in whatever form.
        now: Seconds since 1970, to compute how long to wait.
        sent: What was asked, to name the field at fault as the client wrote it.
    """
    error = first_error(body)
    text, param = innermost(error)
    meaning = _by_code(error.get("code")) or _STATUSES.get(status) or _by_name(error.get("type")) or _BROKEN
    if _JSON_NOT_MET in text:
        meaning = _NO_JSON
    refused = _refused(text, sent) if meaning is _INPUT else None
    if meaning is _LENGTH or (meaning is _INPUT and not refused and tells_of_overflow(text)):
        return overflow(text)
    kind = CredentialError if meaning.of_credential else ApiError
    return refused or kind(
        meaning.status,
        meaning.message.format(model=_model(text)) if meaning.param == "model" else meaning.message,
        type=meaning.type,
        code=meaning.code,
        param=meaning.param or (param if meaning is _INPUT else None),
        retry_after=meaning.wait(now) if meaning.wait else None,
        quote=quotable(text) if meaning.quotes else "",
    )


class EmptyResultError(ApiError):
    """A success whose result is empty; a request for a stream may be answered so."""

    def __init__(self) -> None:
        message = "Workers AI answered with an empty result. Ask again."
        super().__init__(502, message, type=SERVER_ERROR, code="bad_backend_answer")

    def unquoted(self) -> "EmptyResultError":
        """The same: the sentence is ours."""
        return self


def _by_code(code: object) -> _Meaning | None:
    """What a code says: Cloudflare's number, OpenAI's name, or (engines do so) an HTTP status."""
    if isinstance(code, str) and _NUMERAL.fullmatch(code):
        code = int(code)
    if isinstance(code, int) and not isinstance(code, bool):
        return _CODES.get(code) or _STATUSES.get(code)
    return _by_name(code)


def _by_name(name: object) -> _Meaning | None:
    return _NAMES.get(name) if isinstance(name, str) else None


def _model(text: str) -> str:
    found = _MODEL.search(text)
    return f"'{found[0]}' " if found else ""


def _refused(text: str, sent: Sent | None) -> ApiError | None:
    """The validator's refusal in words about the field at fault; None where it is another's."""
    fault = blame(text) if sent is None else blame(text, sent.fields)
    if fault is None:
        return None
    name = field_name(fault.path) if sent is None else sent.name_of(fault.path)
    if name is None and fault.path:
        return None
    what = f"'{name}'" if name else "the body"
    return ApiError(
        400, f"Workers AI refused the request: {what} {fault.words}.", code=fault.code, param=name
    )
