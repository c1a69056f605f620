"""Models that the catalogue does not know: served all the same, by the shape of what they answer."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import openai
import pytest

from gateway import catalogue
from gateway.app import create_app
from gateway.settings import Settings
from gateway.simulator import SIMULATED_ACCOUNT_ID, SIMULATED_API_TOKEN, Simulator
from tests.e2e.conftest import _serving
from tests.e2e.test_families import HELLO, TOOL, WEATHER
from tests.gateway.served import MASTER
from tests.laws.exchange import CATALOGUE
from translators.backends.workers_ai.catalogue import Catalogue

ROOM = 1000  # of an unknown window
MODELS = sorted(CATALOGUE.models)
CALLERS = [model for model in MODELS if "tools" in CATALOGUE.models[model].can]
THINKERS = [model for model in MODELS if "reasoning" in CATALOGUE.models[model].can]


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[openai.OpenAI]:
    """A client of a gateway that has no catalogue at all."""
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setattr(catalogue, "shipped", lambda: Catalogue({}))
        url = stack.enter_context(_serving(Simulator(split_chunks=True)))
        backend = {
            "kind": "workers_ai",
            "account_id": SIMULATED_ACCOUNT_ID,
            "api_token": SIMULATED_API_TOKEN,
            "base_url": f"{url}/client/v4",
        }
        data_dir: Path = tmp_path_factory.mktemp("data")
        settings = Settings.model_validate({"data_dir": data_dir, "backends": {"cloudflare": backend}})
        gateway = stack.enter_context(_serving(create_app(settings, MASTER)))
        yield stack.enter_context(openai.OpenAI(base_url=f"{gateway}/v1", api_key=MASTER, max_retries=0))


def test_the_gateway_knows_no_model(stranger: openai.OpenAI) -> None:
    assert stranger.models.list().data == []


@pytest.mark.parametrize("model", MODELS)
def test_an_unknown_model_answers_whole_and_streamed(
    stranger: openai.OpenAI, client: openai.OpenAI, model: str
) -> None:
    whole = stranger.chat.completions.create(model=model, messages=HELLO, max_tokens=ROOM)
    with stranger.chat.completions.stream(model=model, messages=HELLO, max_tokens=ROOM) as stream:
        streamed = stream.get_final_completion()
    assert streamed.choices[0].message.content == whole.choices[0].message.content
    assert streamed.choices[0].finish_reason == whole.choices[0].finish_reason == "stop"
    assert whole.usage is not None
    assert whole.usage.prompt_tokens > 0
    known = client.chat.completions.create(model=model, messages=HELLO, max_tokens=ROOM)
    assert whole.choices[0].message.content == known.choices[0].message.content


@pytest.mark.parametrize("model", CALLERS)
def test_an_unknown_model_calls_tools(stranger: openai.OpenAI, model: str) -> None:
    answer = stranger.chat.completions.create(model=model, messages=WEATHER, max_tokens=ROOM, tools=[TOOL])
    (call,) = answer.choices[0].message.tool_calls or []
    assert call.type == "function"
    assert (call.function.name, json.loads(call.function.arguments)) == ("get_weather", {"city": "Paris"})


@pytest.mark.parametrize("model", THINKERS)
def test_the_thoughts_of_an_unknown_model_are_not_in_its_text(stranger: openai.OpenAI, model: str) -> None:
    message = (
        stranger.chat.completions.create(model=model, messages=HELLO, max_tokens=ROOM).choices[0].message
    )
    assert "<think>" not in (message.content or "")
    assert message.model_extra
    assert message.model_extra["reasoning_content"]
