"""Requests for Llama Guard, which judges a dialogue."""

from typing import Any

from tests.laws.exchange import translated

GUARD = "@cf/meta/llama-guard-3-8b"
TOOLS = [{"type": "function", "function": {"name": "f"}}]


def _sent(**more: Any) -> tuple[dict[str, Any], dict[str, str]]:
    exchange = translated({"model": "m", "messages": [{"role": "user", "content": "hi"}], **more}, GUARD)
    (body,) = exchange.bodies
    return body, exchange.fates()


def test_only_what_the_guard_takes_is_sent() -> None:
    body, fates = _sent(temperature=0.5, top_p=0.5, seed=1, lora="x", tools=TOOLS, user="u", store=False)
    assert body.keys() == {"messages", "max_tokens", "temperature"}
    assert [fates[name] for name in ("top_p", "seed", "lora", "tools", "user")] == ["dropped"] * 5
    assert (fates["temperature"], fates["store"]) == ("kept", "kept")


def test_without_tools_nothing_is_withheld() -> None:
    assert _sent(tool_choice="none")[1]["tool_choice"] == "kept"


def test_every_turn_becomes_one_of_users_and_assistants() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    body, fates = _sent(
        messages=[
            {"role": "system", "content": "s"},
            {"role": "user", "content": "u"},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c", "content": "t"},
        ]
    )
    assert [(each["role"], each["content"]) for each in body["messages"]] == [
        ("user", "s"),
        ("user", "u"),
        ("assistant", ""),
        ("user", "t"),
    ]
    assert {len(each) for each in body["messages"]} == {2}
    assert fates["messages"] == "transformed"
    assert _sent()[1]["messages"] == "kept"


def test_a_prompt_is_judged_as_a_users_turn() -> None:
    (body,) = translated({"model": "m", "prompt": "p"}, GUARD).bodies
    assert body["messages"] == [{"role": "user", "content": "p"}]


def test_the_guard_has_its_own_form_of_json() -> None:
    body, fates = _sent(response_format={"type": "json_schema", "json_schema": {"name": "n", "schema": {}}})
    assert body["response_format"] == {"type": "json_object"}
    assert fates["response_format"] == "transformed"
    assert _sent(response_format={"type": "json_object"})[1]["response_format"] == "kept"
