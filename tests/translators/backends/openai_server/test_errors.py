"""Servers' errors as a client is to see them."""

from typing import Any

import msgspec
import pytest

from translators.backends.openai_server.errors import read_error
from translators.errors import CredentialError
from translators.overflow import WindowError


def _nested(**fields: Any) -> bytes:
    return msgspec.json.encode({"error": {"message": "It went wrong", **fields}})


def _flat(**fields: Any) -> bytes:
    return msgspec.json.encode({"object": "error", "message": "It went wrong", **fields})


@pytest.mark.parametrize(
    ("status", "body", "meant", "code"),
    [
        (400, _nested(type="BadRequestError", code=400), 400, None),
        (400, _flat(type="BadRequestError", code=400), 400, None),
        (422, b'{"error":"Input validation error: no","error_type":"validation"}', 400, None),
        (413, b"", 413, None),
        (404, _nested(type="NotFoundError", code=404), 404, "model_not_found"),
        (404, b'{"detail":"Not Found"}', 404, "model_not_found"),
        (408, b"", 504, "timeout"),
        (504, b"<html>", 504, "timeout"),
        (522, b"error code: 522", 504, "timeout"),
        (524, b"error code: 524", 504, "timeout"),
        (424, b'{"error":"Request failed","error_type":"generation"}', 502, "upstream_error"),
        (429, b'{"error":"Model is overloaded","error_type":"overloaded"}', 429, "rate_limit_exceeded"),
        (429, _nested(code="insufficient_quota"), 429, "insufficient_quota"),
        (503, _nested(type="unavailable_error", code=503), 503, "overloaded"),
        (529, b"", 503, "overloaded"),
        (500, _flat(type="InternalServerError", code=500), 502, "upstream_error"),
        (500, b"not even JSON", 502, "upstream_error"),
        (200, _flat(type="BadRequestError", code=400), 400, None),
        (200, _nested(type="unavailable_error"), 503, "overloaded"),
        (200, _nested(code=429), 429, "rate_limit_exceeded"),
    ],
)  # fmt: skip
def test_an_error_means_the_same_in_every_envelope(
    status: int, body: bytes, meant: int, code: str | None
) -> None:
    error = read_error(status, body)
    assert (error.status, error.code) == (meant, code)
    assert error.message


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize(
    "body", [b'{"error":"Unauthorized"}', b"", _flat(type="authentication_error", code=401)]
)
def test_a_refused_key_is_the_operators(status: int, body: bytes) -> None:
    error = read_error(status, body)
    assert isinstance(error, CredentialError)
    assert (error.status, error.code) == (502, "upstream_auth")
    assert "Unauthorized" not in error.message


@pytest.mark.parametrize(
    ("body", "of_credential"),
    [
        (b"", True),
        (_nested(code="rate_limit_exceeded"), True),
        (_nested(code="insufficient_quota"), True),
        (_nested(code=3021), False),  # of the account, as is the next one
        (_nested(code=4006), False),
    ],
)
def test_too_many_requests_are_those_of_a_key_but_where_an_account_is_counted(
    body: bytes,
    of_credential: bool,  # noqa: FBT001
) -> None:
    error = read_error(429, body)
    assert error.status == 429
    assert isinstance(error, CredentialError) is of_credential


@pytest.mark.parametrize(
    ("message", "meant"),
    [
        ("Input validation error: `temperature` must be strictly positive", 400),
        ("Template error: no", 400),
        ("Missing template vatiable: x", 400),
        ("Tool error: x", 400),
        ("Model is overloaded", 429),
        ("Request failed during generation: Server error: out of memory", 502),
        ("Incomplete generation", 502),
    ],
)
def test_tgi_says_422_in_a_stream_whatever_happened(message: str, meant: int) -> None:
    assert read_error(502, _nested(message=message, http_status_code=422)).status == meant


@pytest.mark.parametrize(
    ("body", "window"),
    [
        (_nested(message="This model's maximum context length is 4096 tokens.", code=400), 4096),
        (
            _flat(message="The input (5000 tokens) is longer than the model's context length (4096 tokens)."),
            4096,
        ),
        (
            _nested(
                message="the request (5000 tokens) exceeds the available context size (4096 tokens)",
                type="exceed_context_size_error",
            ),
            4096,
        ),
        (_nested(message="too much", code="context_length_exceeded"), None),
        (b'{"error":"Input validation error: `inputs` must have less than 4096 tokens. Given: 5000"}', None),
    ],
)
def test_a_prompt_too_long_has_the_words_that_agents_know(body: bytes, window: int | None) -> None:
    error = read_error(400, body)
    assert isinstance(error, WindowError)
    assert (error.code, error.window) == ("context_length_exceeded", window)
    assert "reduce the length of the messages" in error.message


def test_words_about_the_request_are_quoted_and_others_not() -> None:
    body = _nested(message="The temperature must be positive", param="temperature")
    error = read_error(400, body)
    assert error.message.endswith(": The temperature must be positive.")
    assert error.param == "temperature"
    broken = read_error(500, body)
    assert "temperature" not in broken.message
    assert broken.param is None
    assert "10.0" not in read_error(400, _nested(message="See http://10.0.0.1/v1 with key sk-abc123")).message


def test_no_error_names_another_backend() -> None:
    for status in range(400, 600):
        assert "Workers AI" not in read_error(status, b"").message


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (403, 10000, "upstream_auth"),
        (400, 5007, "model_not_found"),
        (408, 3007, "timeout"),
        (429, 3040, "overloaded"),
        (429, 3021, "rate_limit_exceeded"),
        (429, 4006, "insufficient_quota"),
        (400, 8007, "context_length_exceeded"),
    ],
)
def test_cloudflares_codes_say_what_happened(status: int, code: int, expected: str) -> None:
    body = b'{"success":false,"errors":[{"code":%d,"message":"AiError: no"}]}' % code
    assert read_error(status, body).code == expected


def test_an_accounts_allocation_is_renewed_with_the_day() -> None:
    body = b'{"errors":[{"code":4006,"message":"no"}]}'
    assert read_error(429, body, 86_400 + 400).retry_after == 86_000
    assert read_error(429, b'{"error":{"code":"insufficient_quota"}}', 400).retry_after is None


@pytest.mark.parametrize("code", [[], {}, None, 1.5, True, "", "new"])
@pytest.mark.parametrize("field", ["code", "type", "message", "param"])
def test_an_error_with_fields_of_any_kind_is_an_error(field: str, code: Any) -> None:
    for body in (_nested(**{field: code}), _flat(**{field: code})):
        assert read_error(400, body).status == 400
        assert read_error(500, body).status == 502
