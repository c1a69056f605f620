"""Structured output through the official client: parsed into its own types, on a model of each family."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from enum import Enum
from typing import Any, Literal

import openai
import pydantic
import pytest

from gateway.app import create_app
from gateway.settings import Settings
from gateway.simulator import SIMULATED_ACCOUNT_ID, SIMULATED_API_TOKEN, Simulator
from tests.e2e.conftest import _serving
from tests.gateway.served import MASTER

FAMILIES = [
    "@cf/meta/llama-3.1-8b-instruct-fast",  # legacy, the seed's schema
    "@cf/meta/llama-3.3-70b-instruct-fp8-fast",  # legacy
    "@cf/deepseek-ai/deepseek-r1-distill-qwen-32b",  # legacy, thinks in its text
    "@cf/mistralai/mistral-small-3.1-24b-instruct",  # guided_json
    "@cf/qwen/qwq-32b",  # guided_json, thinks in its text
    "@cf/meta/llama-3.2-11b-vision-instruct",  # in words
    "@cf/qwen/qwen3-30b-a3b-fp8",  # OpenAI's answers to legacy input
    "@cf/zai-org/glm-4.7-flash",  # OpenAI's
    "@cf/openai/gpt-oss-20b",  # OpenAI's, and Responses
    "@cf/ibm-granite/granite-4.0-h-micro",  # either
    "@cf/swiss-ai/apertus-v1.5-8b",  # unknown, in words
]
GUARD = "@cf/meta/llama-guard-3-8b"
ASKED: list[Any] = [{"role": "user", "content": "Plan a trip to Paris for Ada and 2 friends"}]
OBJECT: Any = {"type": "json_object"}

each_family = pytest.mark.parametrize("model", FAMILIES)


class Mood(Enum):
    GOOD = "good"
    BAD = "bad"


class Step(pydantic.BaseModel):
    title: str
    hours: float
    with_whom: list[str]


class Plan(pydantic.BaseModel):
    """Nested, with what may be null, a list, an enumeration and a literal."""

    city: str
    people: int
    mood: Mood
    kind: Literal["trip", "party"]
    note: str | None
    steps: list[Step]
    first: Step


class Node(pydantic.BaseModel):
    """Contains itself, in two ways."""

    name: str
    below: list["Node"]
    next: "Node | None"


TYPES: list[type[pydantic.BaseModel]] = [Plan, Node]
each_type = pytest.mark.parametrize("wanted", TYPES)


@each_family
@each_type
def test_an_answer_is_parsed(client: openai.OpenAI, model: str, wanted: type[pydantic.BaseModel]) -> None:
    answer = client.chat.completions.parse(model=model, messages=ASKED, response_format=wanted)
    (choice,) = answer.choices
    assert choice.finish_reason == "stop"
    assert isinstance(choice.message.parsed, wanted)
    assert wanted.model_validate_json(choice.message.content or "") == choice.message.parsed


@each_family
def test_a_stream_is_parsed_into_the_same(client: openai.OpenAI, model: str) -> None:
    whole = client.chat.completions.parse(model=model, messages=ASKED, response_format=Plan)
    with client.chat.completions.stream(model=model, messages=ASKED, response_format=Plan) as stream:
        streamed = stream.get_final_completion()
    assert streamed.choices[0].message.parsed == whole.choices[0].message.parsed
    assert isinstance(streamed.choices[0].message.parsed, Plan)


@each_family
def test_any_object_comes_where_no_schema_is_given(client: openai.OpenAI, model: str) -> None:
    answer = client.chat.completions.create(model=model, messages=ASKED, response_format=OBJECT)
    assert isinstance(json.loads(answer.choices[0].message.content or ""), dict)


def test_the_guard_judges_in_its_own_json(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model=GUARD, messages=ASKED, response_format=OBJECT)
    assert json.loads(answer.choices[0].message.content or "") == {"safe": True, "categories": []}


@each_family
def test_each_choice_is_parsed(client: openai.OpenAI, model: str) -> None:
    answer = client.chat.completions.parse(model=model, messages=ASKED, response_format=Plan, n=3)
    assert [isinstance(choice.message.parsed, Plan) for choice in answer.choices] == [True] * 3


@each_family
def test_a_tool_is_called_beside_a_format(client: openai.OpenAI, model: str) -> None:
    tool: Any = openai.pydantic_function_tool(Step, name="add_step", description="Adds a step")
    answer = client.chat.completions.parse(
        model=model,
        messages=[{"role": "user", "content": "Add a step 'Louvre' of 2 hours with Ada"}],
        response_format=Plan,
        tools=[tool],
        tool_choice="required",
    )
    (call,) = answer.choices[0].message.tool_calls or []
    assert isinstance(call.function.parsed_arguments, Step)


@each_family
def test_the_format_holds_where_no_tool_is_called(client: openai.OpenAI, model: str) -> None:
    tool: Any = openai.pydantic_function_tool(Step, name="add_step", description="Adds a step")
    answer = client.chat.completions.parse(
        model=model,
        messages=[{"role": "user", "content": "Say hello to Ada"}],
        response_format=Plan,
        tools=[tool],
    )
    assert isinstance(answer.choices[0].message.parsed, Plan)


def test_an_answer_that_is_cut_raises_what_openai_s_does(client: openai.OpenAI) -> None:
    for model in (FAMILIES[0], "@cf/zai-org/glm-4.7-flash", "@cf/swiss-ai/apertus-v1.5-8b"):
        with pytest.raises(openai.LengthFinishReasonError):
            client.chat.completions.parse(
                model=model, messages=ASKED, response_format=Plan, max_completion_tokens=4
            )


def test_a_schema_that_cannot_be_used_is_refused_by_name(client: openai.OpenAI) -> None:
    form: Any = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "strin"}}}
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model=FAMILIES[0], messages=ASKED, response_format=form)
    assert caught.value.param == "response_format.json_schema.schema"


def test_what_was_done_is_told(client: openai.OpenAI) -> None:
    raw = client.chat.completions.with_raw_response
    told = {
        model: raw.create(model=model, messages=ASKED, response_format=OBJECT).headers[
            "x-penstock-translation"
        ]
        for model in ("@cf/swiss-ai/apertus-v1.5-8b", "@cf/qwen/qwq-32b")
    }
    assert "response_format=emulated" in told["@cf/swiss-ai/apertus-v1.5-8b"]
    assert "response_format=transformed" in told["@cf/qwen/qwq-32b"]


class _Faulty:
    """A simulated account of which every answer has the fault that its gateway backend is named after."""

    def __init__(self, fault: str) -> None:
        self._fault = fault.encode()
        self._account = Simulator(split_chunks=True)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            scope = {**scope, "headers": [*scope["headers"], (b"x-simulator-fault", self._fault)]}
        await self._account(scope, receive, send)


FAULTS = ["fenced-json", "quoted-json", "broken-json", "wrong-json", "unmet-json", "stubborn-json", "no-json"]
MENDED = FAULTS[:5]
# One that has response_format in each family, one with guided_json, one that is asked in words.
TARGETS = {
    "legacy": FAMILIES[1],
    "qwen3": "@cf/qwen/qwen3-30b-a3b-fp8",
    "openai": "@cf/zai-org/glm-4.7-flash",
    "guided": "@cf/mistralai/mistral-small-3.1-24b-instruct",
    "words": "@cf/swiss-ai/apertus-v1.5-8b",
}


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[openai.OpenAI]:
    """A client of a gateway whose models are called `<fault>.<family>`."""
    with ExitStack() as stack:
        settings = {
            "data_dir": tmp_path_factory.mktemp("data"),
            "backends": {
                fault: {
                    "kind": "workers_ai",
                    "account_id": SIMULATED_ACCOUNT_ID,
                    "api_token": SIMULATED_API_TOKEN,
                    "base_url": f"{stack.enter_context(_serving(_Faulty(fault)))}/client/v4",
                }
                for fault in FAULTS
            },
            "models": {
                f"{fault}.{family}": {"targets": [{"backend": fault, "model": model}]}
                for fault in FAULTS
                for family, model in TARGETS.items()
            },
        }
        url = stack.enter_context(_serving(create_app(Settings.model_validate(settings), MASTER)))
        client = openai.OpenAI(base_url=f"{url}/v1", api_key=MASTER, max_retries=0)
        yield stack.enter_context(client)


@pytest.mark.parametrize("family", TARGETS)
@pytest.mark.parametrize("fault", MENDED)
def test_a_flaw_is_mended(faulty: openai.OpenAI, fault: str, family: str) -> None:
    name = f"{fault}.{family}"
    whole = faulty.chat.completions.parse(model=name, messages=ASKED, response_format=Plan)
    assert isinstance(whole.choices[0].message.parsed, Plan)
    with faulty.chat.completions.stream(model=name, messages=ASKED, response_format=Plan) as stream:
        streamed = stream.get_final_completion()
    assert streamed.choices[0].message.parsed == whole.choices[0].message.parsed
    form = faulty.chat.completions.create(model=name, messages=ASKED, response_format=OBJECT)
    assert isinstance(json.loads(form.choices[0].message.content or ""), dict)


@pytest.mark.parametrize("family", TARGETS)
@pytest.mark.parametrize("fault", ["stubborn-json", "no-json"])
def test_what_cannot_be_mended_is_an_error(faulty: openai.OpenAI, fault: str, family: str) -> None:
    with pytest.raises(openai.InternalServerError) as caught:
        faulty.chat.completions.parse(model=f"{fault}.{family}", messages=ASKED, response_format=Plan)
    error = caught.value
    assert (error.status_code, error.type, error.code) == (502, "server_error", "invalid_structured_output")
    assert "asked again" in error.message


@pytest.mark.parametrize("family", ["openai", "words"])
def test_in_a_stream_the_error_comes_in_the_place_of_the_text(faulty: openai.OpenAI, family: str) -> None:
    with pytest.raises(openai.APIError) as caught:
        for _ in faulty.chat.completions.create(
            model=f"no-json.{family}", messages=ASKED, response_format=OBJECT, stream=True
        ):
            pass
    assert caught.value.code == "invalid_structured_output"


@pytest.mark.parametrize("family", TARGETS)
def test_without_strict_a_schema_is_a_wish(faulty: openai.OpenAI, family: str) -> None:
    form: Any = {"type": "json_schema", "json_schema": {"name": "plan", "schema": Plan.model_json_schema()}}
    answer = faulty.chat.completions.create(
        model=f"stubborn-json.{family}", messages=ASKED, response_format=form
    )
    said = json.loads(answer.choices[0].message.content or "")
    assert "city" not in said
    assert "mood" in said


def test_both_answers_are_counted(faulty: openai.OpenAI) -> None:
    once = faulty.chat.completions.parse(model="fenced-json.openai", messages=ASKED, response_format=Plan)
    twice = faulty.chat.completions.parse(model="broken-json.openai", messages=ASKED, response_format=Plan)
    assert once.usage is not None
    assert twice.usage is not None
    assert twice.usage.prompt_tokens == once.usage.prompt_tokens
    assert twice.usage.completion_tokens > 1.5 * once.usage.completion_tokens
