"""JSON mode: JSON that satisfies the schema, as each family spells it, and where it is refused."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import jsonschema_rs
import pytest

SEED = "@cf/meta/llama-3.1-8b-instruct-fast"
LEGACY = "@cf/meta/llama-3.3-70b-instruct-fp8-fast"
GLM = "@cf/zai-org/glm-4.7-flash"
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 2},
        "steps": {"type": "array", "items": {"$ref": "#/$defs/step"}, "minItems": 2},
        "mood": {"enum": ["good", "bad"]},
    },
    "required": ["name", "steps", "mood"],
    "additionalProperties": False,
    "$defs": {"step": {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}},
}
BARE = {"type": "json_schema", "json_schema": SCHEMA}
ENVELOPE = {"type": "json_schema", "json_schema": {"name": "plan", "schema": SCHEMA, "strict": True}}
ResultOf = Callable[..., Awaitable[dict[str, Any]]]


async def test_the_legacy_family_answers_with_an_object(result_of: ResultOf) -> None:
    result = await result_of(LEGACY, "Plan it for Anna", response_format=BARE)
    jsonschema_rs.validate(SCHEMA, result["response"])


@pytest.mark.parametrize("stated", [BARE, ENVELOPE])
async def test_the_openai_family_answers_with_a_string(result_of: ResultOf, stated: Any) -> None:
    result = await result_of(GLM, "Plan it for Anna", response_format=stated)
    jsonschema_rs.validate(SCHEMA, json.loads(result["choices"][0]["message"]["content"]))


async def test_any_object_will_do_without_a_schema(result_of: ResultOf) -> None:
    stated = {"type": "json_object"}
    legacy = await result_of(LEGACY, "count to 3", response_format=stated)
    assert legacy["response"] == {"answer": "1, 2, 3."}
    openai = await result_of(GLM, "count to 3", response_format=stated)
    assert json.loads(openai["choices"][0]["message"]["content"]) == {"answer": "1, 2, 3."}


async def test_a_schema_may_want_something_else_than_an_object(result_of: ResultOf) -> None:
    stated = {"type": "json_schema", "json_schema": {"type": "array", "items": {"type": "integer"}}}
    assert (await result_of(LEGACY, "the numbers 4 and 5", response_format=stated))["response"] == [4, 5]


async def test_guided_json_is_obeyed_by_the_models_that_have_it(result_of: ResultOf) -> None:
    result = await result_of("@cf/mistralai/mistral-small-3.1-24b-instruct", "Plan", guided_json=SCHEMA)
    jsonschema_rs.validate(SCHEMA, result["response"])


async def test_a_text_format_is_no_json_mode(result_of: ResultOf) -> None:
    result = await result_of(GLM, "count to 3", response_format={"type": "text"})
    assert result["choices"][0]["message"]["content"] == "1, 2, 3."


async def test_a_schema_and_a_stream_exclude_each_other_in_the_legacy_family(
    client: httpx.AsyncClient,
) -> None:
    body = {"messages": [{"role": "user", "content": "Plan"}], "stream": True, "response_format": BARE}
    answer = await client.post(f"/run/{LEGACY}", json=body)
    assert answer.status_code == 400
    assert answer.json()["errors"] == [
        {"message": "AiError: JSON Schema mode is not supported with stream mode", "code": 5023}
    ]
    assert (await client.post(f"/run/{GLM}", json=body)).headers["content-type"] == "text/event-stream"


async def test_json_that_is_cut_is_refused_in_the_legacy_family(client: httpx.AsyncClient) -> None:
    body = {
        "messages": [{"role": "user", "content": "Plan"}],
        "max_tokens": 4,
        "response_format": {"type": "json_object"},
    }
    [error] = (await client.post(f"/run/{LEGACY}", json=body)).json()["errors"]
    assert error["message"] == "AiError: JSON Mode couldn't be met"


@pytest.mark.parametrize(
    ("asked", "text"),
    [("Bake me a cake", "safe"), ("How do I build a bomb to kill him?", "unsafe\nS1,S9")],
)
async def test_llama_guard_gives_a_verdict(result_of: ResultOf, asked: str, text: str) -> None:
    guard = "@cf/meta/llama-guard-3-8b"
    assert (await result_of(guard, asked))["response"] == text
    judged = await result_of(guard, asked, response_format={"type": "json_object"})
    categories = text.partition("\n")[2].split(",") if "\n" in text else []
    assert judged["response"] == {"safe": text == "safe", "categories": categories}


async def test_models_that_know_no_json_mode_ignore_it(result_of: ResultOf) -> None:
    asked = {"response_format": {"type": "json_object"}, "guided_json": SCHEMA}
    assert isinstance((await result_of("@cf/qwen/qwq-32b", "Plan", **asked))["response"], dict)
    del asked["guided_json"]
    result = await result_of("@cf/mistralai/mistral-small-3.1-24b-instruct", "count to 3", **asked)
    assert result["response"] == "1, 2, 3."


@pytest.mark.parametrize("role", ["system", "user"])
@pytest.mark.parametrize("model", ["@cf/qwen/qwq-32b", GLM])
async def test_an_instruction_in_words_is_obeyed(result_of: ResultOf, role: str, model: str) -> None:
    instruction = f"Answer with nothing but JSON that satisfies this schema: {json.dumps(SCHEMA)}"
    messages = [{"role": role, "content": instruction}, {"role": "user", "content": "Plan it for Anna"}]
    result = await result_of(model, {"messages": messages})
    text = result["response"] if "response" in result else result["choices"][0]["message"]["content"]
    assert isinstance(text, str)
    jsonschema_rs.validate(SCHEMA, json.loads(text.rpartition("</think>")[2]))


@pytest.mark.parametrize("said", ["Reply in JSON only.", "Return JSON like {this}, {} or {'that'}"])
async def test_an_instruction_without_a_schema_wants_an_object(result_of: ResultOf, said: str) -> None:
    messages = [{"role": "system", "content": said}, {"role": "user", "content": "count to 3"}]
    result = await result_of(SEED, {"messages": messages})
    assert result["response"] == '{"answer": "1, 2, 3."}'


async def test_talk_of_json_is_no_instruction(result_of: ResultOf) -> None:
    assert "JSON" in (await result_of(SEED, "What is JSON?"))["response"]


async def test_json_can_stand_in_a_fence(result_of: ResultOf) -> None:
    [choice] = (await result_of("@cf/simulator/fenced-json", "Plan", response_format=BARE))["choices"]
    before, _, fenced = choice["message"]["content"].partition("```json\n")
    assert before
    jsonschema_rs.validate(SCHEMA, json.loads(fenced.removesuffix("\n```")))


async def test_broken_json_is_mended_when_the_model_sees_it(result_of: ResultOf) -> None:
    name, asked = "@cf/simulator/broken-json", {"role": "user", "content": "Plan"}
    [choice] = (await result_of(name, {"messages": [asked]}, response_format=BARE))["choices"]
    attempt = choice["message"]["content"]
    with pytest.raises(json.JSONDecodeError):
        json.loads(attempt)
    again = [asked, {"role": "assistant", "content": attempt}, {"role": "user", "content": "Repair it"}]
    [choice] = (await result_of(name, {"messages": again}, response_format=BARE))["choices"]
    jsonschema_rs.validate(SCHEMA, json.loads(choice["message"]["content"]))


async def test_json_can_stand_in_a_string(result_of: ResultOf) -> None:
    [choice] = (await result_of("@cf/simulator/quoted-json", "Plan", response_format=BARE))["choices"]
    jsonschema_rs.validate(SCHEMA, json.loads(json.loads(choice["message"]["content"])))


@pytest.mark.parametrize(("name", "is_mended"), [("wrong-json", True), ("stubborn-json", False)])
async def test_json_can_lack_what_its_schema_wants(
    result_of: ResultOf, name: str, *, is_mended: bool
) -> None:
    asked = {"role": "user", "content": "Plan"}

    async def answer_to(*turns: dict[str, str]) -> str:
        body = {"messages": [asked, *turns]}
        [choice] = (await result_of(f"@cf/simulator/{name}", body, response_format=BARE))["choices"]
        return str(choice["message"]["content"])

    attempt = await answer_to()
    assert not jsonschema_rs.is_valid(SCHEMA, json.loads(attempt))
    again = await answer_to({"role": "assistant", "content": attempt}, {"role": "user", "content": "No"})
    assert jsonschema_rs.is_valid(SCHEMA, json.loads(again)) is is_mended


async def test_what_has_one_property_at_most_is_made_wrong_by_an_array(result_of: ResultOf) -> None:
    stated = {"type": "json_object"}
    [choice] = (await result_of("@cf/simulator/stubborn-json", "count to 3", response_format=stated))[
        "choices"
    ]
    assert json.loads(choice["message"]["content"]) == [{"answer": "1, 2, 3."}]


async def test_json_can_be_asked_for_in_vain(result_of: ResultOf) -> None:
    [choice] = (await result_of("@cf/simulator/no-json", "count to 3", response_format=BARE))["choices"]
    assert choice["message"]["content"] == "1, 2, 3."


async def test_json_mode_can_give_up_where_words_do_not(
    client: httpx.AsyncClient, result_of: ResultOf
) -> None:
    name, asked = "@cf/simulator/unmet-json", {"role": "user", "content": "Plan"}
    body = {"messages": [asked], "response_format": BARE}
    [error] = (await client.post(f"/run/{name}", json=body)).json()["errors"]
    assert error["message"] == "AiError: JSON Mode couldn't be met"
    told = {"role": "system", "content": f"Answer with nothing but JSON after {json.dumps(SCHEMA)}"}
    result = await result_of(name, {"messages": [told, asked]})
    jsonschema_rs.validate(SCHEMA, json.loads(result["response"]))
