"""Whatever a client sends to whichever model, it gets an answer or a refusal, and a stream ends."""

import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.simulator import edge
from gateway.simulator.account import Account
from gateway.simulator.models import models
from gateway.simulator.words import listed

ACCOUNT = Account(lambda: 0.0)
FAULTS = ("leaked-call", "null-content", "object-response", "json-for-stream")
NAMES = [*models(), *(f"@cf/simulator/{name}" for name in FAULTS)]
KEYS = sorted(
    listed(
        """messages prompt input tools tool_choice role content type text function name arguments tool_calls
        id tool_call_id image_url url response_format json_schema schema properties required n stop
        temperature logprobs top_logprobs image raw max_completion_tokens reasoning_effort guided_json
        chat_template_kwargs enable_thinking instructions reasoning format effort output call_id
        allowed_tools mode"""
    )
)
LEAVES = st.sampled_from([
    None, True, False, 0, 1, -1, 2.5, 1e308, 10**400, -(10**400), 129, "", "x", "none", "required", "any",
])  # fmt: skip
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=12,
)
MESSAGES = st.lists(
    st.fixed_dictionaries(
        {
            "role": st.sampled_from(["system", "developer", "user", "assistant", "tool"]),
            "content": st.sampled_from(["hi", "count to 40", None, [{"type": "text", "text": "x"}]]) | VALUES,
            "tool_call_id": st.just("a"),
        }
    ),
    max_size=3,
)
BODIES = st.fixed_dictionaries(
    {"max_tokens": st.sampled_from([1, 5, 90])},
    optional={"messages": MESSAGES, "prompt": st.just("hi"), "input": st.just("hi"), "stream": st.just(True)},
)


@given(st.sampled_from(NAMES), st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=5), BODIES)
def test_any_body_is_answered_or_refused(name: str, odd: dict[str, Any], plain: dict[str, Any]) -> None:
    answer = ACCOUNT.run(name, json.dumps(odd | plain).encode()).answer
    if isinstance(answer, Iterator):
        events = list(itertools.islice(answer, 2000))
        assert events[-1] == b"data: [DONE]\n\n"
    elif isinstance(answer, edge.Refusal):
        assert 400 <= answer.status < 500
    else:
        json.dumps(answer)


@pytest.mark.parametrize(
    ("name", "field", "text"),
    [
        ("@cf/meta/llama-3.1-8b-instruct-fp8", '"response_format":{"type":%s}', "enum Infinity not in"),
        ("@cf/meta/llama-3.1-8b-instruct-fp8", '"max_tokens":%s', "'integer' not in 'number'"),
        ("@cf/zai-org/glm-4.7-flash", '"response_format":{"type":%s}', "const Infinity doesn't match"),
        ("@cf/zai-org/glm-4.7-flash", '"max_tokens":%s', "maximum context length"),
        ("@cf/zai-org/glm-4.7-flash", '"max_tokens":5,"temperature":%s', None),
    ],
)
def test_a_number_that_no_double_holds_is_infinite(name: str, field: str, text: str | None) -> None:
    body = f'{{"messages":[{{"role":"user","content":"hi"}}],{field.replace("%s", "1" + "0" * 400)}}}'
    answer = ACCOUNT.run(name, body.encode()).answer
    assert isinstance(answer, edge.Refusal) == (text is not None)
    assert (text or "") in str(answer)
