"""Requests for the models whose input is OpenAI's own schema."""

import json
from typing import Any

import pytest

from tests.laws.exchange import translated
from translators.errors import ApiError

PIXEL = "data:image/png;base64,iVBORw0KGgo="
GLM = "@cf/zai-org/glm-4.7-flash"
KIMI = "@cf/moonshotai/kimi-k2.6"
KIMI_CODE = "@cf/moonshotai/kimi-k2.7-code"
GPT_OSS = "@cf/openai/gpt-oss-20b"
DEEPSEEK = "@cf/deepseek-ai/deepseek-v4-flash-0731"
GLM_2 = "@cf/zai-org/glm-5.2"
GLM_3 = "@cf/zai-org/glm-5.3-flash"
QWEN = "@cf/qwen/qwen3.8-27b"
QWEN3 = "@cf/qwen/qwen3-30b-a3b-fp8"
NEMOTRON = "@cf/nvidia/nemotron-3-120b-a12b"
SEED = "@cf/meta/llama-3.1-8b-instruct-fast"
CHAT: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


def _sent(model: str, **more: Any) -> tuple[dict[str, Any], dict[str, str]]:
    exchange = translated(CHAT | more, model)
    (body,) = exchange.bodies
    return body, exchange.fates()


@pytest.mark.parametrize(
    ("model", "name", "sent", "fate"),
    [
        (GLM, "max_tokens", "max_completion_tokens", "transformed"),
        (GLM, "max_completion_tokens", "max_completion_tokens", "kept"),
        (SEED, "max_tokens", "max_tokens", "kept"),
        (SEED, "max_completion_tokens", "max_tokens", "renamed"),
    ],
)
def test_the_limit_goes_by_the_name_that_the_model_knows(model: str, name: str, sent: str, fate: str) -> None:
    body, fates = _sent(model, **{name: 9})
    assert body[sent] == (9 if fate != "transformed" else 9 + 4096)
    assert fates[name] == fate
    assert len(body.keys() & {"max_tokens", "max_completion_tokens"}) == 1


def test_a_model_that_thinks_has_room_for_its_thoughts_beside_the_answer() -> None:
    assert _sent(GLM)[0]["max_completion_tokens"] == 16_384
    assert _sent(SEED)[0]["max_tokens"] == 4_096


@pytest.mark.parametrize(
    ("model", "given", "limit"),
    [
        (GLM, {}, 9 + 4096),
        (GLM, {"reasoning_effort": "none"}, 9),
        (GLM, {"chat_template_kwargs": {"enable_thinking": False}}, 9),
        (KIMI, {"reasoning_effort": "high"}, 9 + 4096),
        (KIMI, {"reasoning_effort": "none"}, 9),
        (GLM_2, {"reasoning_effort": "minimal"}, 9),
        (GLM_3, {"reasoning_effort": "none"}, 9 + 4096),
    ],
)
def test_max_tokens_is_for_the_answer_and_thinking_has_its_own_room(
    model: str, given: dict[str, Any], limit: int
) -> None:
    body, _ = _sent(model, max_tokens=9, **given)
    assert body["max_completion_tokens"] == limit


def test_max_completion_tokens_is_for_thinking_as_well() -> None:
    body, fates = _sent(KIMI, max_completion_tokens=9)
    assert (body["max_completion_tokens"], fates["max_completion_tokens"]) == (9, "kept")


def test_what_openais_schema_has_is_sent() -> None:
    given: dict[str, Any] = {
        "temperature": 1.5, "top_p": 0.5, "frequency_penalty": -1, "logit_bias": {"5": 1}, "logprobs": True,
        "top_logprobs": 2, "user": "u", "chat_template_kwargs": {"enable_thinking": False}, "top_k": 5,
    }  # fmt: skip
    body, fates = _sent(GLM, **given)
    assert given.items() <= body.items()
    assert {fates[name] for name in given} == {"kept"}


def test_who_speaks_is_said_where_the_schema_has_a_place_for_it() -> None:
    named = [
        {"role": "user", "name": "ada", "content": text} for text in ("hi", [{"type": "text", "text": "hi"}])
    ]
    body, fates = _sent(KIMI, messages=named)
    assert body["messages"] == [{"role": "user", "name": "ada", "content": "hi"}] * 2
    assert fates["messages"] == "kept"
    body, fates = _sent(SEED, messages=named)
    assert body["messages"] == [{"role": "user", "content": "hi"}] * 2
    assert fates["messages"] == "transformed"


def test_a_tools_schema_goes_as_it_came_where_the_models_own_schema_is_openais() -> None:
    either = {"anyOf": [{"type": "integer"}, {"type": "string"}]}
    parameters = {
        "type": "object",
        "properties": {"a": {"type": ["string", "null"]}, "b": either, "c": {"$ref": "#/$defs/C"}},
        "$defs": {"C": {"type": "object", "properties": {"c": {"$ref": "#/$defs/C"}}}},
        "additionalProperties": False,
    }
    function = {"name": "f", "description": "what it does", "parameters": parameters}
    for model in (KIMI, GLM, GPT_OSS):
        body, fates = _sent(model, tools=[{"type": "function", "function": function}])
        assert body["tools"] == [{"type": "function", "function": function}]
        assert fates["tools"] == "kept"
    bare = {"name": "f", "parameters": {"type": "object", "properties": {}}}
    assert _sent(KIMI, tools=[{"type": "function", "function": {"name": "f"}}])[0]["tools"] == [
        {"type": "function", "function": bare}
    ]
    body, _ = _sent(SEED, tools=[{"type": "function", "function": function}])
    assert body["tools"][0]["function"]["parameters"]["properties"]["a"]["type"] == "string"


def test_a_tools_schema_that_reaches_outside_is_refused() -> None:
    outside = {"name": "f", "parameters": {"$ref": "https://example.com/schema"}}
    for model in (KIMI, SEED):
        with pytest.raises(ApiError) as caught:
            _sent(model, tools=[{"type": "function", "function": outside}])
        assert (caught.value.param or "").startswith("tools[0].function.parameters")


def test_any_tool_in_the_words_of_other_apis_is_told() -> None:
    tool = {"type": "function", "function": {"name": "f"}}
    body, fates = _sent(KIMI, tools=[tool, {**tool, "function": {"name": "g"}}], tool_choice="any")
    assert body["tool_choice"] == "required"
    assert fates["tool_choice"] != "kept"


def test_bounds_are_openais() -> None:
    body, fates = _sent(GLM, temperature=4, top_p=1.5, presence_penalty=-3)
    assert (body["temperature"], body["top_p"], body["presence_penalty"]) == (2, 1, -2)
    assert {fates[name] for name in ("temperature", "top_p", "presence_penalty")} == {"clamped"}


def test_a_chat_parameter_beside_a_prompt_is_checked_as_well() -> None:
    asked = {"model": "m", "prompt": "p", "top_logprobs": 10**40}
    (body,) = translated(asked, GLM).bodies
    assert body["top_logprobs"] == 20
    with pytest.raises(ApiError, match="'top_logprobs' must be a number"):
        translated({**asked, "top_logprobs": "many"}, GLM)


def test_a_parameter_at_which_a_model_fails_is_not_sent() -> None:
    body, fates = _sent(GLM, repetition_penalty=1.1)
    assert "repetition_penalty" not in body
    assert fates["repetition_penalty"] == "dropped"
    assert _sent(GLM_2, repetition_penalty=1.1)[0]["repetition_penalty"] == 1.1


@pytest.mark.parametrize("name", ["lora", "functions", "image"])
def test_what_only_the_legacy_schema_has_is_dropped(name: str) -> None:
    value = [{"name": "f", "code": "c"}] if name == "functions" else "mine"
    body, fates = _sent(GLM, **{name: value})
    assert name not in body
    assert fates[name] == "dropped"


def test_a_template_that_is_no_object_is_refused() -> None:
    with pytest.raises(ApiError, match="must be an object"):
        _sent(GLM, chat_template_kwargs="x")


def test_a_switch_of_the_template_is_true_or_false_and_null_says_nothing() -> None:
    with pytest.raises(ApiError, match=r"'chat_template_kwargs\.enable_thinking' must be a boolean"):
        _sent(GLM, chat_template_kwargs={"enable_thinking": 1})
    body, _ = _sent(GLM, chat_template_kwargs={"enable_thinking": None, "mine": None})
    assert body["chat_template_kwargs"] == {"mine": None}


@pytest.mark.parametrize(
    ("template", "sent"),
    [
        ({"enable_thinking": False}, None),
        ({"enable_thinking": False, "clear_thinking": False}, {"clear_thinking": False}),
        ({"enable_thinking": True}, {"enable_thinking": True}),
    ],
)
def test_a_model_that_always_thinks_is_not_told_otherwise(template: Any, sent: Any) -> None:
    body, fates = _sent(KIMI_CODE, chat_template_kwargs=template)
    assert body.get("chat_template_kwargs") == sent
    assert fates["chat_template_kwargs"] == ("kept" if template == sent else "transformed")


@pytest.mark.parametrize(
    ("model", "effort", "fields", "fate"),
    [
        (KIMI, "high", {"reasoning_effort": "high"}, "kept"),
        (KIMI, "low", {"reasoning_effort": "high"}, "transformed"),
        (KIMI, "minimal", {"reasoning_effort": "high"}, "transformed"),
        (DEEPSEEK, "medium", {"reasoning_effort": "high"}, "transformed"),
        (DEEPSEEK, "minimal", {"reasoning_effort": "low"}, "transformed"),
        (DEEPSEEK, "xhigh", {"reasoning_effort": "high"}, "transformed"),
        (KIMI, "max", {"reasoning_effort": "high"}, "transformed"),
        (GLM_2, "low", {"reasoning_effort": "high"}, "transformed"),
        (GLM_2, "xhigh", {"reasoning_effort": "max"}, "transformed"),
        (GLM_2, "minimal", {"reasoning_effort": "none"}, "transformed"),
        *((GLM_3, each, {"reasoning_effort": "low"}, "transformed") for each in ("none", "minimal")),
        (GLM_3, "medium", {"reasoning_effort": "high"}, "transformed"),
        (GLM_3, "xhigh", {"reasoning_effort": "max"}, "transformed"),
        (GLM_3, "low", {"reasoning_effort": "low"}, "kept"),
        (GLM, "none", {"chat_template_kwargs": {"enable_thinking": False}}, "transformed"),
        (GLM, "low", {"chat_template_kwargs": {"enable_thinking": True}}, "transformed"),
        (QWEN, "none", {"chat_template_kwargs": {"enable_thinking": False}}, "transformed"),
        (QWEN, "max", {"reasoning_effort": "xhigh"}, "transformed"),
        (NEMOTRON, "none", {"chat_template_kwargs": {"enable_thinking": False}}, "transformed"),
        *(
            (
                NEMOTRON,
                each,
                {"chat_template_kwargs": {"enable_thinking": True, "low_effort": True}},
                "transformed",
            )
            for each in ("minimal", "low")
        ),
        (NEMOTRON, "medium", {"chat_template_kwargs": {"enable_thinking": True}}, "transformed"),
        (QWEN3, "low", {}, "dropped"),
        (KIMI_CODE, "low", {}, "dropped"),
        (SEED, "none", {}, "kept"),
        (SEED, "low", {}, "dropped"),
    ],
)
def test_an_effort_becomes_what_the_model_knows(
    model: str, effort: str, fields: dict[str, Any], fate: str
) -> None:
    body, fates = _sent(model, reasoning_effort=effort)
    assert {name: body[name] for name in body.keys() & {"reasoning_effort", "chat_template_kwargs"}} == fields
    assert fates["reasoning_effort"] == fate


def test_what_the_client_tells_the_template_counts_more_than_the_effort() -> None:
    template = {"enable_thinking": True, "clear_thinking": False}
    body, _ = _sent(GLM, reasoning_effort="none", chat_template_kwargs=template)
    assert body["chat_template_kwargs"] == template


@pytest.mark.parametrize(
    "told", [{"reasoning_effort": "none"}, {"chat_template_kwargs": {"enable_thinking": False}}]
)
def test_a_model_whose_template_is_switched_in_words_is_told_so_in_the_system_turn(
    told: dict[str, Any],
) -> None:
    body, fates = _sent(QWEN3, **told, max_tokens=9)
    assert body["messages"] == [{"role": "system", "content": "/no_think"}, *CHAT["messages"]]
    assert not {"reasoning_effort", "chat_template_kwargs"} & body.keys()
    assert body["max_tokens"] == 9  # no room for thoughts is needed
    assert [fates[name] for name in told] == ["emulated"]


def test_such_a_model_thinks_where_its_switch_is_on_and_knows_no_other() -> None:
    body, fates = _sent(QWEN3, chat_template_kwargs={"enable_thinking": True, "low_effort": True})
    assert body["messages"] == CHAT["messages"]
    assert "chat_template_kwargs" not in body
    assert fates["chat_template_kwargs"] == "transformed"
    body, fates = _sent(QWEN3, chat_template_kwargs={"enable_thinking": True})
    assert (body["messages"], fates["chat_template_kwargs"]) == (CHAT["messages"], "kept")
    body, fates = _sent(QWEN3, chat_template_kwargs={"low_effort": True})
    assert fates["chat_template_kwargs"] == "dropped"


def test_what_the_client_tells_such_a_template_counts_more_than_the_effort() -> None:
    body, _ = _sent(QWEN3, reasoning_effort="none", chat_template_kwargs={"enable_thinking": True})
    assert body["messages"] == CHAT["messages"]


def test_a_completion_cannot_tell_such_a_model_not_to_think() -> None:
    exchange = translated({"model": "m", "prompt": "p", "reasoning_effort": "none"}, QWEN3)
    assert exchange.bodies[0]["prompt"] == "p"
    assert exchange.fates()["reasoning_effort"] == "dropped"


@pytest.mark.parametrize("model", [SEED, GLM, QWEN3])
def test_a_client_that_rather_fails_than_waits_says_so_in_cloudflares_own_option(model: str) -> None:
    body, fates = _sent(model, options={"rejectIfBusy": True})
    assert (body["options"], fates["options"]) == ({"rejectIfBusy": True}, "kept")


def test_other_options_are_none_of_workers_ais() -> None:
    body, fates = _sent(GLM, options={"rejectIfBusy": False, "num_ctx": 8192})
    assert (body["options"], fates["options"]) == ({"rejectIfBusy": False}, "transformed")
    body, fates = _sent(GLM, options={"num_ctx": 8192})
    assert ("options" in body, fates["options"]) == (False, "dropped")
    for options, name in (("now", "options"), ({"rejectIfBusy": 1}, r"options\.rejectIfBusy")):
        with pytest.raises(ApiError, match=f"'{name}' must be"):
            _sent(GLM, options=options)


def test_a_stream_is_asked_for_its_usage_where_the_schema_has_a_name_for_that() -> None:
    wanted = {"include_usage": True}
    assert _sent(GLM, stream=True)[0]["stream_options"] == wanted
    assert _sent(GLM, stream=True, stream_options={"include_usage": False})[0]["stream_options"] == wanted
    assert "stream_options" not in _sent(GLM)[0]
    assert "stream_options" not in _sent(GLM, stream=True, response_format={"type": "json_object"})[0]
    assert "stream_options" not in _sent(SEED, stream=True, stream_options=wanted)[0]


def test_an_effort_that_is_none_is_refused() -> None:
    with pytest.raises(ApiError, match="must be one of"):
        translated({"model": "m", "prompt": "p", "reasoning_effort": "huge"}, SEED)


def test_stop_strings_are_told_to_the_model_where_it_takes_them() -> None:
    body, fates = _sent(GLM, stop=["a", "b"])
    assert (body["stop"], fates["stop"]) == (["a", "b"], "kept")
    body, fates = _sent(SEED, stop=["a", "b"])
    assert "stop" not in body
    assert fates["stop"] == "emulated"


def test_one_call_at_a_time_is_told_to_the_model_and_enforced() -> None:
    tools = [{"type": "function", "function": {"name": "f"}}]
    body, fates = _sent(GLM, tools=tools, parallel_tool_calls=False)
    assert body["parallel_tool_calls"] is False
    assert fates["parallel_tool_calls"] == "emulated"


def test_a_schema_is_sent_so_that_it_can_be_read_bare_and_enveloped() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    form = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema, "strict": True}}
    body, fates = _sent(GLM, response_format=form)
    sent = body["response_format"]["json_schema"]
    assert sent == {**schema, "name": "n", "schema": schema, "strict": True}
    assert fates["response_format"] == "transformed"


def test_a_prompt_becomes_a_users_message() -> None:
    exchange = translated({"model": "m", "prompt": "once upon"}, GLM)
    assert exchange.bodies[0]["messages"] == [{"role": "user", "content": "once upon"}]
    assert "prompt" not in exchange.bodies[0]
    assert exchange.fates()["prompt"] == "transformed"


@pytest.mark.parametrize("most", [0, 2])
def test_a_completions_log_probabilities_are_asked_for_in_chats_form(most: int) -> None:
    exchange = translated({"model": "m", "prompt": "p", "logprobs": most}, GLM)
    (body,) = exchange.bodies
    assert (body["logprobs"], body["top_logprobs"]) == (True, most)
    assert exchange.fates()["logprobs"] == "transformed"
    assert translated({"model": "m", "prompt": "p", "logprobs": most}, SEED).fates()["logprobs"] == "dropped"


def test_a_data_url_in_plain_text_is_no_image_to_a_server_that_scans_for_them() -> None:
    text = f"see {PIXEL}"
    messages = [{"role": "user", "content": text}, {"role": "tool", "tool_call_id": "c", "content": text}]
    exchange = translated({"model": "m", "messages": messages}, KIMI)
    sent = [each["content"] for each in exchange.bodies[0]["messages"]]
    assert all("data:image/" not in each and each.replace("\u200b", "") == text for each in sent)
    assert exchange.fates()["messages"] == "transformed"
    assert translated({"model": "m", "messages": messages}, SEED).bodies[0]["messages"][0]["content"] == text


def test_a_data_url_is_no_image_in_thoughts_and_arguments_either() -> None:
    text = f"see {PIXEL}"
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": json.dumps({"a": text})}}
    custom = {"id": "d", "type": "custom", "custom": {"name": "g", "input": text}}
    turn = {"role": "assistant", "content": "", "reasoning_content": text, "tool_calls": [call, custom]}
    exchange = translated({"model": "m", "messages": [turn]}, KIMI)
    (message,) = exchange.bodies[0]["messages"]
    assert "data:image/" not in json.dumps(message, ensure_ascii=False)
    first, second = (json.loads(each["function"]["arguments"]) for each in message["tool_calls"])
    said = [message["reasoning"], message["reasoning_content"], first["a"], second["input"]]
    assert [each.replace("\u200b", "") for each in said] == [text] * 4
    assert exchange.fates()["messages"] == "transformed"


def test_a_data_url_in_a_completions_prompt_is_no_image() -> None:
    exchange = translated({"model": "m", "prompt": [f"see {PIXEL}", "hi"]}, KIMI)
    first, second = (body["messages"][0]["content"] for body in exchange.bodies)
    assert "data:image/" not in first
    assert second == "hi"
    details = next(entry.detail for entry in exchange.entries if entry.parameter == "prompt")
    assert "data URLs" in details


@pytest.mark.parametrize("model", [GLM, QWEN3])
def test_replayed_thinking_goes_under_both_its_names_and_never_into_the_content(model: str) -> None:
    turns = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "yes", "reasoning_content": "hm"},
        {"role": "assistant", "content": "no"},
        {"role": "user", "content": "and?"},
    ]
    kept = {"chat_template_kwargs": {"clear_thinking": False}} if model == GLM else {}
    exchange = translated({"model": "m", "messages": turns, **kept}, model)
    (body,) = exchange.bodies
    thought = {"reasoning": "hm", "reasoning_content": "hm"}
    assert body["messages"][1] == {"role": "assistant", "content": "yes", **thought}
    assert body["messages"][2] == turns[2]
    assert exchange.fates()["messages"] == "kept"
    assert kept.items() <= body.items()


def test_an_image_goes_as_it_came_to_a_model_that_sees_and_to_no_other() -> None:
    for image in ({"url": PIXEL}, {"url": PIXEL, "detail": "low"}):
        content = [{"type": "text", "text": "what?"}, {"type": "image_url", "image_url": image}]
        message = {"role": "user", "content": content}
        sent = translated({"model": "m", "messages": [message]}, KIMI).bodies[0]["messages"]
        assert sent == [message]
        with pytest.raises(ApiError, match="takes none"):
            translated({"model": "m", "messages": [message]}, GLM)
