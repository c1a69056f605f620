"""Where a field of the body sent stands in the client's request."""

from typing import Any

import msgspec
import pytest

from translators.backends.workers_ai.places import ABSENT, Sent, field_name, value_at
from translators.clients import OPENAI_CHAT, OPENAI_COMPLETIONS

HI: dict[str, Any] = {"role": "user", "content": "hi"}


def sent(body: dict[str, Any], **asked: Any) -> Sent:
    dialect = OPENAI_COMPLETIONS if "prompt" in asked else OPENAI_CHAT
    return Sent(msgspec.json.encode(body), dialect.read(msgspec.json.encode({"model": "small", **asked})))


def tool(name: str, **more: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, **more}}


def name_of(place: Sent, path: str) -> str | None:
    return place.name_of(tuple(path.split("/")))


def test_messages_keep_the_clients_numbers() -> None:
    same = sent({"messages": [HI, HI]}, messages=[HI, HI])
    assert name_of(same, "messages/1/content") == "messages[1].content"
    assert (
        name_of(same, "messages")
        == name_of(same, "messages/7")
        == name_of(same, "messages/role")
        == "messages"
    )


def test_where_a_message_is_ours_no_number_is_told() -> None:
    assert name_of(sent({"messages": [HI, HI]}, messages=[HI]), "messages/1/content") == "messages"


def test_a_prompt_is_named_by_its_number_where_there_are_several() -> None:
    assert name_of(sent({"prompt": "b"}, prompt=["a", "b"]), "prompt") == "prompt[1]"
    assert name_of(sent({"prompt": "a"}, prompt="a"), "prompt") == "prompt"
    assert name_of(sent({"messages": [HI]}, prompt="hi"), "messages/0/content") == "prompt"


def test_a_tool_is_found_by_its_name() -> None:
    tools = [tool("f"), tool("g")]
    one = sent({"tools": [tool("g")]}, messages=[HI], tools=tools)
    assert name_of(one, "tools/0/function/parameters/properties/city") == (
        "tools[1].function.parameters.properties.city"
    )
    assert name_of(one, "tools/0/type") == "tools[1].type"
    assert name_of(one, "tools/0") == "tools[1]"
    assert name_of(one, "tools/3/type") == "tools[3].type"
    assert name_of(one, "tools/3/secret") is None
    old = sent({"tools": [tool("f")]}, messages=[HI], functions=[{"name": "f"}])
    assert name_of(old, "tools/0/function/name") == "functions[0].name"


@pytest.mark.parametrize(
    ("asked", "path", "name"),
    [
        ({"max_tokens": 5}, "max_completion_tokens", "max_tokens"),
        ({"max_completion_tokens": 5}, "max_tokens", "max_completion_tokens"),
        (
            {"stream_options": {}, "stream": True},
            "stream_options/include_usage",
            "stream_options.include_usage",
        ),
        ({"reasoning_effort": "low"}, "chat_template_kwargs/enable_thinking", "reasoning_effort"),
        ({"response_format": {"type": "json_object"}}, "guided_json", "response_format"),
        ({}, "image", "messages"),
        ({}, "max_tokens", "max_tokens"),
        ({}, "made_up", None),
        ({"made_up": 1}, "made_up", "made_up"),
    ],
)
def test_a_parameter_has_the_name_that_the_client_gave_it(asked: Any, path: str, name: str | None) -> None:
    assert name_of(sent({}, messages=[HI], **asked), path) == name


def test_the_body_itself_has_no_name() -> None:
    assert sent({}, messages=[HI]).name_of(()) is None
    assert field_name(()) is None


def test_only_fields_of_requests_are_named() -> None:
    assert field_name(("messages", "0", "content")) == "messages[0].content"
    assert field_name(("messages", "0", "sk_live")) is None
    assert field_name(("0",)) is None


def test_null_is_not_absent() -> None:
    assert value_at({"a": [None]}, ("a", "0")) is None
    for path in (("b",), ("a", "1"), ("a", "x"), ("a", "0", "b")):
        assert value_at({"a": [None]}, path) is ABSENT
