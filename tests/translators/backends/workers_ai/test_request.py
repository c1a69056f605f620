"""The calls that answer a request."""

from typing import Any

import pytest

from tests.laws.exchange import CATALOGUE, SEED, translated
from translators.backends.workers_ai.catalogue import Facts
from translators.backends.workers_ai.request import is_model_id
from translators.call import Stamp
from translators.deltas import Finish, Text, Usage
from translators.errors import ApiError

CHAT: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "12345"}]}
PROMPT: dict[str, Any] = {"model": "m", "prompt": "p"}
_CALL = {"id": "c", "type": "function", "function": {"name": "a" * 15, "arguments": "b" * 15}}


def _detail(exchange: Any, name: str) -> str:
    return next(str(entry.detail) for entry in exchange.entries if entry.parameter == name)


@pytest.mark.parametrize("asked", [{"messages": [{"role": "user", "content": "hi"}]}, {"prompt": "hi"}])
def test_questions_with_one_cache_key_meet_one_cache(asked: dict[str, Any]) -> None:
    def sent(**more: Any) -> dict[str, str]:
        exchange = translated({"model": "m", **asked, **more})
        assert exchange.fates().get("prompt_cache_key") == ("transformed" if more else None)
        return dict(exchange.dialogue.first()[0].headers)

    assert sent() == {}
    first = sent(prompt_cache_key="a")
    assert first.keys() == {"x-session-affinity"}
    assert first == sent(prompt_cache_key="a", temperature=1)
    assert len({each["x-session-affinity"] for each in (
        first, sent(prompt_cache_key="b"), sent(prompt_cache_key="a", user="u")
    )}) == 3  # fmt: skip
    assert first["x-session-affinity"].isalnum()


@pytest.mark.parametrize(
    "name",
    [
        "@cf/meta/llama-3.1-8b-instruct-fast",
        "@hf/thebloke/x.y_z",
        "@cf/a/..b",
        "@cf/.a/b",
        "@cf/a/" + 128 * "b",
    ],
)
def test_a_models_id(name: str) -> None:
    assert is_model_id(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "gpt-4o",
        "@cf/meta",
        "@cf/meta/",
        "@cf/../x",
        "@cf/./x",
        "@cf/x/..",
        "@cf/x/.",
        "@cf/a/b/c",
        "@cf/a/b?c",
        "@cf/a/b%2f",
        "@cf/a b/c",
        "@cf/a/b\n",
        "cf/a/b",
        "@xx/a/b",
        "@cf/a/" + 129 * "b",
        f"@cf/{129 * 'a'}/b",
    ],
)
def test_a_name_that_could_leave_the_accounts_path_is_no_models_id(name: str) -> None:
    assert not is_model_id(name)
    with pytest.raises(ApiError) as caught:
        translated(CHAT, name, facts=Facts())
    assert (caught.value.status, caught.value.param, caught.value.code) == (404, "model", "model_not_found")


def test_the_call_goes_to_the_models_own_path() -> None:
    (call,) = translated(CHAT).dialogue.first()
    assert call.segments == ("ai", "run", "@cf", "meta", "llama-3.1-8b-instruct-fast")


def test_a_length_is_always_sent_since_the_backends_own_is_256() -> None:
    exchange = translated(CHAT)
    assert exchange.bodies[0]["max_tokens"] == CATALOGUE.facts(SEED).default_max_tokens == 4096
    assert "256" in _detail(exchange, "max_tokens")


def test_a_length_beyond_the_window_is_clamped_to_what_the_prompt_leaves() -> None:
    exchange = translated(CHAT | {"max_completion_tokens": 10**6})
    assert exchange.bodies[0]["max_tokens"] == 128_000 - 2
    assert exchange.fates()["max_completion_tokens"] == "clamped"
    assert translated(CHAT | {"max_tokens": 10**6}, facts=Facts()).bodies[0]["max_tokens"] == 10**6


@pytest.mark.parametrize(
    ("messages", "room"),
    [
        ([{"role": "user", "content": "a" * 300}], 900),
        ([{"role": "user", "content": "你" * 300}], 700),
        (
            [
                {"role": "assistant", "tool_calls": [_CALL]},
                {"role": "tool", "tool_call_id": "c", "content": "b" * 30},
            ],
            1000 - 20,
        ),
        ([{"role": "user", "content": "a" * 9000}], 1),
    ],
)
def test_the_default_leaves_the_prompt_its_room_in_the_window(messages: list[Any], room: int) -> None:
    exchange = translated({"model": "m", "messages": messages}, facts=Facts(window=1000))
    assert exchange.bodies[0]["max_tokens"] == min(250, room)
    asked = translated({"model": "m", "messages": messages, "max_tokens": 5000}, facts=Facts(window=1000))
    assert (asked.bodies[0]["max_tokens"], asked.fates()["max_tokens"]) == (room, "clamped")


def test_tools_take_room_in_the_window_too() -> None:
    tools = [{"type": "function", "function": {"name": "f", "description": "d" * 600}}]
    body = translated(CHAT | {"tools": tools, "max_tokens": 5000}, facts=Facts(window=1000)).bodies[0]
    assert body["max_tokens"] < 1000 - 200


def test_choices_that_are_asked_for_in_the_same_words_share_their_bytes() -> None:
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}}
    for more in ({}, {"response_format": form}):
        for model in (SEED, "@cf/zai-org/glm-4.7-flash", "@cf/meta/llama-guard-3-8b"):
            calls = translated(CHAT | {"n": 3} | more, model).dialogue.first()
            assert len(calls) == 3
            assert len({id(call.body) for call in calls}) == 1
    assert len({call.body for call in translated(CHAT | {"n": 3, "seed": 1}).dialogue.first()}) == 3
    prompts = translated({"model": "m", "prompt": ["p", "q"], "n": 2}).bodies
    assert [body["prompt"] for body in prompts] == ["p", "p", "q", "q"]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"model": "m", "messages": [{"role": "user", "content": "x" * 600_000}], "n": 128}, "n"),
        ({"model": "m", "messages": [{"role": "user", "content": "x" * 600_000}], "n": 128, "seed": 1}, "n"),
        ({"model": "m", "prompt": ["p"] * 128, "lora": "x" * 600_000}, "prompt"),
    ],
    ids=["choices", "choices with a seed", "prompts"],
)
def test_answers_whose_calls_are_too_large_together_are_refused(body: dict[str, Any], param: str) -> None:
    with pytest.raises(ApiError) as caught:
        translated(body, "@cf/deepseek-ai/deepseek-v4-flash-0731" if param == "n" else SEED)
    assert (caught.value.status, caught.value.param, caught.value.code) == (400, param, "invalid_value")
    assert "Ask for fewer at once" in caught.value.message


def test_three_choices_of_the_largest_body_are_taken() -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "x" * (20 << 20)}], "n": 3}
    assert len(translated(body, "@cf/deepseek-ai/deepseek-v4-flash-0731").dialogue.first()) == 3


def test_a_seed_shared_by_several_choices_is_told() -> None:
    exchange = translated(CHAT | {"seed": 7, "n": 2})
    assert [body["seed"] for body in exchange.bodies] == [7, 8]
    assert exchange.fates()["seed"] == "transformed"


def test_what_messages_hold_beyond_the_common_request_is_told() -> None:
    turn = {
        "role": "assistant",
        "audio": {"id": "a"},
        "content": [{"type": "text", "text": "x", "cache_control": 1}],
    }
    exchange = translated({"model": "m", "messages": [turn]})
    assert "left out: audio, cache_control" in _detail(exchange, "messages")


def test_each_choice_is_a_call_with_a_seed_of_its_own() -> None:
    exchange = translated(CHAT | {"n": 3, "seed": 9_999_999_998})
    assert [body["seed"] for body in exchange.bodies] == [9_999_999_998, 9_999_999_999, 1]
    assert exchange.fates()["n"] == "emulated"
    assert all("seed" not in body for body in translated(CHAT | {"n": 2}).bodies)
    assert translated(CHAT | {"n": 1}).fates()["n"] == "kept"


def test_each_prompt_is_asked_for_each_choice() -> None:
    exchange = translated(PROMPT | {"prompt": ["a", "b"], "n": 2, "seed": 1})
    assert [(body["prompt"], body["seed"]) for body in exchange.bodies] == [
        ("a", 1),
        ("a", 2),
        ("b", 3),
        ("b", 4),
    ]


@pytest.mark.parametrize(
    ("prompt", "code"), [("", "empty_string"), ("😀" * 65_537, "string_above_max_length")]
)
def test_a_prompt_has_the_length_that_the_schema_takes(prompt: str, code: str) -> None:
    with pytest.raises(ApiError) as caught:
        translated(PROMPT | {"prompt": prompt})
    assert (caught.value.param, caught.value.code) == ("prompt", code)
    assert translated(PROMPT | {"prompt": "😀" * 65_536}).bodies


def test_stop_strings_are_ours_and_none_is_nothing() -> None:
    exchange = translated(CHAT | {"stop": "a"})
    assert "stop" not in exchange.bodies[0]
    assert exchange.fates()["stop"] == "emulated"
    assert translated(CHAT | {"stop": []}).fates()["stop"] == "kept"


def test_a_client_of_functions_gets_one_call_at_a_time_and_is_told() -> None:
    exchange = translated(CHAT | {"functions": [{"name": "f"}]})
    assert exchange.fates()["parallel_tool_calls"] == "emulated"


@pytest.mark.parametrize(
    ("body", "prompt_tokens"),
    [(CHAT | {"messages": [{"role": "user", "content": "12345"}]}, 2), (PROMPT | {"prompt": "123456789"}, 3)],
)
def test_where_nobody_reports_the_prompt_is_counted_roughly(body: dict[str, Any], prompt_tokens: int) -> None:
    (call,) = translated(body).dialogue.first()
    reader = call.reader()
    reader.start(200, {"content-type": "text/event-stream"})
    assert reader.feed(b'data: {"response":""}\n\ndata: [DONE]\n\n') + reader.close() == [
        Finish(0, "stop"),
        Usage(prompt_tokens, 0, estimated=True),
    ]


def test_ids_of_calls_come_from_the_stamp_and_the_choice() -> None:
    stamp = Stamp(5, "ZZZZZZZZZZZZZZZZ")
    _, second = translated(CHAT | {"n": 2}, stamp=stamp).dialogue.first()
    reader = second.reader()
    reader.start(200, {})
    reader.feed(b'{"result":{"tool_calls":[{"name":"f","arguments":{}}]},"success":true}')
    assert "call_psZZZZZZZZZZZZx1x0" in repr(reader.close()[0])


def test_without_a_chat_template_all_of_an_answer_is_text_and_no_room_is_for_thinking() -> None:
    text = "so </think> 7"
    for model in ("@cf/qwen/qwq-32b", "@cf/deepseek-ai/deepseek-r1-distill-qwen-32b"):
        exchange = translated(PROMPT | {"raw": True, "max_tokens": 9}, model)
        (body,) = exchange.bodies
        assert (body["max_tokens"], exchange.fates()["max_tokens"]) == (9, "kept")
        ending = [Finish(0, "stop"), Usage(1, 1)]
        assert exchange.dialogue.take(0, [Text(0, text), *ending]) == [Text(0, text), *ending]
        (body,) = translated(PROMPT | {"raw": False, "max_tokens": 9}, model).bodies
        assert body["max_tokens"] > 9
