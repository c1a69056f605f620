"""The API's description: complete, and true of what is read and answered."""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types import completion_create_params as completion_parameters
from openai.types.chat import completion_create_params as chat_parameters

import gateway
from gateway import cors
from gateway.api.openapi import document, errors, parameters
from gateway.api.openapi.schemas import of_reader, ref
from gateway.app import application
from tests.gateway.conftest import Serve
from tests.gateway.scripted import Backend
from tests.gateway.served import MODEL, Served, asks, backend_settings
from tests.laws import bodies
from tests.wire.cases import ROOT
from translators.backends.workers_ai import errors as workers_ai
from translators.clients import OPENAI_CHAT, OPENAI_COMPLETIONS
from translators.clients.openai_chat.parameters import PLAIN as CHAT
from translators.clients.openai_chat.parameters import Reader
from translators.clients.openai_completions import PLAIN as COMPLETION
from translators.errors import ApiError

DOCUMENT = document()
SCHEMAS = DOCUMENT["components"]["schemas"]
READERS = {**{f"chat {name}": read for name, read in CHAT.items()}, **COMPLETION}
# What depends on more than one field, which no schema says.
BETWEEN_FIELDS = {"invalid_value", "unsupported_parameter"}


@cache
def _validator(name: str) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(
        {"$ref": f"#/components/schemas/{name}", "components": DOCUMENT["components"]}
    )


def _fits(name: str, value: Any) -> None:
    _validator(name).validate(value)


def test_every_schema_is_used_and_every_use_has_its_schema() -> None:
    used = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(DOCUMENT)))
    named = set(re.findall(r"`#/components/schemas/(\w+)`", json.dumps(DOCUMENT)))
    assert used | named == SCHEMAS.keys()


async def test_every_endpoint_is_described(served: Served) -> None:
    routes = application(served.gateway)._litestar.routes
    paths = {route.path for route in routes if not route.path.startswith("/admin/")}  # has its own document
    doubled = {path for path in paths if path.startswith("/v1/v1")}
    bare = {path.removeprefix("/v1/v1") for path in doubled}
    expected = {path for path in paths - doubled if path not in bare}
    assert {path.removesuffix("/{model}") for path in DOCUMENT["paths"]} == expected


async def test_it_is_served_without_a_key(served: Served) -> None:
    answer = await served.client.get("/openapi.json", headers={"authorization": ""})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json() == DOCUMENT


@pytest.mark.parametrize(
    ("schema", "sdk"),
    [
        ("ChatRequest", chat_parameters.CompletionCreateParamsStreaming),
        ("CompletionRequest", completion_parameters.CompletionCreateParamsStreaming),
    ],
)
def test_every_parameter_of_openais_client_is_described(schema: str, sdk: type) -> None:
    assert set(sdk.__annotations__) <= SCHEMAS[schema]["properties"].keys()


def test_every_parameter_has_a_sentence_and_every_sentence_a_parameter() -> None:
    described = {**SCHEMAS["ChatRequest"]["properties"], **SCHEMAS["CompletionRequest"]["properties"]}
    assert described.keys() == parameters.SENTENCES.keys()
    assert parameters.extra_fields() >= {"top_k", "repetition_penalty", "image", "lora", "raw"}


@pytest.mark.parametrize("name", READERS)
@given(value=bodies.JSON_VALUES | st.sampled_from(["low", 1, 0, 20, 21, 3.0, {"a": 1}, {"a": "b"}, ["a"]]))
def test_a_parameter_takes_what_its_schema_takes(name: str, value: Any) -> None:
    if value is not None:  # which says nothing, and is read by nobody
        read = READERS[name]
        assert _reads(read, value) == jsonschema_rs.Draft202012Validator(of_reader(read)).is_valid(value)


def _reads(read: Reader, value: Any) -> bool:
    try:
        read(value, "it")
    except ApiError:
        return False
    return True


@given(body=bodies.any_bodies())
def test_what_openai_allows_is_described(body: dict[str, Any]) -> None:
    _fits("ChatRequest" if "messages" in body else "CompletionRequest", json.loads(json.dumps(body)))


@given(body=bodies.spoilt(bodies.any_bodies()))
def test_what_is_described_is_read(body: dict[str, Any]) -> None:
    for name, dialect in (("ChatRequest", OPENAI_CHAT), ("CompletionRequest", OPENAI_COMPLETIONS)):
        if _validator(name).is_valid(body):
            try:
                dialect.read(json.dumps(body).encode())
            except ApiError as error:
                assert error.code in BETWEEN_FIELDS, error  # noqa: PT017 - most bodies are read


@pytest.mark.parametrize("path", sorted(ROOT.glob("*/*/out.json")), ids=lambda path: path.parent.name)
def test_recorded_answers_are_as_described(path: Path) -> None:
    answer = json.loads(path.read_text())
    names = {"chat.completion": "ChatCompletion", "text_completion": "TextCompletion"}
    _fits(names.get(answer.get("object"), "Error"), answer)


@pytest.mark.parametrize("path", sorted(ROOT.glob("*/*/out.sse")), ids=lambda path: path.parent.name)
def test_recorded_streams_are_as_described(path: Path) -> None:
    names = {"chat.completion.chunk": "ChatCompletionChunk", "text_completion": "TextCompletion"}
    events = [line[6:] for line in path.read_text().split("\n") if line.startswith("data: {")]
    assert events
    for event in map(json.loads, events):
        _fits(names.get(event.get("object"), "Error"), event)


async def test_other_answers_are_as_described(served: Served) -> None:
    client = served.client
    _fits("ModelList", (await client.get("/v1/models")).json())
    _fits("Model", (await client.get(f"/v1/models/{MODEL}")).json())
    _fits("Translation", (await client.post("/v1/translate", json=asks(store=True))).json())
    for path in ("/healthz", "/readyz"):
        _fits("Status", (await client.get(path)).json())
    _fits("Error", (await client.get("/nothing")).json())


def test_every_status_is_described() -> None:
    meanings = {
        *workers_ai._CODES.values(), *workers_ai._STATUSES.values(), *workers_ai._NAMES.values(),
        workers_ai._NO_JSON,
    }  # fmt: skip
    text = (Path(gateway.__file__).parent / "errors.py").read_text()
    ours = re.findall(r"(?:ApiError\(\s*|status: int = )(\d{3})", text)
    statuses = {meaning.status for meaning in meanings} | {int(each) for each in ours}
    assert statuses == errors.WORDS.keys() == errors.OF_ANSWERS


async def test_headers_of_answers_are_as_described(backend: Backend, served: Served) -> None:
    replies = [
        lambda call: call.result("Hi"),
        lambda call: call.refuse(429, 3021),
        lambda call: call.refuse(429, 4006),
        lambda call: call.refuse(401, 10000),
        lambda call: call.refuse(503, 3040),
    ]
    operation = DOCUMENT["paths"]["/v1/chat/completions"]["post"]
    for reply in replies:
        backend.reply = reply
        answer = await served.chat(store=True)
        said = operation["responses"][str(answer.status_code)]
        if "$ref" in said:
            said = DOCUMENT["components"]["responses"][said["$ref"].rpartition("/")[2]]
        assert _own(answer.headers) <= said["headers"].keys() | {"x-penstock-translation"}


def _own(headers: Any) -> set[str]:
    """The names of the headers that are not those of every web server."""
    usual = {"cache-control", "content-length", "content-type", "date", "vary", "x-content-type-options"}
    return set(headers) - usual - {"transfer-encoding"}


def test_what_pages_may_read_of_an_answer_is_described() -> None:
    shown = {name.decode() for name in cors._SHOWN.split(b", ")}
    assert shown <= DOCUMENT["components"]["headers"].keys()


async def test_too_many_wrong_keys_end_as_described_wherever_a_key_is_asked_for(served: Served) -> None:
    paths = {path: each for path, each in DOCUMENT["paths"].items() if path.startswith("/v1/")}
    wrong = {"authorization": "Bearer sk-wrong"}
    for _ in range(30):
        await served.client.get("/v1/models", headers=wrong)
    for path, each in paths.items():
        for method in each.keys() & {"get", "post"}:
            answer = await served.client.request(method, path.replace("{model}", MODEL), headers=wrong)
            assert answer.status_code == 429
            assert "429" in each[method]["responses"], path


async def test_readiness_is_as_described(serve_stored: Serve, backend: Backend) -> None:
    served = await serve_stored(backends={"b": backend_settings(backend.url)})
    ready = await served.client.get("/readyz")
    _fits("Status", ready.json())
    assert ready.json()["store"] == "up"
    served.gateway.keys.flaw = "its settings differ"
    ready = await served.client.get("/readyz")
    assert ready.status_code == 503
    described = DOCUMENT["paths"]["/readyz"]["get"]["responses"]["503"]["content"]["application/json"]
    assert ref("NotReady") in described["schema"]["anyOf"]
    _fits("NotReady", ready.json())
