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
    401: "No key, or not one of this gateway (`invalid_api_key`).",
    403: "The operator's account may not use this model (`model_not_available`).",
    404: "No such model (`model_not_found`), or no such path.",
    405: "Another method is wanted (`method_not_allowed`); `allow` says which.",
    408: "The request did not arrive in time (`header_timeout`, `request_timeout`).",
    413: "The body is too large (`request_too_large`), for the gateway or for the backend.",
    414: "The URL is too long (`url_too_long`).",
    415: "The body is no plain JSON (`unsupported_media_type`).",
    417: "An `expect` that cannot be met (`unknown_expectation`).",
    429: "Too many requests (`rate_limit_exceeded`), or the allocation is used up (`insufficient_quota`).",
    431: "The headers are too large or too many (`headers_too_large`).",
    500: "A mistake of the gateway (`internal_error`); its log has it under the `x-request-id`.",
    502: "The backend failed, cannot be reached, refused the operator's credential (`upstream_auth`) or gave "
    "no JSON that satisfies the format (`invalid_structured_output`).",
    503: "The backend or the gateway is overloaded (`overloaded`), or the gateway is ending (`shutdown`).",
    504: "The backend did not answer in time (`deadline_first_byte`, `deadline_gap`, `timeout`, ...).",
}
_OF_ALL: Final = frozenset({400, 401, 405, 408, 414, 417, 431, 500, 503})
OF_READS: Final = _OF_ALL | {404}
OF_TRANSLATION: Final = _OF_ALL | {404, 413, 415}
OF_ANSWERS: Final = OF_TRANSLATION | {403, 429, 502, 504}
OF_OPERATIONS: Final = _OF_ALL

_HEADERS: Final[Mapping[str, tuple[Schema, str]]] = {
    "x-request-id": (STRING, "The request's id, also in the access line."),
    "openai-processing-ms": (STRING, "Milliseconds until the answer began."),
    "x-penstock-translation": (
        STRING,
        "Parameters that were not passed on as they are: `name=fate` pairs, at most 1 KB, then `more=N`.",
    ),
    "retry-after": (INTEGER, "Seconds after which asking again helps."),
    "retry-after-ms": (INTEGER, "The same in milliseconds, which OpenAI's clients prefer."),
    "x-should-retry": (STRING, "`false` where asking again does not help."),
    "www-authenticate": (STRING, "`Bearer`."),
    "allow": (STRING, "The methods that are allowed."),
}
_ALWAYS: Final = ("x-request-id", "openai-processing-ms")
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
        "headers": headers_of(*_OF_STATUS.get(status, ())),
        "content": {"application/json": {"schema": said(ref("Error"), "Always with all four keys.")}},
    }
