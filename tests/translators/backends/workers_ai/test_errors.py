"""Workers AI's errors as a client is to see them."""

from typing import Any

import msgspec
import pytest

from translators.answers.envelope import holds_error
from translators.backends.workers_ai.errors import read_error
from translators.backends.workers_ai.places import Sent
from translators.clients import OPENAI_CHAT
from translators.errors import CredentialError

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
        (8008, 502, "upstream_error"),
        (3043, 502, "upstream_error"),
        (8002, 400, None),
    ],
)
def test_a_code_decides_whatever_the_status_is(code: int, status: int, ours: str | None) -> None:
    for wire in (200, 400, 500):
        error = read_error(wire, _envelope(code), 0)
        assert (error.status, error.code) == (status, ours)
        assert read_error(wire, _envelope(str(code)), 0).message == error.message
        assert (error.param == "model") == (ours in {"model_not_found", "model_not_available"})


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
        (522, 504),
        (524, 504),
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


@pytest.mark.parametrize(
    ("status", "codes", "is_the_credential_s"),
    [
        (401, (10000,), True),
        (400, (9106,), True),
        (401, (0,), True),
        (403, (0,), True),
        (429, (0, 971), True),  # Cloudflare's API counts by the token's user
        (429, (3021, 4006, 3036, 3040, 2003), False),  # Workers AI by the account
        (403, (3023, 3041, 5018, 5035, 5016), False),
        (404, (7003,), False),
        (500, (0,), False),
    ],
)
def test_only_what_is_the_credential_s_fault_is_said_to_be(
    status: int, codes: tuple[int, ...], *, is_the_credential_s: bool
) -> None:
    for code in codes:
        error = read_error(status, _envelope(code), 0)
        assert isinstance(error, CredentialError) is is_the_credential_s, code
        assert type(error.unquoted()) is type(error)


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


def test_a_refusal_names_the_field_as_the_client_wrote_it() -> None:
    text = (
        "AiError: Bad input: Error: Type mismatch of '/messages/0/content', 'string' not in 'null' (1a2b3c4d)"
    )
    for error in (
        read_error(400, _envelope(5006, text), 0),
        read_error(400, _envelope(5006, text), 0).unquoted(),
    ):
        assert error.message == (
            "Workers AI refused the request: 'messages[0].content' must be a string, but it is null."
        )
        assert (error.param, error.code) == ("messages[0].content", "invalid_type")


def test_what_was_sent_tells_where_the_field_stood() -> None:
    body = {
        "model": "small",
        "messages": [{"role": "user", "content": "hi"}],
        "tools": [_function("f"), _function("g")],
        "tool_choice": {"type": "function", "function": {"name": "g"}},
        "max_tokens": 5,
    }
    tools = [{"type": "function", "function": {"name": "g", "description": 5}}]
    sent = Sent(
        msgspec.json.encode({"messages": body["messages"], "tools": tools, "max_completion_tokens": "x"}),
        OPENAI_CHAT.read(msgspec.json.encode(body)),
    )
    for text, param in {
        "Type mismatch of '/tools/0/function/description', 'string' not in 'number'": (
            "tools[1].function.description"
        ),
        "Type mismatch of '/max_completion_tokens', 'integer' not in 'string'": "max_tokens",
        "required properties at '/messages/0' are 'role,content,name'": "messages[0].name",
    }.items():
        assert read_error(400, _envelope(5006, text), 0, sent).param == param


def _function(name: str) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "description": "d"}}


def test_a_refusal_of_the_body_itself_names_no_field() -> None:
    error = read_error(400, _envelope(5006, "minProperties at '/' is 2, got 1"), 0)
    assert error.message == "Workers AI refused the request: the body has too few fields."
    assert error.param is None


@pytest.mark.parametrize("place", ["/srv/x", "/messages/0/sk_live_abc"])
def test_a_place_that_is_no_field_of_requests_is_not_told(place: str) -> None:
    error = read_error(400, _envelope(5006, f"Type mismatch of '{place}', 'string' not in 'null'"), 0)
    assert (error.message, error.param) == ("Workers AI refused the request.", None)


@pytest.mark.parametrize(
    ("engine", "param"),
    [
        ('{"message":"Bad.","param":"messages[0].content","code":400}', "messages[0].content"),
        ('{"error":{"message":"Bad.","param":"temperature"}}', "temperature"),
        ('{"error":{"message":"Bad.","param":"/opt/x"}}', None),
        ('{"error":{"message":"Bad.","param":["temperature"]}}', None),
    ],
)
def test_the_parameter_that_an_engine_names_is_passed_on(engine: str, param: str | None) -> None:
    assert read_error(400, _envelope(8001, f"AiError: AiError: {engine} (1a2b3c4d)"), 0).param == param
    body = msgspec.json.encode({"error": {"type": "invalid_request_error", "message": "x", "param": "seed"}})
    assert read_error(400, body, 0).param == "seed"


def test_a_model_that_the_account_may_not_use_is_named_with_the_reason() -> None:
    text = (
        "AiError: Model @cf/moonshotai/kimi-k2.6 is not available on the Workers Free plan: Model "
        "@cf/moonshotai/kimi-k2.6 is for paid plans. Upgrade to access this model: "
        "https://dash.cloudflare.com/?to=/:account/workers/plans (51afe8c9-9139-446e-9284-928af8ee842d)"
    )
    message = read_error(403, _envelope(5035, text), 0).message
    assert message.startswith("The model '@cf/moonshotai/kimi-k2.6' needs Cloudflare's Workers Paid plan")
    assert "dash.cloudflare.com" not in message
    assert "has terms of use" in read_error(403, _envelope(5016, "AiError: no"), 0).message


@pytest.mark.parametrize(
    ("text", "quote"),
    [
        ('AiError: AiError: {"object":"error","message":"Too long."} (1a2b3c4d)', "Too long"),
        ('AiError: {"error":{"type":"t","message":"Use another."}}', "Use another"),
        ('AiError: {"error":"x"}', ""),
        ('AiError: {"error":{"message":5}}', ""),
        ("AiError: {not json}", ""),
        ('AiError: AiError: upstream said 400: {"message":"Too long."} (1a2b3c4d)', "Too long"),
        ('AiError: Bad input: {"error":{"message":"Use another."}}, and no more', "Use another"),
        ('AiError: the value {"a":1} is wrong', ""),
        ("AiError: the value {x} is wrong", "the value {x} is wrong"),
        ("AiError: the brace { is wrong", "the brace { is wrong"),
    ],
)
def test_the_engines_own_json_is_unwrapped(text: str, quote: str) -> None:
    assert _quote(text) == quote


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


@pytest.mark.parametrize(
    ("body", "holds"),
    [
        (b'{"errors":[{"code":3050}]}', True),
        (b'{"error":{"message":"x"}}', True),
        (b'{"errors":[]}', False),
        (b"{}", False),
        (b"<html>", False),
    ],
)
def test_a_body_says_itself_whether_it_is_an_error(body: bytes, holds: bool) -> None:  # noqa: FBT001 - a row
    assert holds_error(body) == holds


@pytest.mark.parametrize("status", [200, 400, 500])
def test_json_mode_that_gave_up_is_told_by_its_sentence(status: int) -> None:
    error = read_error(status, b'{"errors":[{"message":"AiError: JSON Mode couldn\'t be met"}]}', 0)
    assert (error.status, error.code) == (502, "invalid_structured_output")
