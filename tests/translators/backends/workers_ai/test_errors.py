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
        (3003, 400, None),
        (2019, 400, None),
        (5005, 400, None),
        (5019, 400, None),
        (3039, 400, None),
        (3030, 400, "content_policy_violation"),
        (7000, 502, "upstream_auth"),
        (7003, 502, "upstream_auth"),
        (2001, 502, "upstream_auth"),
        (2008, 502, "upstream_auth"),
        (2009, 502, "upstream_auth"),
        (2021, 502, "upstream_auth"),
        (2003, 429, "rate_limit_exceeded"),
        (7009, 503, "overloaded"),
        (8005, 502, "upstream_error"),
    ],
)
def test_a_code_decides_whatever_the_status_is(code: int, status: int, ours: str | None) -> None:
    for wire in (200, 400, 500):
        error = read_error(wire, _envelope(code), 0)
        assert (error.status, error.code) == (status, ours)
        assert read_error(wire, _envelope(str(code)), 0).message == error.message
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
    "body",
    [b"", b"<html>", b'{"a":"\xff"}', b"[]", b"[" * 5000, _envelope(1), _envelope("x", 5), _envelope(True)],
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


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        ({"code": 429, "message": "x"}, 429, "rate_limit_exceeded"),
        ({"code": "429"}, 429, "rate_limit_exceeded"),
        ({"code": 400, "type": "BadRequestError"}, 400, None),
        ({"code": None, "type": "invalid_request_error"}, 400, None),
        (
            {"code": "context_length_exceeded", "type": "invalid_request_error"},
            400,
            "context_length_exceeded",
        ),
        ({"code": "insufficient_quota"}, 429, "insufficient_quota"),
        ({"code": "invalid_api_key", "type": "invalid_request_error"}, 502, "upstream_auth"),
        ({"code": "made_up", "type": "overloaded_error"}, 503, "overloaded"),
        ({"code": True, "type": ["x"]}, 502, "upstream_error"),
        ({"code": 500, "type": "InternalServerError"}, 502, "upstream_error"),
        ("something broke", 502, "upstream_error"),
    ],
)
def test_an_error_in_openais_form_is_read_too(error: Any, status: int, code: str | None) -> None:
    read = read_error(502, msgspec.json.encode({"error": error}), 0)
    assert (read.status, read.code) == (status, code)


def test_a_refused_credential_is_the_operators_whatever_the_backend_calls_it() -> None:
    body = {"error": {"type": "invalid_request_error", "message": "Incorrect key"}}
    assert read_error(401, msgspec.json.encode(body), 0).code == "upstream_auth"


def test_an_unknown_model_says_where_the_known_ones_are_listed() -> None:
    error = read_error(404, _envelope(5007), 0)
    assert "GET /v1/models" in error.message
    assert error.param == "model"


def test_a_wrong_account_is_for_the_operator_to_correct() -> None:
    text = "Could not route to /client/v4/accounts/0123/ai/run, perhaps your object identifier is invalid?"
    message = read_error(404, _envelope(7003, text), 0).message
    assert "operator" in message
    assert "0123" not in message


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


ZERO = "oneOf at '/' not met, 0 matches: "
OURS = "oneOf at 'body' not met, 0 matches: "


@pytest.mark.parametrize(
    ("text", "quote"),
    [
        ("Type mismatch of '/a', 'string' not in 'number','integer'", None),
        (
            "Type mismatch of '/messages/1', 'string' not in 'boolean'",
            "'messages[1]', 'string' not in 'boolean'",
        ),
        ("Type mismatch of '/stop', 'string,null' not in 'string'", None),
        ("required properties at '/audio' are 'voice,format'", None),
        ("required properties at '/messages/17' are 'role,content'", "at 'messages[17]' are 'role,content'"),
        (
            "required properties at '/messages/role' are 'role,content'",
            "at 'messages.role' are 'role,content'",
        ),
        ("required properties at '/tools/0/parameters' are 'type,properties'", "'tools[0].parameters' are"),
        ("oneOf at '/' not met, 2 matches", "oneOf at 'body' not met, 2 matches"),
        (
            ZERO + "required properties at '/' are 'prompt'",
            OURS + "required properties at 'body' are 'prompt'",
        ),
        (ZERO + "'/temperature' must be <= 5", OURS + "'temperature' must be <= 5"),
        (
            "anyOf at '/' not met: required properties at '/' are 'a'",
            "at 'body' not met: required properties",
        ),
        ("not at '/a' not met", None),
        ("const y doesn't match x at '/a'", None),
        ("const [object Object] doesn't match 1e-7 at '/a'", None),
        ("enum function not in custom at '/tools/0/type'", "not in custom at 'tools[0].type'"),
        (
            "enum system not in user,assistant at '/messages/0/role'",
            "not in user,assistant at 'messages[0].role'",
        ),
        ("enum should be an array at '/a'", None),
        ("Length of '/prompt' must be <= 131072", None),
        ("Length of '/a' must be >= 1 not met", None),
        ("'/a' must be >= 0", None),
        ("'/a' must be > 0", None),
        ("'/seed' must be <= 9999999999", None),
        ("'/a' must be < 2", None),
        ("'/a' must be multiple of 8", None),
        ("'/a' failed test ^a+$ patttern", "'a' does not match its pattern"),
        ("minProperties at '/' is 2, got 1", "minProperties at 'body' is 2, got 1"),
        ("maxProperties at '/' is undefined, got 2", "maxProperties at 'body' is undefined, got 2"),
        (
            "Additional or unevaluated properties '/b, /c' at '/' not allowed",
            "properties 'b, c' at 'body' not",
        ),
        ("No schema for path '/tools/0'", "No schema for path 'tools[0]'"),
    ],
)
def test_every_text_of_the_validator_is_quoted(text: str, quote: str | None) -> None:
    said = _quote(f"AiError: Bad input: Error: {text} (51afe8c9-9139-446e-9284-928af8ee842d)")
    assert (quote or text.replace("'/", "'")) in said
    assert "'/" not in said


@pytest.mark.parametrize(
    "text",
    [
        "see https://dash.cloudflare.com",
        (
            "at vllm-7.svc.cluster.local:8000 file 'data.models.x' token cfut_abcdefSECRET "
            "id 51afe8c9-9139-446e-9284-928af8ee842d sk-live-12345"
        ),
        "cannot read '/data/models/x'",
        "cannot read '/opt/vllm/x', '/messages/0'",
        "cannot read '/messages/sk_live_abc'",
        "cannot read '/cfut_abcdef'",
        "cannot read '/srv/0'",
        "cannot reach '/10/0/0/1'",
        "",
    ],
)
def test_what_may_name_a_host_a_path_or_a_key_is_not_quoted(text: str) -> None:
    assert _quote(f"AiError: {text}") == ""


@pytest.mark.parametrize("code", [8007, 5006, 8001])
def test_a_prompt_too_long_for_the_model_is_told_in_the_words_that_agents_know(code: int) -> None:
    engine = (
        '{"object":"error","message":"Requested token count exceeds the model\'s maximum context length of '
        "262144 tokens. You requested a total of 263925 tokens: 199925 tokens from the input messages and "
        '64000 tokens for the completion.","type":"BadRequestError","param":null,"code":400}'
    )
    error = read_error(400, _envelope(code, f"AiError: AiError: {engine} (82a04848)"), 0)
    assert (error.status, error.code) == (400, "context_length_exceeded")
    assert error.message.startswith(
        "This model's maximum context length is 262144 tokens. However, your messages resulted in 199925 "
        "tokens. Please reduce the length of the messages. (context_length_exceeded)"
    )
    assert error.unquoted().message == error.message


def test_a_text_too_long_to_be_read_in_time_is_not_read() -> None:
    error = read_error(400, _envelope(8007, "maximum context length is 5 tokens " * 600), 0)
    assert error.message.startswith("This model's maximum context length is exceeded")
    assert _quote("long " * 4001) == ""


def test_only_errors_about_the_request_are_quoted() -> None:
    assert _quote("AiError: capacity", 3040) == ""


def test_an_answer_without_a_shape_says_what_it_was() -> None:
    assert "an empty body" in shape_error(b" ").message
    assert "a form that is not known" in shape_error(b"<html>").message
