"""The official client before a gateway before llama.cpp's real server."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import openai
import pytest

from gateway.app import create_app
from gateway.settings import Settings
from tests.e2e.conftest import _serving
from tests.gateway.served import MASTER
from tests.real.gguf import WINDOW
from tests.real.llama_server import KEY, UnavailableError, serving_llama

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[openai.OpenAI]:
    with ExitStack() as stack:
        try:
            url = stack.enter_context(serving_llama(tmp_path_factory.mktemp("llama")))
        except UnavailableError as error:
            pytest.skip(str(error))
        backend = {"kind": "openai", "server": "llama_cpp", "base_url": url, "api_key": KEY}
        settings = {"data_dir": tmp_path_factory.mktemp("data"), "backends": {"llama": backend}}
        gateway = stack.enter_context(_serving(create_app(Settings.model_validate(settings), MASTER)))
        yield stack.enter_context(openai.OpenAI(base_url=f"{gateway}/v1", api_key=MASTER, max_retries=0))


def asked(text: str = "Hello", **fields: Any) -> dict[str, Any]:
    messages = [{"role": "developer", "content": "Be brief"}, {"role": "user", "content": text}]
    return {"model": "tiny", "messages": messages, "max_completion_tokens": 20, "seed": 7, **fields}


def test_its_model_is_found_with_its_window(client: openai.OpenAI) -> None:
    (model,) = [each for each in client.models.list() if each.id == "tiny"]
    assert model.to_dict()["context_length"] == WINDOW


def test_a_chat_is_answered_alike_whole_and_streamed(client: openai.OpenAI) -> None:
    whole = client.chat.completions.create(**asked(temperature=0))
    assert whole.choices[0].message.content
    assert whole.usage
    assert whole.usage.completion_tokens <= 20
    chunks = list(
        client.chat.completions.create(
            **asked(temperature=0), stream=True, stream_options={"include_usage": True}
        )
    )
    text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    assert text == whole.choices[0].message.content
    (usage,) = [chunk.usage for chunk in chunks if chunk.usage]
    assert usage.completion_tokens == whole.usage.completion_tokens


def test_several_choices_are_several_answers(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(**asked(n=2, temperature=1))
    assert [choice.index for choice in answer.choices] == [0, 1]


def test_json_after_a_schema_is_json(client: openai.OpenAI) -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"enum": ["x", "y"]}},
        "required": ["a"],
        "additionalProperties": False,
    }
    form = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}
    answer = client.chat.completions.create(**asked(response_format=form, max_completion_tokens=200))
    assert "".join((answer.choices[0].message.content or "").split()) in {'{"a":"x"}', '{"a":"y"}'}


def test_a_prompt_too_long_is_told_in_the_words_that_agents_know(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(**asked("word " * 2000))
    assert caught.value.code == "context_length_exceeded"


def test_log_probabilities_are_passed_on(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(**asked(logprobs=True, top_logprobs=2))
    assert answer.choices[0].logprobs
    assert answer.choices[0].logprobs.content
