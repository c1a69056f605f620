"""The stated schemas: equal to the published ones, and refusing and accepting what those do."""

from collections.abc import Callable
from typing import Any

import pytest

from gateway.simulator import schemas
from gateway.simulator.validator import refusal

HI = {"role": "user", "content": "hi"}
ZERO = "oneOf at '/' not met, 0 matches: "
NO_PROMPT = "required properties at '/' are 'prompt'"
NO_MESSAGES = "required properties at '/' are 'messages'"
NOT_ARRAY = "Type mismatch of '/messages/{}/content', 'array' not in 'string'"
NOT_STRING = "Type mismatch of '/messages/{}/content', 'string' not in '{}'"
INCOMPLETE = "required properties at '/messages/{}' are 'role,content'"
LONGEST = 131_072
PARAMETERS = {"type": "object", "properties": {"a": {"type": "string", "description": "d"}}}
TOOL = {"type": "function", "function": {"name": "f", "description": "d", "parameters": PARAMETERS}}
BARE_TOOL = {
    "type": "function",
    "function": {
        "name": "f",
        "description": "d",
        "parameters": {"type": "object", "properties": {"a": {"type": "string"}}},
    },
}


def said(*contents: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": content} for content in contents]}


def asked(**more: Any) -> dict[str, Any]:
    return {"messages": [HI], **more}


def undescribed(schema: Any, *, names: bool = False) -> Any:
    """Drop descriptions, but no property that is called so."""
    if isinstance(schema, dict):
        return {
            key: undescribed(value, names=key == "properties" and not names)
            for key, value in schema.items()
            if names or key != "description"
        }
    return [undescribed(item) for item in schema] if isinstance(schema, list) else schema


def test_the_seed_schema_is_the_published_one(published: Callable[[str], dict[str, Any]]) -> None:
    seed = published("seed/_seed_llama-3.1-8b-instruct-fast.schema.json")
    assert undescribed(seed) == schemas.SEED_INPUT
    for stated, option in zip(schemas.SEED_INPUT["oneOf"], seed["oneOf"], strict=True):
        assert list(stated["properties"]) == list(option["properties"]), "the order decides what is reported"


def test_the_newer_schema_is_the_published_one(published: Callable[[str], dict[str, Any]]) -> None:
    newer = published("workers-ai-models/_legacy_text_generation.schema.json")
    assert undescribed(newer) == schemas.NEWER_INPUT


@pytest.mark.parametrize("schema", [schemas.SEED_INPUT, schemas.NEWER_INPUT])
def test_properties_are_stated_by_name(schema: dict[str, Any]) -> None:
    for option in schema["oneOf"]:
        assert list(option["properties"]) == sorted(option["properties"])


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({}, f"{ZERO}{NO_PROMPT}, {NO_MESSAGES}"),
        ([HI], f"{ZERO}{NO_PROMPT}, {NO_MESSAGES}"),
        ("x", f"{ZERO}{NO_PROMPT}, {NO_MESSAGES}"),
        (1, f"{ZERO}{NO_PROMPT}, {NO_MESSAGES}"),
        (None, f"{ZERO}{NO_PROMPT}, {NO_MESSAGES}"),
        (asked(prompt="a"), "oneOf at '/' not met, 2 matches"),
        (said([{"type": "text"}]), f"{ZERO}{NO_PROMPT}, {NOT_STRING.format(0, 'array')}"),
        (said("ok", None), f"{ZERO}{NO_PROMPT}, {NOT_STRING.format(1, 'null')}"),
        ({"messages": [HI, {"role": "user"}]}, f"{ZERO}{NO_PROMPT}, {INCOMPLETE.format(1)}"),
        (said(None, None), f"{ZERO}{NO_PROMPT}, {NOT_STRING.format(0, 'null')}"),
        (said(3),
         f"{ZERO}{NO_PROMPT}, Type mismatch of '/messages/0/content', 'string' not in 'number','integer'"),
        (said({"type": "text"}), f"{ZERO}{NO_PROMPT}, {NOT_STRING.format(0, 'object')}"),
        (said("x" * (LONGEST + 1)), f"{ZERO}{NO_PROMPT}, Length of '/messages/0/content' must be <= 131072"),
        ({"messages": [{"content": "hi"}]}, f"{ZERO}{NO_PROMPT}, {INCOMPLETE.format(0)}"),
        ({"messages": [{"role": 1, "content": "hi"}]},
         f"{ZERO}{NO_PROMPT}, Type mismatch of '/messages/0/role', 'string' not in 'number','integer'"),
        ({"messages": None}, f"{ZERO}{NO_PROMPT}, {NO_MESSAGES}"),
        ({"messages": 3}, f"{ZERO}{NO_PROMPT}, {NO_MESSAGES}"),
        ({"messages": "hi"}, f"{ZERO}{NO_PROMPT}, Type mismatch of '/messages', 'array' not in 'string'"),
        ({"messages": HI}, f"{ZERO}{NO_PROMPT}, required properties at '/messages/role' are 'role,content'"),
        ({"messages": [HI, None]}, f"{ZERO}{NO_PROMPT}, {INCOMPLETE.format(1)}"),
        ({"prompt": ""}, f"{ZERO}Length of '/prompt' must be >= 1 not met, {NO_MESSAGES}"),
        ({"prompt": "x" * (LONGEST + 1)}, f"{ZERO}Length of '/prompt' must be <= 131072, {NO_MESSAGES}"),
        ({"prompt": 5},
         f"{ZERO}Type mismatch of '/prompt', 'string' not in 'number','integer', {NO_MESSAGES}"),
        (asked(temperature=6), f"{ZERO}'/temperature' must be <= 5"),
        (asked(temperature=None), f"{ZERO}Type mismatch of '/temperature', 'number' not in 'null'"),
        (asked(max_tokens=None), f"{ZERO}Type mismatch of '/max_tokens', 'integer' not in 'null'"),
        (asked(max_tokens="256"), f"{ZERO}Type mismatch of '/max_tokens', 'integer' not in 'string'"),
        (asked(max_tokens=1.5), f"{ZERO}Type mismatch of '/max_tokens', 'integer' not in 'number'"),
        (asked(stream="yes"), f"{ZERO}Type mismatch of '/stream', 'boolean' not in 'string'"),
        (asked(top_k=100), f"{ZERO}'/top_k' must be <= 50"),
        (asked(top_k=0), f"{ZERO}'/top_k' must be >= 1"),
        (asked(seed=0), f"{ZERO}'/seed' must be >= 1"),
        (asked(seed=1e10), f"{ZERO}'/seed' must be <= 9999999999"),
        (asked(top_p=3), f"{ZERO}'/top_p' must be <= 2"),
        (asked(frequency_penalty=-1), f"{ZERO}'/frequency_penalty' must be >= 0"),
        (asked(temperature=9, top_p=9), f"{ZERO}'/temperature' must be <= 5"),
        ({**said(None), "temperature": 9},
         f"{ZERO}'/temperature' must be <= 5, {NOT_STRING.format(0, 'null')}"),
        ({"prompt": "x", "lora": 5},
         f"{ZERO}Type mismatch of '/lora', 'string' not in 'number','integer', {NO_MESSAGES}"),
        (asked(image="abc", temperature=9),
         f"{ZERO}Type mismatch of '/image', 'array' not in 'string', '/temperature' must be <= 5"),
        (asked(image=[1, 2], temperature=9),
         f"{ZERO}Type mismatch of '/image', 'string' not in 'array','binary', '/temperature' must be <= 5"),
        (asked(functions=[{"name": "f"}]),
         f"{ZERO}{NO_PROMPT}, required properties at '/functions/0' are 'name,code'"),
        (asked(tools="x"), f"{ZERO}{NO_PROMPT}, Type mismatch of '/tools', 'array' not in 'string'"),
        (asked(tools=[TOOL], top_p=9),
         f"{ZERO}'/top_p' must be <= 2, required properties at '/tools/0/parameters' are 'type,properties'"),
        (asked(tools=[BARE_TOOL], top_p=9),
         (f"{ZERO}'/top_p' must be <= 2, required properties at '/tools/0/parameters' are 'type,properties', "
         "required properties at '/a' are 'type,description'")),
    ],
)  # fmt: skip
def test_the_seed_model_refuses_with_the_text_of_the_wire(body: Any, text: str) -> None:
    assert refusal(schemas.SEED_INPUT, body) == text


@pytest.mark.parametrize(
    "body",
    [
        asked(),
        {"messages": [{**HI, "tool_calls": [], "tool_call_id": "x", "role": "unheard of"}]},
        {"messages": []},
        {"messages": ["hi"]},
        {"messages": [None, {}]},
        {"messages": {"x": HI}},
        {"prompt": None, "messages": [HI]},
        {"prompt": "x", "messages": [{"role": "user"}]},
        asked(lora=5),
        asked(raw="no"),
        asked(image="abc"),
        asked(image=[1, 2]),
        asked(image={}),
        asked(tools=None),
        asked(tools=[]),
        asked(tools={}),
        asked(functions=None),
        asked(functions=[]),
        asked(tools=[{"name": "f"}]),
        asked(tools=[TOOL, BARE_TOOL]),
        asked(foo=1, tool_choice="auto", parallel_tool_calls=True, response_format={"type": "json_object"}),
        asked(max_tokens=-1),
        asked(max_tokens=1e9),
    ],
)
def test_the_seed_model_accepts(body: Any) -> None:
    assert refusal(schemas.SEED_INPUT, body) is None


def test_the_newer_schema_refuses_the_response_format_text() -> None:
    text = refusal(schemas.NEWER_INPUT, asked(response_format={"type": "text"}))
    expected = f"{ZERO}enum text not in json_object,json_schema at '/response_format/type'"
    assert text == f"{expected}, {NOT_ARRAY.format(0)}"


PARTS = {
    "type": "array",
    "items": {"type": "object", "properties": {"type": {"type": "string"}, "text": {"type": "string"}}},
}
STRING = {"type": "string"}
PART = {"type": "text", "text": "hi"}


def with_content(content: Any) -> dict[str, Any]:
    return schemas.legacy_input(schemas.SEED_BOUNDS, content=content, image=True, json_mode=False)


@pytest.mark.parametrize(
    ("content", "accepted"),
    [
        (STRING, {"string"}),
        ({"oneOf": [STRING, PARTS]}, {"string", "1 part", "[]", '["a"]'}),
        ({"oneOf": [PARTS, STRING]}, {"string", "1 part", "[]", '["a"]'}),
        ({"anyOf": [STRING, PARTS]}, {"string", "1 part", "2 parts", "[]", '["a"]'}),
        ({"anyOf": [PARTS, STRING]}, {"string", "1 part", "2 parts", "[]", '["a"]'}),
    ],
)
def test_a_content_union_accepts_by_its_spelling(content: Any, accepted: set[str]) -> None:
    contents = {"string": "hi", "1 part": [PART], "2 parts": [PART, PART], "[]": [], '["a"]': ["a"],
                "[{}]": [{}], "null": None}  # fmt: skip
    schema = with_content(content)
    assert {name for name, value in contents.items() if refusal(schema, said(value)) is None} == accepted


@pytest.mark.parametrize(
    ("content", "noise"),
    [
        ({"oneOf": [STRING, PARTS]}, [NOT_ARRAY.format(0), NOT_STRING.format(1, "array")]),
        ({"oneOf": [PARTS, STRING]}, [NOT_ARRAY.format(0), NOT_STRING.format(1, "array")]),
        ({"anyOf": [STRING, PARTS]}, [NOT_STRING.format(1, "array")]),
        ({"anyOf": [PARTS, STRING]}, [NOT_ARRAY.format(0)]),
    ],
)
def test_good_messages_leave_noise_by_the_spelling(content: Any, noise: list[str]) -> None:
    messages = [HI, {"role": "user", "content": [PART]}, {"role": "user"}]
    text = refusal(with_content(content), {"messages": messages})
    assert text == ZERO + ", ".join([NO_PROMPT, *noise, INCOMPLETE.format(2)])


@pytest.mark.parametrize(
    ("content", "noise"),
    [
        (
            {"oneOf": [STRING, PARTS]},
            [NOT_ARRAY.format(0), NOT_ARRAY.format(1), NOT_STRING.format(2, "null")],
        ),
        (
            {"anyOf": [PARTS, STRING]},
            [NOT_ARRAY.format(0), NOT_ARRAY.format(1), NOT_STRING.format(2, "null")],
        ),
        ({"oneOf": [PARTS, STRING]}, [NOT_ARRAY.format(0), NOT_ARRAY.format(1)]),
        ({"anyOf": [STRING, PARTS]}, [NOT_STRING.format(2, "null")]),
    ],
)
def test_a_null_content_after_strings_is_named_by_the_spelling(content: Any, noise: list[str]) -> None:
    text = refusal(with_content(content), said("a", "b", None))
    assert text == ZERO + ", ".join([NO_PROMPT, *noise, INCOMPLETE.format(2)])


def test_two_parts_under_one_of() -> None:
    text = refusal(with_content({"oneOf": [STRING, PARTS]}), said([PART, PART]))
    assert text == f"{ZERO}{NO_PROMPT}, {NOT_STRING.format(0, 'array')}, {INCOMPLETE.format(0)}"


def test_prompt_and_messages_together_under_a_union() -> None:
    both = {"prompt": "a", **said("b")}
    two = "oneOf at '/' not met, 2 matches"
    assert refusal(with_content({"oneOf": [STRING, PARTS]}), both) == f"{two}: {NOT_ARRAY.format(0)}"
    assert refusal(with_content({"anyOf": [STRING, PARTS]}), both) == two
