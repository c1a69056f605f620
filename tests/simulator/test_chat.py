"""The OpenAI family, whole: completions, thinking and its cost, choices, log probabilities, Responses."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import jsonschema_rs
import pytest

GLM = "@cf/zai-org/glm-4.7-flash"
KIMI = "@cf/moonshotai/kimi-k2.6"
QWEN = "@cf/qwen/qwen3-30b-a3b-fp8"
OSS = "@cf/openai/gpt-oss-20b"
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the current weather in a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
ResultOf = Callable[..., Awaitable[dict[str, Any]]]


def only(result: dict[str, Any]) -> tuple[dict[str, Any], str]:
    [choice] = result["choices"]
    return choice["message"], choice["finish_reason"]


@pytest.mark.parametrize("model", [GLM, KIMI, QWEN, OSS, "@cf/swiss-ai/apertus-v1.5-8b"])
async def test_a_completion_says_its_text_and_why_it_ended(result_of: ResultOf, model: str) -> None:
    result = await result_of(model, "count to 3")
    message, finish = only(result)
    assert (result["object"], result["model"]) == ("chat.completion", model)
    assert (message["role"], message["content"], finish) == ("assistant", "1, 2, 3.", "stop")


async def test_the_two_engines_show_through(result_of: ResultOf) -> None:
    glm, qwen = await result_of(GLM, "hello"), await result_of(QWEN, "hello")
    assert glm["id"].startswith("id-1")
    assert qwen["id"].startswith("chatcmpl-")
    assert ("matched_stop" in glm["choices"][0], "stop_reason" in glm["choices"][0]) == (True, False)
    assert ("matched_stop" in qwen["choices"][0], "stop_reason" in qwen["choices"][0]) == (False, True)
    assert (only(glm)[0]["tool_calls"], only(qwen)[0]["tool_calls"]) == (None, [])


@pytest.mark.parametrize("name", ["glm-4.7-flash", "kimi-k2.6", "qwen3-30b-a3b-fp8", "gpt-oss-20b"])
@pytest.mark.parametrize("more", [{}, {"tools": [WEATHER]}])
async def test_answers_satisfy_the_published_schema(
    client: httpx.AsyncClient, published: Callable[..., dict[str, Any]], name: str, more: dict[str, Any]
) -> None:
    schema = published(f"workers-ai-models/{name}.json", "output")
    [entry] = (await client.get("/models/search", params={"search": name})).json()["result"]
    body = {"messages": [{"role": "user", "content": "What is the weather in Paris?"}], **more}
    result = (await client.post(f"/run/{entry['name']}", json=body)).json()["result"]
    assert result["choices"][0]["finish_reason"] == ("tool_calls" if more else "stop")
    # The published type wants null where captures show that there is nothing, and the other way round.
    message = {key: value for key, value in result["choices"][0]["message"].items() if value is not None}
    result["choices"][0]["message"] = {"content": None, "refusal": None, **message}
    jsonschema_rs.validate(schema, result)


async def test_a_call_has_an_id_and_its_arguments_as_a_string(result_of: ResultOf) -> None:
    message, finish = only(await result_of(GLM, "Weather in Paris and Rome?", tools=[WEATHER]))
    assert (message["content"], finish) == (None, "tool_calls")
    assert [call["type"] for call in message["tool_calls"]] == ["function"] * 2
    assert len({call["id"] for call in message["tool_calls"]}) == 2
    arguments = [json.loads(call["function"]["arguments"]) for call in message["tool_calls"]]
    assert arguments == [{"city": "Paris"}, {"city": "Rome"}]


async def test_kimis_ids_repeat_in_every_turn(result_of: ResultOf) -> None:
    for asked in ("Weather in Paris?", "Weather in Rome?"):
        message, _ = only(await result_of(KIMI, asked, tools=[WEATHER]))
        assert [call["id"] for call in message["tool_calls"]] == ["functions.get_weather:0"]


async def test_required_is_advice_on_some_models(result_of: ResultOf) -> None:
    asked = {"tools": [WEATHER], "tool_choice": "required"}
    assert only(await result_of(GLM, "Tell me a joke", **asked))[1] == "tool_calls"
    assert only(await result_of(QWEN, "Tell me a joke", **asked))[1] == "stop"
    named = asked | {"tool_choice": {"type": "function", "function": {"name": "get_weather"}}}
    assert only(await result_of(QWEN, "Tell me a joke", **named))[1] == "tool_calls"


async def test_allowed_tools_state_a_mode(result_of: ResultOf) -> None:
    choice = {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [WEATHER]}}
    assert (
        only(await result_of(GLM, "Tell me a joke", tools=[WEATHER], tool_choice=choice))[1] == "tool_calls"
    )


async def test_a_prompt_gets_a_text_completion(result_of: ResultOf) -> None:
    result = await result_of(QWEN, {"prompt": "count to 3"})
    assert result["object"] == "text_completion"
    assert result["choices"] == [{"index": 0, "text": "1, 2, 3.", "logprobs": None, "finish_reason": "stop"}]
    assert "completion_tokens_details" not in result["usage"]


async def test_thoughts_stand_in_a_field_of_their_own_and_are_counted(result_of: ResultOf) -> None:
    result = await result_of(GLM, "hello")
    message, _ = only(result)
    assert message["reasoning_content"].startswith("The user says: “hello”.")
    reasoning = result["usage"]["completion_tokens_details"]["reasoning_tokens"]
    assert 0 < reasoning < result["usage"]["completion_tokens"]
    nemotron, _ = only(await result_of("@cf/nvidia/nemotron-3-120b-a12b", "hello"))
    assert "reasoning" in nemotron
    assert "reasoning_content" not in nemotron


@pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens"])
async def test_thinking_eats_the_budget(result_of: ResultOf, field: str) -> None:
    result = await result_of(GLM, "count to 3", **{field: 5})
    message, finish = only(result)
    assert (message["content"], finish) == (None, "length")
    assert result["usage"]["completion_tokens"] == 5
    assert message["reasoning_content"]


async def test_a_text_that_is_cut_ends_by_length_and_one_at_a_stop_does_not(result_of: ResultOf) -> None:
    quiet = {"chat_template_kwargs": {"enable_thinking": False}}
    cut, finish = only(await result_of(GLM, "count to 30", max_tokens=7, **quiet))
    assert (cut["content"], finish) == ("1, 2, 3", "length")
    stopped, finish = only(await result_of(GLM, "count to 30", max_tokens=7, stop=[" 3"], **quiet))
    assert (stopped["content"], finish) == ("1, 2,", "stop")


async def test_the_answer_may_fill_the_window_unless_told_otherwise(result_of: ResultOf) -> None:
    message, finish = only(await result_of(GLM, "count to 999"))
    assert message["content"].endswith("998, 999.")
    assert finish == "stop"


async def test_what_exceeds_the_window_is_refused(client: httpx.AsyncClient) -> None:
    body = {"messages": [{"role": "user", "content": "hello"}], "max_tokens": 131_072}
    answer = await client.post(f"/run/{GLM}", json=body)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, 8007)


@pytest.mark.parametrize(
    ("model", "more", "thinks"),
    [
        (GLM, {}, True),
        (GLM, {"chat_template_kwargs": {"enable_thinking": False}}, False),
        (GLM, {"reasoning_effort": "none"}, True),  # knows no efforts
        (KIMI, {"reasoning_effort": "none"}, False),
        (KIMI, {"reasoning_effort": None}, True),
        ("@cf/moonshotai/kimi-k2.7-code", {"chat_template_kwargs": {"enable_thinking": False}}, True),
        ("@cf/zai-org/glm-5.2", {"reasoning_effort": "minimal"}, False),
        ("@cf/zai-org/glm-5.3", {"reasoning_effort": "none"}, True),
        (OSS, {"chat_template_kwargs": {"enable_thinking": False}}, True),
        (QWEN, {}, True),
        (QWEN, {"chat_template_kwargs": {"enable_thinking": False}}, True),  # has no such field
        (
            QWEN,
            {"messages": [{"role": "system", "content": "/no_think"}, {"role": "user", "content": "hi"}]},
            False,
        ),
        (
            QWEN,
            {
                "messages": [
                    {"role": "system", "content": "/no_think"},
                    {"role": "user", "content": "hi /think"},
                ]
            },
            True,
        ),
        (
            QWEN,
            {
                "messages": [
                    {"role": "system", "content": "/think"},
                    {"role": "user", "content": "hi /no_think"},
                ]
            },
            False,
        ),
        (
            GLM,
            {"messages": [{"role": "system", "content": "/no_think"}, {"role": "user", "content": "hi"}]},
            True,
        ),
        ("@cf/aisingapore/gemma-sea-lion-v4-27b-it", {}, False),
    ],
)
async def test_thinking_is_turned_off_where_the_model_lets_it(
    result_of: ResultOf, model: str, more: dict[str, Any], *, thinks: bool
) -> None:
    message, _ = only(await result_of(model, "hello", **more))
    assert bool(message["reasoning_content"]) == thinks


async def test_more_effort_is_more_thought(result_of: ResultOf) -> None:
    messages = [
        only(await result_of(OSS, "hi", reasoning_effort=one))[0] for one in ("low", "medium", "high")
    ]
    lengths = [len(message["reasoning_content"]) for message in messages]
    assert lengths == sorted(set(lengths))
    [aliased, _], [named, _] = [
        only(await result_of(KIMI, "hi", reasoning_effort=one)) for one in ("low", "high")
    ]
    assert aliased["reasoning_content"] == named["reasoning_content"]


@pytest.mark.parametrize("model", ["@cf/qwen/qwq-32b", "@cf/deepseek-ai/deepseek-r1-distill-qwen-32b"])
async def test_older_reasoning_models_think_inside_the_text(result_of: ResultOf, model: str) -> None:
    result = await result_of(model, "count to 3")
    thought, _, text = result["response"].partition("\n</think>\n\n")
    assert thought.startswith("<think>\nThe user says")
    assert text == "1, 2, 3."


async def test_several_choices_are_answers_of_their_own(result_of: ResultOf) -> None:
    result = await result_of(GLM, "Tell me something new", n=3, max_tokens=200)
    assert [choice["index"] for choice in result["choices"]] == [0, 1, 2]
    assert len({choice["message"]["content"] for choice in result["choices"]}) == 3
    alone = await result_of(GLM, "Tell me something new", max_tokens=200)
    assert result["usage"]["prompt_tokens"] == alone["usage"]["prompt_tokens"]
    assert result["usage"]["completion_tokens"] > 2 * alone["usage"]["completion_tokens"]


async def test_log_probabilities_cover_the_text(result_of: ResultOf) -> None:
    result = await result_of(GLM, "count to 3", logprobs=True, top_logprobs=3)
    entries = result["choices"][0]["logprobs"]["content"]
    assert "".join(entry["token"] for entry in entries) == "1, 2, 3."
    for entry in entries:
        assert bytes(entry["bytes"]).decode() == entry["token"]
        ranked = [other["logprob"] for other in entry["top_logprobs"]]
        assert len(ranked) == 3
        assert ranked == sorted(ranked, reverse=True)
        assert entry["top_logprobs"][0]["token"] == entry["token"]
    none = await result_of(GLM, "count to 3", logprobs=True)
    assert none["choices"][0]["logprobs"]["content"][0]["top_logprobs"] == []


async def test_pictures_in_parts_are_seen(result_of: ResultOf) -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    parts = [{"type": "text", "text": "hello"}, picture]
    for model in (KIMI, "@cf/meta/llama-4-scout-17b-16e-instruct"):
        result = await result_of(model, {"messages": [{"role": "user", "content": parts}]})
        text = result["choices"][0]["message"]["content"] if "choices" in result else result["response"]
        assert text.startswith("I can see the image")


async def test_kimi_fails_at_what_only_looks_like_a_picture(client: httpx.AsyncClient) -> None:
    body = {"messages": [{"role": "user", "content": "I wrote data:image/png;base64,... here"}]}
    assert (await client.post(f"/run/{GLM}", json=body)).status_code == 200
    answer = await client.post(f"/run/{KIMI}", json=body)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, 8006)


async def test_tool_results_are_read(result_of: ResultOf) -> None:
    call = {"id": "a", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}
    messages = [
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "a", "content": "mild"},
    ]
    message, _ = only(await result_of(GLM, {"messages": messages, "tools": [WEATHER]}))
    assert message["content"] == "get_weather says: mild."


async def test_input_gets_an_answer_in_the_form_of_responses(result_of: ResultOf) -> None:
    flat = WEATHER["function"] | {"type": "function"}  # type: ignore[operator]
    result = await result_of(OSS, {"input": "Weather in Paris?", "tools": [flat]})
    assert (result["object"], result["status"]) == ("response", "completed")
    reasoning, call = result["output"]
    assert reasoning["type"] == "reasoning"
    assert (call["type"], call["name"], call["arguments"]) == (
        "function_call",
        "get_weather",
        '{"city":"Paris"}',
    )
    usage = result["usage"]
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]


async def test_input_items_are_a_conversation(result_of: ResultOf) -> None:
    items = [
        {"role": "user", "content": [{"type": "input_text", "text": "Weather?"}]},
        {"type": "function_call", "call_id": "a", "name": "get_weather", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "a", "output": "mild"},
    ]
    result = await result_of(OSS, {"input": items, "instructions": "Be brief.", "stream": True})
    assert result["output"][-1]["content"][0]["text"] == "get_weather says: mild."


async def test_responses_obey_the_format_and_the_limit(result_of: ResultOf) -> None:
    stated = {"type": "json_schema", "name": "x", "schema": {"type": "object", "required": ["a"]}}
    result = await result_of(OSS, {"input": "hi", "text": {"format": stated}, "reasoning": {"effort": "low"}})
    assert "a" in json.loads(result["output"][-1]["content"][0]["text"])
    cut = await result_of(OSS, {"input": "count to 100", "max_output_tokens": 60})
    assert (cut["status"], cut["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})
