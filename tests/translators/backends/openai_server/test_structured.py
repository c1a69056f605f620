"""JSON from servers whose JSON mode can be relied on, and from those of which nobody says so."""

from typing import Any

import msgspec
import pytest

from tests.translators.backends.openai_server.asking import Written, written
from translators.backends.openai_server.servers import SERVERS
from translators.deltas import Call, Delta, Failed, Finish, Text, Usage

SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
FORMAT: dict[str, Any] = {
    "type": "json_schema",
    "json_schema": {"name": "n", "schema": SCHEMA, "strict": True},
}
CHECKED = ("generic", "workers_ai")
END: tuple[Delta, ...] = (Finish(0, "stop"), Usage(9, 1))

PRODUCT = pytest.mark.parametrize("product", CHECKED)


def _said(exchange: Written, *texts: str) -> list[Delta]:
    exchange.dialogue.first()
    return exchange.dialogue.take(0, [*(Text(0, text) for text in texts), *END])


@pytest.mark.parametrize("product", sorted(SERVERS.keys() - {*CHECKED}))
def test_json_that_can_be_relied_on_streams(product: str) -> None:
    exchange = written(product, response_format=FORMAT, stream=True)
    exchange.dialogue.first()
    assert exchange.dialogue.take(0, [Text(0, '{"a":')]) == [Text(0, '{"a":')]
    assert exchange.fates["stream"][0] == "kept"


@PRODUCT
def test_other_json_is_given_out_once_it_is_what_was_asked_for(product: str) -> None:
    exchange = written(product, response_format=FORMAT, stream=True)
    assert "checked" in exchange.fates["response_format"][1]
    assert exchange.fates["stream"][0] == "emulated"
    assert _said(exchange, "Sure: ", '```json\n{"a":"b"}\n```') == [Text(0, '{"a":"b"}'), *END]
    assert exchange.dialogue.next() == ()


@PRODUCT
def test_what_is_wrong_is_shown_to_the_model_once_and_then_an_error(product: str) -> None:
    exchange = written(product, response_format=FORMAT)
    assert _said(exchange, "I will not say.") == []
    (again,) = exchange.dialogue.next()
    messages = msgspec.json.decode(again.body)["messages"]
    assert [each["role"] for each in messages] == ["user", "assistant", "user"]
    assert messages[1]["content"] == "I will not say."
    assert exchange.dialogue.take(0, [Text(0, '{"a":"b"}'), *END])[0] == Text(0, '{"a":"b"}')
    exchange = written(product, response_format=FORMAT)
    assert _said(exchange, "no") == []
    exchange.dialogue.next()
    failed = exchange.dialogue.take(0, [Text(0, "no"), *END])[-1]
    assert isinstance(failed, Failed)
    assert failed.error.code == "invalid_structured_output"


@pytest.mark.parametrize("product", ["vllm", "generic"])
def test_what_the_answer_is_for_goes_along(product: str) -> None:
    described = {**FORMAT, "json_schema": {**FORMAT["json_schema"], "description": "An address"}}
    assert written(product, response_format=described).body["response_format"] == described


@PRODUCT
def test_a_call_in_place_of_json_is_none_of_the_judges_business(product: str) -> None:
    tool: dict[str, Any] = {"type": "function", "function": {"name": "f"}}
    exchange = written(product, response_format={"type": "json_object"}, tools=[tool])
    exchange.dialogue.first()
    call = Call(0, 0, "call_1", "f")
    assert exchange.dialogue.take(0, [call, Finish(0, "tool_calls")])[0] == call


def test_json_and_a_stream_at_once_are_not_asked_of_those_that_refuse_it() -> None:
    exchange = written("workers_ai", response_format=FORMAT, stream=True)
    assert not {"stream", "stream_options"} & exchange.body.keys()
    assert exchange.dialogue.first()[0].whole
    assert written("workers_ai", stream=True).body["stream"] is True
    in_words = written("workers_ai", {"can": frozenset()}, response_format=FORMAT, stream=True)
    assert in_words.body["stream"] is True
    assert written("generic", response_format=FORMAT, stream=True).body["stream"] is True


def test_stop_strings_are_watched_over_here_where_the_answer_is_checked() -> None:
    assert "stop" not in written("generic", response_format=FORMAT, stop=["}"]).body
    assert written("vllm", response_format=FORMAT, stop=["}"]).body["stop"] == ["}"]


@pytest.mark.parametrize(
    "form",
    [
        {"type": "json_object"},
        {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "array"}}},
    ],
    ids=lambda form: form["type"],
)
def test_json_without_named_properties_is_asked_for_in_words_where_the_product_refuses_it(
    form: dict[str, Any],
) -> None:
    exchange = written("tgi", response_format=form)
    assert "response_format" not in exchange.body
    assert "JSON" in exchange.body["messages"][0]["content"]
    assert exchange.fates["response_format"][0] == "emulated"
