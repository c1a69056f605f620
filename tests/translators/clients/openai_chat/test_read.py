"""OpenAI's chat request as a whole."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from tests.laws.exchange import put_to, translated
from translators.chat import SCHEMA_PLACE, ResponseFormat, ToolChoice
from translators.clients.openai_chat.read import read, wants_functions
from translators.errors import ApiError
from translators.report import Fate

MESSAGES = [{"role": "user", "content": "hi"}]
F = {"name": "f"}
TOOLS = [{"type": "function", "function": F}]
WRONG = {"type": "object", "properties": {"a": {"$ref": "http://127.0.0.1/schema"}}}


def _read(**fields: Any) -> Any:
    return read(msgspec.json.encode({"model": "m", "messages": MESSAGES, **fields}))


def _error(**fields: Any) -> ApiError:
    with pytest.raises(ApiError) as caught:
        _read(**fields)
    assert caught.value.status == 400
    return caught.value


def test_a_plain_question_asks_for_nothing_else() -> None:
    request = _read()
    assert request.max_tokens is None
    assert (request.choices, request.stop, request.stream, request.include_usage) == (1, (), False, False)
    assert (request.tools, request.tool_choice, request.parallel_calls) == ((), ToolChoice(), True)
    assert (request.parameters, request.extra, request.sent) == ({}, {}, {"messages": "messages"})


def test_parameters_are_checked_and_unknown_fields_go_on_as_they_are() -> None:
    request = _read(temperature=1, logit_bias={"1": -5}, metadata={"a": "b"}, modalities=["text"], foo=[1])
    assert request.parameters == {
        "temperature": 1,
        "logit_bias": {"1": -5},
        "metadata": {"a": "b"},
        "modalities": ["text"],
    }
    assert request.extra == {"foo": [1]}


def test_todays_name_outranks_the_deprecated_one() -> None:
    request = _read(
        max_tokens=5,
        max_completion_tokens=7,
        functions=[F],
        tools=TOOLS,
        function_call="none",
        tool_choice="auto",
    )
    assert (request.max_tokens, request.tool_choice) == (7, ToolChoice())
    assert {name for name, entry in request.settled.items() if entry.fate is Fate.DROPPED} == {
        "max_tokens",
        "functions",
        "function_call",
    }
    assert not wants_functions(request)


def test_a_null_does_not_outrank() -> None:
    assert _read(max_tokens=5, max_completion_tokens=None).max_tokens == 5


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_no_more_tokens_are_asked_for_than_can_be_counted(name: str) -> None:
    most = 2**31 - 1
    request = _read(**{name: most})
    assert (request.max_tokens, request.left_out) == (most, {})
    for asked in (most + 1, 2**64, 10**400):
        request = _read(**{name: asked})
        assert request.max_tokens == most
        assert request.left_out.keys() == {"max_tokens"}


def test_deprecated_functions_are_tools_of_which_one_is_called() -> None:
    request = _read(functions=[F], function_call={"name": "f"})
    assert request.tools[0].name == "f"
    assert request.tool_choice == ToolChoice("named", "f")
    assert not request.parallel_calls
    assert wants_functions(request)


def test_functions_with_code_are_workers_ais_own() -> None:
    embedded = [{"name": "f", "code": "return 1"}]
    request = _read(functions=embedded)
    assert (request.tools, request.extra["functions"]) == ((), embedded)
    assert request.sent["functions"] == "functions"
    beside = _read(functions=embedded, tools=TOOLS)
    assert beside.settled.keys() == {"model"}
    assert (beside.tools[0].name, beside.extra["functions"]) == ("f", embedded)


def test_stream_options_belong_to_a_stream() -> None:
    assert _read(stream=True, stream_options={"include_usage": True}).include_usage
    assert not _read(stream=True, stream_options={"include_usage": None}).include_usage
    assert _error(stream_options={"include_usage": True}).param == "stream_options"
    error = _error(stream=True, stream_options={"include_obfuscation": 1})
    assert error.param == "stream_options.include_obfuscation"


def test_response_formats() -> None:
    assert _read(response_format={"type": "text"}).response_format is None
    assert _read(response_format={"type": "json_object"}).response_format == ResponseFormat("json_object")
    envelope = {"name": "n", "schema": {"type": "object"}, "strict": True}
    schema = _read(response_format={"type": "json_schema", "json_schema": envelope}).response_format
    assert schema == ResponseFormat("json_schema", {"type": "object"}, "n", strict=True)


@pytest.mark.parametrize(
    ("form", "place"),
    [
        ({"type": "json_object", "schema": {"type": "object"}}, "response_format.schema"),
        ({"type": "json_schema", "json_schema": {"type": "object"}}, "response_format.json_schema"),
    ],
)
def test_a_schema_without_an_envelope_is_kept_to(form: dict[str, Any], place: str) -> None:
    """As llama.cpp, Together and Fireworks take it, and as Workers AI does."""
    request = _read(response_format=form)
    expected = ResponseFormat("json_schema", {"type": "object"}, "answer", strict=True, place=place)
    assert request.response_format == expected
    assert "bare schema" in request.left_out["response_format"]
    assert "response_format" not in _read(response_format={"type": "json_object"}).left_out


@pytest.mark.parametrize("backend", [lambda form: put_to(form, "generic"), translated])
@pytest.mark.parametrize(
    ("form", "param"),
    [
        ({"type": "json_object", "schema": WRONG}, "response_format.schema"),
        ({"type": "json_schema", "json_schema": WRONG}, "response_format.json_schema"),
        ({"type": "json_schema", "json_schema": {"name": "n", "schema": WRONG}}, SCHEMA_PLACE),
    ],
)
def test_a_schema_that_is_wrong_is_named_where_it_stands(
    form: dict[str, Any], param: str, backend: Callable[[Any], object]
) -> None:
    with pytest.raises(ApiError) as caught:
        backend({"model": "m", "messages": MESSAGES, "response_format": form})
    assert (caught.value.param or "").startswith(param)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"model": None}, "model"),
        ({"messages": None}, "messages"),
        ({"max_completion_tokens": 0}, "max_completion_tokens"),
        ({"max_tokens": 1.5}, "max_tokens"),
        ({"n": 129}, "n"),
        ({"stop": [1]}, "stop[0]"),
        ({"stream": "yes"}, "stream"),
        ({"parallel_tool_calls": 1}, "parallel_tool_calls"),
        ({"top_logprobs": 21}, "top_logprobs"),
        ({"reasoning_effort": "huge"}, "reasoning_effort"),
        ({"metadata": {"a": 1}}, "metadata.a"),
        ({"logit_bias": {"a": "b"}}, "logit_bias.a"),
        ({"modalities": ["text", 1]}, "modalities[1]"),
        ({"response_format": {"type": "xml"}}, "response_format.type"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": ""}}},
            "response_format.json_schema.name",
        ),
        ({"response_format": {"type": "json_object", "schema": 5}}, "response_format.schema"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"schema": {"type": "object"}}}},
            "response_format.json_schema.name",
        ),
    ],
)
def test_what_is_wrong_is_refused_by_name(fields: dict[str, Any], param: str) -> None:
    assert _error(**fields).param == param
