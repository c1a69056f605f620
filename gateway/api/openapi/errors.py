"""The errors of every status, and the headers of every answer."""

from collections.abc import Mapping
from typing import Any, Final

from gateway.api.openapi.schemas import INTEGER, STRING, Schema, ref, said

Object = dict[str, Any]

# Where each can come from is in gateway/errors.py and in the backends' own errors.
WORDS: Final[Mapping[int, str]] = {
    400: "The request is not right; `param` names the parameter at fault. Codes: `invalid_json`, "
    "`invalid_type`, `invalid_value`, `missing_required_parameter`, `unsupported_parameter`, "
    "`unsupported_value`, `context_length_exceeded`, `content_policy_violation`, `invalid_http` and others.",
    401: "No key, one that is not this gateway's or has ended (`invalid_api_key`), or one that may not come "
    "from this address (`ip_not_authorized`).",
    403: "The key may not use this model (`model_not_found`) or may only read (`insufficient_permissions`); "
    "or the operator's account may not use the model (`model_not_available`).",
    404: "No such model (`model_not_found`), or no such path.",
    405: "Another method is wanted (`method_not_allowed`); `allow` says which.",
    408: "The request did not arrive in time (`header_timeout`, `request_timeout`).",
    413: "The body is too large (`request_too_large`), for the gateway or for the backend.",
    414: "The URL is too long (`url_too_long`).",
    415: "The body is no plain JSON (`unsupported_media_type`).",
    417: "An `expect` that cannot be met (`unknown_expectation`).",
    429: "Too many requests, or too many wrong keys from one address (`rate_limit_exceeded`), or the "
    "allocation is used up (`insufficient_quota`).",
    431: "The headers are too large or too many (`headers_too_large`).",
    500: "A mistake of the gateway (`internal_error`); its log has it under the `x-request-id`.",
    502: "The backend failed, cannot be reached, refused the operator's credential (`upstream_auth`) or gave "
    "no JSON that satisfies the format (`invalid_structured_output`).",
    503: "The backend or the gateway is overloaded (`overloaded`), no backend can be asked at the moment "
    "(`no_backend_available`), the gateway's store does not answer (`store_unavailable`), or the gateway is "
    "ending (`shutdown`).",
    504: "The backend did not answer in time (`deadline_first_byte`, `deadline_gap`, `timeout`, ...).",
}
OF_OPERATIONS: Final = frozenset({400, 401, 405, 408, 414, 417, 431, 500, 503})
OF_READS: Final = OF_OPERATIONS | {403, 404, 429}
OF_TRANSLATION: Final = OF_READS | {413, 415}
OF_ANSWERS: Final = OF_TRANSLATION | {502, 504}

_HEADERS: Final[Mapping[str, tuple[Schema, str]]] = {
    "x-request-id": (STRING, "The request's id, also in the access line."),
    "openai-processing-ms": (STRING, "Milliseconds until the answer began."),
    "x-penstock-translation": (
        STRING,
        "Parameters that were not passed on as they are: `name=fate` pairs, at most 1 KB, then `more=N`.",
    ),
    "x-penstock-route": (STRING, "The route that answered; it may keep that to itself, with the two below."),
    "x-penstock-backend": (STRING, "The backend that answered, or was asked last."),
    "x-penstock-attempts": (INTEGER, "How many calls to backends it took."),
    **{
        f"x-ratelimit-{what}-{unit}": (schema, words.format(unit))
        for unit in ("requests", "tokens")
        for what, schema, words in (
            ("limit", INTEGER, "Of the limits on {} that bind the key, the one with the least left."),
            ("remaining", INTEGER, "How many {} are left of it."),
            ("reset", STRING, "When all {} are left of it again, such as `1s`, `6m0s` or `120ms`."),
        )
    },
    "retry-after": (INTEGER, "Seconds after which asking again helps."),
    "retry-after-ms": (INTEGER, "The same in milliseconds, which OpenAI's clients prefer."),
    "x-should-retry": (STRING, "`false` where asking again does not help."),
    "www-authenticate": (STRING, "`Bearer`."),
    "allow": (STRING, "The methods that are allowed."),
}
_ALWAYS: Final = ("x-request-id", "openai-processing-ms")
_WAY: Final = ("x-penstock-route", "x-penstock-backend", "x-penstock-attempts")
_STANDING: Final = tuple(name for name in _HEADERS if name.startswith("x-ratelimit-"))
ON_THE_WAY: Final = (*_WAY, *_STANDING)
_OF_STATUS: Final[Mapping[int, tuple[str, ...]]] = {
    401: ("www-authenticate",),
    405: ("allow",),
    429: ("retry-after", "retry-after-ms", "x-should-retry"),
    502: ("x-should-retry",),
    503: ("retry-after", "retry-after-ms"),
}
_CERTAIN: Final = frozenset({*_ALWAYS, "www-authenticate", "allow"})


def components() -> dict[str, Object]:
    """The headers and the error answers, each under its name."""
    headers = {
        name: {"description": words, "schema": schema, "required": name in _CERTAIN}
        for name, (schema, words) in _HEADERS.items()
    }
    return {"headers": headers, "responses": {f"Error{status}": _error(status) for status in WORDS}}


def headers_of(*more: str) -> Object:
    """The headers that an answer has, and those that it may have."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in (*_ALWAYS, *more)}


def errors_of(statuses: frozenset[int]) -> dict[str, Object]:
    """The errors that an operation may end in."""
    return {str(status): {"$ref": f"#/components/responses/Error{status}"} for status in sorted(statuses)}


def _error(status: int) -> Object:
    return {
        "description": WORDS[status],
        "headers": headers_of(*_OF_STATUS.get(status, ()), *ON_THE_WAY),
        "content": {"application/json": {"schema": said(ref("Error"), "Always with all four keys.")}},
    }
