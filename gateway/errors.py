"""Errors that the gateway itself answers, in words that the person reading can act on."""

from collections.abc import Sequence
from typing import Final, Literal

from translators.errors import INVALID_REQUEST, SERVER_ERROR, ApiError

# For logs and metrics only, where nothing was sent.
CLIENT_LEFT: Final = 499  # nginx's, for a client that closed the connection


Standing = Sequence[tuple[bytes, bytes]]  # the `x-ratelimit-*` headers of an answer


class LimitError(ApiError):
    """429: a limit refuses a request.

    Attributes:
        subject: Whose limit it is, in words.
        is_hopeless: Whether asking again does not help.
        standing: Headers that say where the client stands with its limits.
    """

    def __init__(  # noqa: PLR0913 - the fields of an error are what they are
        self,
        message: str,
        kind: str,
        subject: str,
        *,
        retry_after: float | None = None,
        is_hopeless: bool = False,
        standing: Standing = (),
    ) -> None:
        super().__init__(429, message, type=kind, code="rate_limit_exceeded", retry_after=retry_after)
        self.subject: Final = subject
        self.is_hopeless: Final = is_hopeless
        self.standing: Final = standing


class TargetFullError(LimitError):
    """A target's own limit is used up; another target may have room."""


def store_away() -> ApiError:
    """503: a key or a limit must not be passed unchecked, and the store that knows does not answer."""
    return ApiError(
        503,
        "The gateway cannot check this request's key or limits, for its store does not answer. Ask again "
        "shortly.",
        type=SERVER_ERROR,
        code="store_unavailable",
        retry_after=1.0,
    )


def keys_unreadable() -> ApiError:
    """503: this process keeps keys under another secret than those who issued them."""
    return ApiError(
        503,
        "This gateway cannot read the issued keys, for its settings differ from those of other replicas. "
        "Tell its operator to look at the log.",
        type=SERVER_ERROR,
        code="keys_unreadable",
    )


# Why a key does not let a request in, for the metrics.
KeyFlaw = Literal["missing", "wrong", "slowed", "disabled", "expired", "address"]


class RefusedKeyError(ApiError):
    """The key of a request does not let it in, or there is none."""

    def __init__(  # noqa: PLR0913 - the fields of an error are what they are
        self,
        flaw: KeyFlaw,
        message: str,
        *,
        status: int = 401,
        kind: str = INVALID_REQUEST,
        code: str = "invalid_api_key",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(status, message, type=kind, code=code, retry_after=retry_after)
        self.flaw: Final = flaw


class WrongKeyError(RefusedKeyError):
    """401: the key is none of ours. It never says how near it is to one."""

    def __init__(self) -> None:
        super().__init__(
            "wrong", "Incorrect API key provided. Use a key that this gateway's operator issued."
        )


def unauthorized(*, given: bool) -> ApiError:
    """401: the key is missing or is none of ours."""
    if given:
        return WrongKeyError()
    return RefusedKeyError(
        "missing",
        "You didn't provide an API key. Send it in a header: 'Authorization: Bearer YOUR_KEY'.",
    )


def wrong_keys(wait: float) -> ApiError:
    """429: so many wrong keys came from an address that it has to wait."""
    return RefusedKeyError(
        "slowed",
        "Too many wrong API keys came from this address. Check the key before you ask again.",
        status=429,
        kind="requests",
        code="rate_limit_exceeded",
        retry_after=wait,
    )


def key_disabled(what: str) -> ApiError:
    """401: the key, or its team, is refused for the time being."""
    return RefusedKeyError("disabled", f"This {what} is disabled. Ask the gateway's operator to enable it.")


def key_expired() -> ApiError:
    """401: the key has held until now."""
    return RefusedKeyError("expired", "This API key has expired. Ask the gateway's operator for a new one.")


def address_not_allowed() -> ApiError:
    """401, as OpenAI has it: the key is good, but not from there."""
    return RefusedKeyError(
        "address",
        "This API key may not be used from this address. Its allowed_ips say from where it may.",
        code="ip_not_authorized",
    )


def may_only_read() -> ApiError:
    """403: a key that may look and not ask."""
    return ApiError(
        403,
        "This API key may only read the admin API. Use a key whose role is 'inference'.",
        code="insufficient_permissions",
    )


def model_not_allowed(model: str) -> ApiError:
    """403, as OpenAI has it for a project without access to a model."""
    return ApiError(
        403,
        f"This API key does not have access to the model '{model[:100]}'. "
        "GET /v1/models lists what it may use.",
        code="model_not_found",
        param="model",
    )


def unknown_url(method: str, path: str) -> ApiError:
    """404 for a path that is no endpoint."""
    return ApiError(404, f"Unknown request URL: {method} {path[:200]}. Check the path and the base_url.")


def method_not_allowed(method: str, allowed: str) -> ApiError:
    """405 naming what is allowed."""
    return ApiError(
        405, f"The method {method} is not allowed here; use {allowed}.", code="method_not_allowed"
    )


def unknown_model(model: str) -> ApiError:
    """404 for a model that no route serves."""
    return ApiError(
        404,
        f"The model '{model[:100]}' does not exist or you do not have access to it. "
        "GET /v1/models lists what there is.",
        code="model_not_found",
        param="model",
    )


def not_json(content_type: str) -> ApiError:
    """415 for a body that does not call itself JSON."""
    return ApiError(
        415,
        f"The content type '{content_type[:100]}' is not supported. Send 'Content-Type: application/json'.",
        code="unsupported_media_type",
    )


def compressed(encoding: str) -> ApiError:
    """415 for a compressed body."""
    return ApiError(
        415,
        f"The content encoding '{encoding[:100]}' is not supported. Send the body uncompressed.",
        code="unsupported_media_type",
    )


def body_too_large(limit: int) -> ApiError:
    """413 naming the limit in bytes."""
    return ApiError(
        413, f"The request body is larger than {limit} bytes. Send less.", code="request_too_large"
    )


def bad_http(flaw: str) -> ApiError:
    """400 for what is no HTTP/1.1, or could be read in two ways."""
    return ApiError(400, f"The request is not valid HTTP/1.1: {flaw}.", code="invalid_http")


def url_too_long(limit: int) -> ApiError:
    """414 naming the limit in bytes."""
    return ApiError(414, f"The request URL is longer than {limit} bytes.", code="url_too_long")


def headers_too_large(limit: int, count: int) -> ApiError:
    """431 naming both limits."""
    return ApiError(
        431,
        f"The request's headers are larger than {limit} bytes or more than {count}. Send fewer.",
        code="headers_too_large",
    )


def unknown_expectation() -> ApiError:
    """417 for an Expect header that is not HTTP's one."""
    return ApiError(
        417,
        "The only expectation that is met is '100-continue'. Leave out Expect.",
        code="unknown_expectation",
    )


def slow_head() -> ApiError:
    """408 for a client that does not finish its headers, or says nothing at all."""
    return ApiError(408, "The request's headers did not arrive in time.", code="header_timeout")


def shutting_down() -> ApiError:
    """503 where the process ends before the answer does."""
    return ApiError(
        503,
        "The gateway is shutting down. Ask again.",
        type=SERVER_ERROR,
        code="shutdown",
        retry_after=1,
    )


def overloaded(retry_after: float) -> ApiError:
    """503 where there are more requests than can be served in time."""
    return ApiError(
        503,
        "The gateway has more requests than it can serve. Ask again after the time in retry-after.",
        type=SERVER_ERROR,
        code="overloaded",
        retry_after=retry_after,
    )


def none_available(retry_after: float) -> ApiError:
    """503: every target of the model is full, set aside, drained or known to fail."""
    return ApiError(
        503,
        "No backend can take this request at the moment. Ask again after the time in retry-after.",
        type=SERVER_ERROR,
        code="no_backend_available",
        retry_after=retry_after,
    )


def slow_body() -> ApiError:
    """408 for a client that stops in the middle of its body."""
    return ApiError(408, "The request body did not arrive in time.", code="request_timeout")


def is_deadline(error: ApiError) -> bool:
    """Whether a deadline of ours has passed, and not one of the backend's own."""
    return error.code is not None and error.code.startswith("deadline_")


def unreachable() -> ApiError:
    """502: no connection to the backend."""
    return ApiError(
        502,
        "The backend accepts no connection. Ask again; if it stays so, the gateway's operator should see "
        "whether it runs, and at the port of its base_url.",
        type=SERVER_ERROR,
        code="backend_unreachable",
    )


def unknown_host() -> ApiError:
    """502: the name of the backend's host has no address."""
    return ApiError(
        502,
        "The name of the backend's host has no address. Ask again; if it stays so, the gateway's operator "
        "should check the host in its base_url, and the name servers of the gateway's machine.",
        type=SERVER_ERROR,
        code="upstream_dns",
    )


def no_tls(flaw: str) -> ApiError:
    """502: the backend was reached, and cannot be trusted or does not speak TLS."""
    words = {
        "handshake": "the handshake failed. The gateway's operator should see whether the backend speaks "
        "https at the port of its base_url",
        "certificate": "its certificate cannot be verified. The gateway's operator should have it made anew",
        "not_yet_valid": "its certificate is not valid yet. The gateway's operator should compare the clocks "
        "of both machines",
        "expired": "its certificate has expired. The gateway's operator should have it renewed",
        "untrusted": "its certificate is signed by nobody whom the gateway trusts. The gateway's operator "
        "should name a file with the signing authority in SSL_CERT_FILE",
        "other_host": "its certificate is for another host. The gateway's operator should check the host in "
        "its base_url",
    }
    return ApiError(
        502, f"No secure connection to the backend: {words[flaw]}.", type=SERVER_ERROR, code="upstream_tls"
    )


def no_credential() -> ApiError:
    """502: nothing to show to the backend could be read."""
    return ApiError(
        502,
        "The gateway has no credential for the backend at the moment. Its operator should look at the log.",
        type=SERVER_ERROR,
        code="upstream_auth",
    )


def broken_off() -> ApiError:
    """502: the backend's connection broke."""
    return ApiError(
        502,
        "The backend broke off its answer. Ask again.",
        type=SERVER_ERROR,
        code="backend_broken",
    )


def too_late(phase: str) -> ApiError:
    """504: a deadline of the answer has passed."""
    words = {
        "connect": "could not be reached in time",
        "first_byte": "did not begin its answer in time",
        "gap": "fell silent in the middle of its answer",
        "total": "did not finish its answer in time",
    }
    return ApiError(
        504,
        f"The backend {words[phase]}. Ask again.",
        type=SERVER_ERROR,
        code=f"deadline_{phase}",
    )


def no_counts() -> ApiError:
    """503: the metrics of the other workers are not to be had now."""
    return ApiError(
        503,
        "The metrics of all workers could not be gathered in time. Ask again.",
        type=SERVER_ERROR,
        code="metrics_unavailable",
        retry_after=1.0,
    )


def internal() -> ApiError:
    """500: a mistake of ours; the log has it under the request id."""
    return ApiError(
        500,
        "The gateway failed on this request. Tell its operator the x-request-id of this answer.",
        type=SERVER_ERROR,
        code="internal_error",
    )
