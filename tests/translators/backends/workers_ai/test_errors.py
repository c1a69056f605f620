"""Workers AI's errors as a client is to see them."""

from typing import Any

import msgspec
import pytest

from translators.backends.workers_ai.errors import read_error, shape_error

NOON = 12 * 3600 + 15  # a quarter of a minute past noon


def _envelope(code: Any, message: Any = "AiError: x") -> bytes:
    return msgspec.json.encode({"errors": [{"code": code, "message": message}], "success": False})


@pytest.mark.parametrize(
    ("code", "status", "ours"),
    [
        (10000, 502, "upstream_auth"),
        (9106, 502, "upstream_auth"),
        (3023, 502, "upstream_auth"),
        (3041, 502, "upstream_auth"),
        (5018, 502, "upstream_auth"),
        (5016, 403, "model_not_available"),
        (5035, 403, "model_not_available"),
        (3007, 504, "timeout"),
        (3008, 504, "timeout"),
        (3040, 503, "overloaded"),
        (3050, 503, "overloaded"),
        (3021, 429, "rate_limit_exceeded"),
        (4006, 429, "insufficient_quota"),
        (3036, 429, "insufficient_quota"),
        (5007, 404, "model_not_found"),
        (3042, 404, "model_not_found"),
        (7001, 404, "model_not_found"),
        (8007, 400, "context_length_exceeded"),
        (3006, 413, None),
        (5006, 400, None),
        (8001, 400, None),
        (8006, 400, None),
        (5004, 400, None),
        (5012, 400, None),
        (5023, 400, None),
    ],
)
def test_a_code_decides_whatever_the_status_is(code: int, status: int, ours: str | None) -> None:
    for wire in (200, 400, 500):
        error = read_error(wire, _envelope(code), 0)
        assert (error.status, error.code) == (status, ours)
        assert (error.param == "model") == (ours == "model_not_found")


@pytest.mark.parametrize(
    ("wire", "status"),
    [
        (400, 400),
        (401, 502),
        (403, 502),
        (404, 404),
        (408, 504),
        (413, 413),
        (422, 400),
        (429, 429),
        (500, 502),
        (502, 502),
        (503, 503),
        (504, 504),
        (529, 503),
        (302, 502),
    ],
)
@pytest.mark.parametrize(
    "body", [b"", b"<html>", b'{"a":"\xff"}', b"[]", b"[" * 5000, _envelope(1), _envelope("x", 5)]
)
def test_without_a_known_code_the_status_decides(wire: int, status: int, body: bytes) -> None:
    assert read_error(wire, body, 0).status == status


@pytest.mark.parametrize(
    "body",
    [
        {"errors": [{"code": 3021}]},
        {"errors": {"code": 3021}},
        {"success": False, "error": [{"code": 3021, "message": "x"}]},
    ],
)
def test_all_three_envelopes_are_read(body: dict[str, Any]) -> None:
    assert read_error(400, msgspec.json.encode(body), 0).status == 429


@pytest.mark.parametrize("errors", [None, [], ["x"], "x", [None]])
def test_an_envelope_without_an_error_is_none(errors: Any) -> None:
    assert read_error(500, msgspec.json.encode({"errors": errors}), 0).status == 502


def test_how_long_to_wait_is_computed_since_workers_ai_does_not_say() -> None:
    assert read_error(429, _envelope(3021), NOON).retry_after == 45
    assert read_error(429, _envelope(4006), NOON).retry_after == 12 * 3600 - 15
    assert read_error(429, _envelope(3040), NOON).retry_after == 2
    assert read_error(400, _envelope(5006), NOON).retry_after is None


def _quote(message: str, code: int = 5006) -> str:
    error = read_error(400, _envelope(code, message), 0)
    ours = error.unquoted().message.rstrip(".")
    assert error.message.startswith(ours)
    return error.message.removeprefix(ours).removeprefix(":").strip(" .")


def test_a_refusal_is_quoted_in_the_words_of_the_clients_own_request() -> None:
    text = (
        "AiError: Bad input: Error: Type mismatch of '/messages/0/content', 'string' not in 'null' (1a2b3c4d)"
    )
    assert _quote(text) == "Type mismatch of 'messages[0].content', 'string' not in 'null'"
    assert _quote("AiError: oneOf at '/' not met.") == "oneOf at 'body' not met"


@pytest.mark.parametrize(
    ("text", "quote"),
    [
        ('AiError: AiError: {"object":"error","message":"Too long."} (1a2b3c4d)', "Too long"),
        ('AiError: {"error":{"type":"t","message":"Use another."}}', "Use another"),
        ('AiError: {"error":"x"}', ""),
        ('AiError: {"error":{"message":5}}', ""),
        ("AiError: {not json}", ""),
    ],
)
def test_the_engines_own_json_is_unwrapped(text: str, quote: str) -> None:
    assert _quote(text) == quote


@pytest.mark.parametrize(
    "text",
    [
        "see https://dash.cloudflare.com",
        "at 10.0.0.1 x",
        "engine.internal said no",
        "token 0123456789abcdef0",
        "Bearer x",
        "in /opt/vllm/x.py",
        "",
    ],
)
def test_what_may_name_a_host_a_path_or_a_key_is_not_quoted(text: str) -> None:
    assert _quote(f"AiError: {text}") == ""


def test_a_quote_is_short() -> None:
    assert len(_quote("AiError: " + "long " * 100)) <= 300


def test_only_errors_about_the_request_are_quoted() -> None:
    assert _quote("AiError: capacity", 3040) == ""


def test_an_answer_without_a_shape_says_what_it_was() -> None:
    assert "an empty body" in shape_error(b" ").message
    assert "a form that is not known" in shape_error(b"<html>").message
