"""Requests are written in the form that each product takes, and every parameter has its fate."""

from typing import Any

import pytest

from tests.translators.backends.openai_server.asking import written
from translators.backends.openai_server.servers import SERVERS
from translators.deltas import Delta, Finish, Reasoning, Text, Usage
from translators.errors import ApiError

F: Any = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
G: Any = {"type": "function", "function": {"name": "g", "description": "G", "strict": True}}
CUSTOM: Any = {"type": "custom", "custom": {"name": "c", "format": {"type": "text"}}}
NAMED: Any = {"type": "function", "function": {"name": "f"}}
SCHEMA: Any = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
FORMAT: Any = {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA, "strict": True}}

EVERY = pytest.mark.parametrize("product", sorted(SERVERS))


@EVERY
def test_a_chat_goes_to_chat_completions_with_the_models_own_name(product: str) -> None:
    exchange = written(product, max_tokens=9)
    (call,) = exchange.dialogue.first()
    assert call.segments == ("chat", "completions")
    assert exchange.body == {
        "model": "name-there",
        "messages": [{"role": "user", "content": "Hi"}],
        SERVERS[product].limit: 9,
    }
    assert (call.whole, call.most_tokens, call.prompt_bytes) == (True, 9, 2)


@EVERY
def test_a_stream_is_asked_for_its_usage(product: str) -> None:
    body = written(product, stream=True).body
    assert (body["stream"], body["stream_options"]) == (True, {"include_usage": True})


def test_prompts_go_to_completions_one_by_one() -> None:
    exchange = written("vllm", prompt=["a", "b"], seed=3, max_tokens=5)
    assert [call.segments for call in exchange.dialogue.first()] == [("completions",)] * 2
    assert [(body["prompt"], body["seed"], body["max_tokens"]) for body in exchange.bodies] == [
        ("a", 3, 5),
        ("b", 4, 5),
    ]


def test_an_empty_prompt_is_refused() -> None:
    with pytest.raises(ApiError) as caught:
        written("vllm", prompt="")
    assert caught.value.param == "prompt"


def test_what_a_product_takes_is_kept_and_what_it_does_not_is_dropped_with_the_reason() -> None:
    exchange = written("vllm", top_k=5, service_tier="flex", store=False, temperature=0.5)
    assert (exchange.body["top_k"], exchange.body["temperature"]) == (5, 0.5)
    assert "service_tier" not in exchange.body
    assert exchange.fates["service_tier"][0] == "dropped"
    assert "allow" in exchange.fates["service_tier"][1]
    assert exchange.fates["store"][0] == "kept"


def test_what_the_operator_allows_is_passed_on() -> None:
    exchange = written(
        "generic", served={"allow": frozenset({"chat_template_kwargs"})}, chat_template_kwargs={"a": 1}
    )
    assert exchange.body["chat_template_kwargs"] == {"a": 1}
    assert "chat_template_kwargs" not in written("vllm", chat_template_kwargs={"a": 1}).body


def test_a_parameter_takes_the_products_name() -> None:
    exchange = written("llama_cpp", repetition_penalty=1.1)
    assert exchange.body["repeat_penalty"] == 1.1
    assert exchange.fates["repetition_penalty"] == ("renamed", "sent as 'repeat_penalty'")


def test_each_choice_is_a_call_with_a_seed_of_its_own() -> None:
    exchange = written("vllm", n=3, seed=5)
    assert [body["seed"] for body in exchange.bodies] == [5, 6, 7]
    assert exchange.fates["n"][0] == "emulated"
    assert written("vllm", n=1).fates["n"][0] == "kept"


@pytest.mark.parametrize("seed", [2**63 - 1, -5, int("9" * 4300)], ids=["the greatest", "below 0", "endless"])
def test_however_great_a_seed_is_each_choice_has_another(seed: int) -> None:
    seeds = {body["seed"] for body in written("vllm", n=3, seed=seed).bodies}
    assert len(seeds) == 3


def test_what_nobody_asked_for_has_a_limit_all_the_same() -> None:
    assert written("ollama").body["max_tokens"] == 4096
    assert written("ollama", served={"window": 1000}).body["max_tokens"] == 999
    assert written("ollama", served={"window": 100_000}).body["max_tokens"] == 16_384


def test_an_answer_is_clamped_to_the_room_beside_the_prompt() -> None:
    exchange = written("ollama", served={"window": 100}, max_tokens=1000)
    assert exchange.body["max_tokens"] == 99
    assert exchange.fates["max_tokens"][0] == "clamped"


@pytest.mark.parametrize(
    ("product", "choice", "sent", "offered"),
    [
        ("vllm", "auto", None, ["f", "g"]),
        ("vllm", "required", "required", ["f", "g"]),
        ("vllm", NAMED, NAMED, ["f"]),
        ("llama_cpp", NAMED, "required", ["f"]),
        ("ollama", NAMED, None, ["f"]),
        ("ollama", "required", None, ["f", "g"]),
        (
            "vllm",
            {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [NAMED]}},
            "required",
            ["f"],
        ),
    ],
)
def test_a_tool_choice_is_sent_in_a_form_that_the_product_takes(
    product: str, choice: Any, sent: Any, offered: list[str]
) -> None:
    body = written(product, tools=[F, G], tool_choice=choice).body
    assert body.get("tool_choice") == sent
    assert [tool["function"]["name"] for tool in body["tools"]] == offered


def test_no_tools_are_offered_where_none_may_be_called() -> None:
    exchange = written("vllm", tools=[F], tool_choice="none")
    assert not {"tools", "tool_choice"} & exchange.body.keys()
    assert exchange.fates["tool_choice"][0] == "emulated"
    allowed = {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": []}}
    assert "tools" not in written("vllm", tools=[F], tool_choice=allowed).body


def test_tools_are_left_out_where_the_model_calls_none() -> None:
    exchange = written("vllm", served={"can": frozenset({"json"})}, tools=[F])
    assert "tools" not in exchange.body
    assert exchange.fates["tools"][0] == "dropped"


def test_tools_are_sent_as_they_came_and_custom_ones_as_functions() -> None:
    f, g, c = written("vllm", tools=[F, G, CUSTOM]).body["tools"]
    assert f == F
    assert g["function"] == {
        "name": "g",
        "description": "G",
        "strict": True,
        "parameters": {"type": "object", "properties": {}},
    }
    assert c["function"]["parameters"]["required"] == ["input"]
    assert written("openai", tools=[CUSTOM]).body["tools"] == [CUSTOM]
    plain = {"type": "custom", "custom": {"name": "c"}}
    assert written("openai", tools=[plain]).body["tools"] == [plain]


def test_one_call_at_a_time_is_asked_for_or_emulated() -> None:
    assert written("vllm", tools=[F], parallel_tool_calls=False).body["parallel_tool_calls"] is False
    exchange = written("ollama", tools=[F], parallel_tool_calls=False)
    assert "parallel_tool_calls" not in exchange.body
    assert exchange.fates["parallel_tool_calls"][0] == "emulated"


def test_json_is_asked_for_in_the_products_form() -> None:
    assert written("vllm", response_format=FORMAT).body["response_format"] == FORMAT
    loose = {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}}
    assert written("vllm", response_format=loose).body["response_format"] == loose
    any_object = {"type": "json_object"}
    assert written("vllm", response_format=any_object).body["response_format"] == any_object
    assert written("tgi", response_format=FORMAT).body["response_format"] == {"type": "json", "value": SCHEMA}


def test_json_is_asked_for_in_words_and_judged_where_the_model_has_no_mode() -> None:
    exchange = written(
        "generic", served={"can": frozenset()}, response_format=FORMAT, stop=["x"], stream=True
    )
    assert "response_format" not in exchange.body
    assert "stop" not in exchange.body
    assert "JSON Schema" in exchange.body["messages"][0]["content"]
    dialogue = exchange.dialogue
    assert dialogue.take(0, [Text(0, "no"), Finish(0, "stop"), Usage(1, 1)]) == []
    assert len(dialogue.next()) == 1
    prompt = written("generic", served={"can": frozenset()}, prompt="p", response_format=FORMAT)
    assert prompt.fates["response_format"][0] == "dropped"


def test_an_answer_without_the_call_that_had_to_be_is_asked_for_again() -> None:
    dialogue = written("ollama", tools=[F], tool_choice="required").dialogue
    assert dialogue.take(0, [Text(0, "no"), Finish(0, "stop"), Usage(1, 1)]) == []
    (again,) = dialogue.next()
    assert b"must call" in again.body


def test_stop_strings_are_sent_and_watched_over() -> None:
    exchange = written("vllm", stop=["x"])
    assert exchange.body["stop"] == ["x"]
    assert exchange.dialogue.take(0, [Text(0, "axb")]) == [Text(0, "a"), Finish(0, "stop")]


def test_the_prompt_counts_all_that_is_read() -> None:
    call = {"id": "i", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
    messages = [
        {"role": "user", "content": "four"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "i", "content": "é"},
    ]
    (asked,) = written("vllm", messages=messages).dialogue.first()
    assert asked.prompt_bytes == 4 + 8 + 2


@EVERY
def test_every_row_says_which_product_it_is(product: str) -> None:
    assert SERVERS[product].name == product


def test_choices_that_are_asked_for_in_the_same_words_share_their_bytes() -> None:
    calls = written("llama_cpp", n=3).dialogue.first()
    assert len({id(call.body) for call in calls}) == 1


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": [{"role": "user", "content": "x" * 600_000}], "n": 128}, "n"),
        ({"prompt": ["p" * 600_000] * 128}, "prompt"),
    ],
    ids=["choices", "prompts"],
)
def test_answers_whose_calls_are_too_large_together_are_refused(fields: Any, param: str) -> None:
    with pytest.raises(ApiError) as caught:
        written("llama_cpp", **fields)
    assert (caught.value.status, caught.value.param) == (400, param)


def test_no_call_is_demanded_of_a_model_that_has_no_tools() -> None:
    exchange = written("ollama", served={"can": frozenset()}, tools=[F], tool_choice="required")
    answer: list[Delta] = [Text(0, "no"), Finish(0, "stop"), Usage(1, 1)]
    assert exchange.dialogue.take(0, answer) == answer
    assert not exchange.dialogue.next()


def test_what_messages_hold_beyond_the_common_request_is_told() -> None:
    content = [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}]
    exchange = written("vllm", messages=[{"role": "user", "content": content}])
    assert "cache_control" in exchange.fates["messages"][1]


def test_several_choices_each_have_their_own_thoughts_and_their_prompt_counts_once() -> None:
    dialogue = written("llama_cpp", n=2).dialogue
    answer: list[Delta] = [Text(0, "<think>hm</think>yes"), Finish(0, "stop"), Usage(3, 2)]
    deltas = [*dialogue.take(0, answer), *dialogue.take(1, answer)]
    for choice in (0, 1):
        own = [delta for delta in deltas if getattr(delta, "choice", None) == choice]
        assert own == [Reasoning(choice, "hm"), Text(choice, "yes"), Finish(choice, "stop")]
    assert deltas[-1] == Usage(3, 4)


def test_openai_itself_thinks_in_no_text() -> None:
    text = Text(0, "<think>hm</think>yes")
    assert written("openai").dialogue.take(0, [text]) == [text]


@pytest.mark.parametrize(("product", "counts"), [("vllm", True), ("sglang", True), ("llama_cpp", False)])
def test_a_stream_that_may_be_gone_on_with_is_counted_along(product: str, *, counts: bool) -> None:
    body = written(product, stream=True, also={"counts_along": True}).body
    expected = {"include_usage": True} | ({"continuous_usage_stats": True} if counts else {})
    assert body["stream_options"] == expected


@pytest.mark.parametrize("product", ["vllm", "sglang", "llama_cpp", "generic"])
def test_an_answer_is_gone_on_with_in_the_products_way(product: str) -> None:
    messages = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hel"}]
    body = written(product, messages=messages, also={"continues": True}).body
    added = SERVERS[product].continues or {}
    assert {name: body[name] for name in added} == added
    assert body["messages"][-1] == {"role": "assistant", "content": "Hel"}
