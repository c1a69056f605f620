"""Turns are OpenAI's messages again, less what a product's templates do not know."""

from typing import Any

import pytest

from tests.translators.backends.openai_server.asking import written
from translators.errors import ApiError

PIXEL = "data:image/png;base64,iVBORw0KGgo="


def messages(product: str, *turns: Any, **served: Any) -> Any:
    return written(product, served=served, messages=list(turns)).body["messages"]


def test_a_developers_turn_is_a_systems_where_the_role_is_not_known() -> None:
    turn = {"role": "developer", "content": "Be brief"}
    assert messages("vllm", turn)[0]["role"] == "system"
    assert messages("openai", turn)[0]["role"] == "developer"


def test_names_stay_and_text_parts_become_one_string() -> None:
    turn = {"role": "user", "name": "ann", "content": [{"type": "text", "text": t} for t in ("a", "b")]}
    assert messages("vllm", turn) == [{"role": "user", "name": "ann", "content": "ab"}]


def test_images_sounds_and_files_stay_parts() -> None:
    parts = [
        {"type": "text", "text": "Look"},
        {"type": "image_url", "image_url": {"url": PIXEL, "detail": "low"}},
        {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AA=="}},
    ]
    assert messages("vllm", {"role": "user", "content": parts})[0]["content"] == parts


def test_an_image_is_refused_where_the_model_sees_none() -> None:
    part = {"type": "image_url", "image_url": {"url": PIXEL}}
    with pytest.raises(ApiError) as caught:
        messages("vllm", {"role": "user", "content": [part]}, can=frozenset())
    assert caught.value.param == "messages[0].content[0]"


@pytest.mark.parametrize(
    ("product", "field"), [("vllm", "reasoning"), ("sglang", "reasoning_content"), ("tgi", None)]
)
def test_thinking_is_sent_back_in_the_products_field(product: str, field: str | None) -> None:
    turn = {"role": "assistant", "content": "Yes", "reasoning_content": "Hm"}
    expected = {"role": "assistant", "content": "Yes"} | ({field: "Hm"} if field else {})
    assert messages(product, {"role": "user", "content": "?"}, turn)[1] == expected


def test_calls_and_their_answers_keep_the_backends_ids() -> None:
    call = {"id": "x1", "type": "function", "function": {"name": "f", "arguments": ""}}
    said, result = messages(
        "vllm",
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "x1", "content": "12"},
    )
    assert said == {
        "role": "assistant",
        "content": "",
        "tool_calls": [{**call, "function": {"name": "f", "arguments": "{}"}}],
    }
    assert result == {"role": "tool", "tool_call_id": "x1", "content": "12"}


def test_custom_calls_are_calls_of_functions_where_they_are_not_known() -> None:
    call = {"id": "x1", "type": "custom", "custom": {"name": "c", "input": "free"}}
    turn = {"role": "assistant", "content": None, "tool_calls": [call]}
    assert messages("openai", turn)[0]["tool_calls"] == [call]
    (function,) = messages("vllm", turn)[0]["tool_calls"]
    assert function["function"] == {"name": "c", "arguments": '{"input":"free"}'}


def test_functions_of_old_get_ids() -> None:
    said, result = messages(
        "vllm",
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "function", "name": "f", "content": "12"},
    )
    assert said["tool_calls"][0]["id"] == result["tool_call_id"]


def test_a_refusal_is_text() -> None:
    turn = {"role": "assistant", "content": [{"type": "refusal", "refusal": "No"}]}
    assert messages("vllm", turn)[0]["content"] == "No"
