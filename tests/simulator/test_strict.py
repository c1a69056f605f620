"""What bodies the newer families refuse, and in which words."""

from collections.abc import Callable
from typing import Any

import httpx
import jsonschema_rs
import pytest

from gateway.simulator.models import models
from tests.published import repaired

GLM = "@cf/zai-org/glm-5.2"
OSS = "@cf/openai/gpt-oss-20b"
GUARD = "@cf/meta/llama-guard-3-8b"
USER = {"role": "user", "content": "hi"}
CALL = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
PROMPT = "anyOf at '/' not met: required properties at '/' are 'prompt', "


def asking(**more: Any) -> dict[str, Any]:
    return {"messages": [USER], **more}


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({}, f"{PROMPT}required properties at '/' are 'messages'"),
        ([], "anyOf at '/' not met: Type mismatch of '/', 'object' not in 'array','binary'"),
        (
            {"messages": [USER, {"role": "user", "content": 3}]},
            (
                f"{PROMPT}Type mismatch of '/messages/1/content', 'string' not in 'number','integer', "
                "Type mismatch of '/messages/1/content', 'array' not in 'number','integer'"
            ),
        ),
        (
            {"messages": [{"role": "user"}]},
            f"{PROMPT}required properties at '/messages/0' are 'role,content'",
        ),
        (
            asking(tools=[{"type": "function", "name": "f", "parameters": {}}]),
            f"{PROMPT}required properties at '/tools/0' are 'type,function'",
        ),
        (
            asking(tools=[{"type": "function", "function": {"description": "x"}}]),
            f"{PROMPT}required properties at '/tools/0/function' are 'name'",
        ),
        (asking(frequency_penalty=3), f"{PROMPT}'/frequency_penalty' must be <= 2"),
        (asking(n=0), f"{PROMPT}'/n' must be >= 1"),
        (
            asking(temperature="hot"),
            f"{PROMPT}Type mismatch of '/temperature', 'number,null' not in 'string'",
        ),
        (
            asking(reasoning_effort="huge"),
            f"{PROMPT}enum huge not in max,high,none,low,medium,xhigh,minimal, at '/reasoning_effort'",
        ),
        (asking(stop=[3]), None),
    ],
)
def test_a_bad_body_is_refused_in_the_words_of_the_wire(body: Any, text: str | None) -> None:
    refused = models()[GLM].refusal(body)
    if text is None:
        assert refused
        assert "Type mismatch of '/stop/0', 'string' not in 'number','integer'" in refused
    else:
        assert refused == text


def test_a_message_of_an_unknown_role_breaks_every_option() -> None:
    refused = models()[GLM].refusal({"messages": [{"role": "zzz", "content": "x"}]})
    assert refused
    for role in ("developer", "system", "user", "assistant", "tool", "function"):
        assert f"const zzz doesn't match {role} at '/messages/0/role'" in refused


@pytest.mark.parametrize(
    "body",
    [
        asking(),
        {"prompt": "hi"},
        asking(temperature=None, max_tokens=None, stop=None, n=None, logprobs=None, seed=None),
        asking(stop="x", tool_choice="required", whatever=[1]),
        {
            "messages": [
                {"role": "developer", "content": [{"type": "text", "text": "a"}]},
                USER,
                {"role": "assistant", "content": None, "tool_calls": [CALL]},
                {"role": "tool", "tool_call_id": "a", "content": "x"},
            ]
        },
    ],
)
def test_what_openai_allows_is_accepted(body: dict[str, Any]) -> None:
    assert models()[GLM].refusal(body) is None


@pytest.mark.parametrize("name", ["glm-5.2", "kimi-k2.6", "gpt-oss-20b", "nemotron-3-120b-a12b"])
@pytest.mark.parametrize(
    ("more", "allowed"),
    [
        ({}, True),
        ({"temperature": None, "stop": ["a"], "tool_choice": "auto"}, True),
        ({"messages": [{"role": "assistant", "content": None, "tool_calls": [CALL]}]}, True),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": "x"}]}]}, True),
        ({"messages": [{"role": "user", "content": None}]}, False),
        ({"messages": [{"role": "zzz", "content": "x"}]}, False),
        ({"messages": [{"role": "tool", "content": "x"}]}, False),
        ({"tools": [{"type": "function", "function": {}}]}, False),
        ({"tools": [{"type": "function", "name": "x"}]}, False),
        ({"stream": "yes"}, False),
        ({"max_tokens": "many"}, False),
    ],
)
def test_the_verdict_is_that_of_the_published_schema(
    published: Callable[..., dict[str, Any]], name: str, more: dict[str, Any], *, allowed: bool
) -> None:
    body = asking(**more)
    [model] = [model for model in models().values() if model.name.endswith(f"/{name}")]
    schema = repaired(published(f"workers-ai-models/{name}.json"))
    assert jsonschema_rs.is_valid(schema, body) == allowed
    assert (model.refusal(body) is None) == allowed


def test_gpt_oss_takes_responses_and_other_models_do_not() -> None:
    assert models()[OSS].refusal({"input": "hi"}) is None
    assert models()[OSS].refusal({"input": 3})
    assert models()[GLM].refusal({"input": "hi"})


@pytest.mark.parametrize(
    ("messages", "text"),
    [
        ([{"role": "system", "content": "x"}], "enum system not in user,assistant at '/messages/0/role'"),
        (
            [USER, {"role": "assistant", "content": None}],
            "Type mismatch of '/messages/1/content', 'string' not in 'null'",
        ),
    ],
)
def test_llama_guard_refuses_without_a_list_in_front(messages: Any, text: str) -> None:
    assert models()[GUARD].refusal({"messages": messages}) == text


@pytest.mark.parametrize(
    ("name", "content", "allowed"),
    [
        ("@cf/meta/llama-3.2-3b-instruct", [{"type": "text", "text": "x"}], False),
        ("@cf/meta/llama-3.3-70b-instruct-fp8-fast", [{"type": "text", "text": "x"}], True),
        ("@cf/qwen/qwen3-30b-a3b-fp8", [{"type": "text", "text": "x"}], True),
        (
            "@cf/meta/llama-4-scout-17b-16e-instruct",
            [{"type": "text", "text": "x"}, {"type": "image_url", "image_url": {"url": "data:"}}],
            True,
        ),
        ("@cf/ibm-granite/granite-4.0-h-micro", [{"type": "text", "text": "x"}], False),
    ],
)
def test_content_is_what_the_catalogue_says(name: str, content: Any, *, allowed: bool) -> None:
    body = {"messages": [{"role": "user", "content": content}]}
    assert (models()[name].refusal(body) is None) == allowed


async def test_any_as_tool_choice_is_refused_by_the_engine(client: httpx.AsyncClient) -> None:
    [error] = (await client.post(f"/run/{GLM}", json=asking(tool_choice="any"))).json()["errors"]
    assert error == {"message": "AiError: Invalid input", "code": 8001}
