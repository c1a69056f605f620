"""The description of this API in OpenAPI 3.1, and the endpoint that serves it.

It is the same for all who run this version and names no key, backend or route, so it is served without a
key: generators of clients and pages that show APIs fetch it without one.
"""

from functools import cache
from importlib.metadata import PackageNotFoundError, version

import msgspec

from gateway.api.openapi import answers, errors, messages, parameters
from gateway.api.openapi.errors import ON_THE_WAY, Object, errors_of, headers_of
from gateway.api.openapi.schemas import FILLED, STRING, Schema, either, ref, said
from gateway.api.own_key import OwnKeyAnswer
from gateway.api.wire import JSON, Client, Request
from gateway.pipeline import Gateway

_TRANSLATED = "x-penstock-translation"


async def openapi(_gateway: Gateway, _request: Request, client: Client) -> None:
    """`GET /openapi.json`."""
    await client.send_whole(200, JSON, _encoded())


@cache
def _encoded() -> bytes:
    return msgspec.json.encode(document())


def document() -> Object:
    """The whole document."""
    schemas = {
        "ChatRequest": parameters.chat_request(),
        "CompletionRequest": parameters.completion_request(),
        **messages.SCHEMAS,
        **answers.SCHEMAS,
        **_structures(OwnKeyAnswer),
    }
    keys = {
        "bearer": {"type": "http", "scheme": "bearer", "description": "A key of this gateway."},
        **{name: {"type": "apiKey", "in": "header", "name": name} for name in ("x-api-key", "api-key")},
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Penstock",
            "version": _version(),
            "summary": "OpenAI's API in front of Cloudflare Workers AI.",
            "description": "Paths under /v1 are answered as well without it and with it doubled. "
            "HEAD is answered where GET is.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "security": [{name: []} for name in keys],
        "paths": _paths(),
        "components": {"schemas": schemas, "securitySchemes": keys, **errors.components()},
    }


def _version() -> str:
    try:
        return version("penstock")
    except PackageNotFoundError:  # run from a checkout that is not installed
        return "0"


def _paths() -> Object:
    return {
        "/v1/chat/completions": {
            "post": _conversation(
                "Answer a chat", "chat", "ChatRequest", "ChatCompletion", "ChatCompletionChunk"
            )
        },
        "/v1/completions": {
            "post": _conversation(
                "Complete a text", "complete", "CompletionRequest", "TextCompletion", "TextCompletion"
            )
        },
        "/v1/translate": {"post": _translate()},
        "/v1/models": {"get": _read("List the models", "listModels", ref("ModelList"))},
        "/v1/models/{model}": {
            "get": _read("Describe a model", "getModel", ref("Model")),
            "parameters": [
                {
                    "name": "model",
                    "in": "path",
                    "required": True,
                    "description": "The model's id; its slashes may be percent-encoded or stand as they are.",
                    "schema": FILLED,
                }
            ],
        },
        "/v1/key": {"get": _read("Show the key that is sent, and its limits", "ownKey", ref("OwnKeyAnswer"))},
        "/healthz": {"get": _open("Tell whether the process answers", "health", _json(ref("Status")))},
        "/readyz": {"get": _ready()},
        "/metrics": {
            "get": _open("Give the metrics for Prometheus", "metrics", {"text/plain": {"schema": STRING}})
        },
        "/openapi.json": {"get": _open("Give this document", "openapi", _json({"type": "object"}))},
    }


def _structures(*types: type) -> dict[str, Schema]:
    """Schemas of answers that are structures, and of all that those are made of, each under its name."""
    _references, schemas = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    return schemas


def _conversation(summary: str, name: str, request: str, answer: str, chunk: str) -> Object:
    # No type: 3.1 has none for a sequence of events, and tools that know them look at each by itself.
    events = said(
        {},
        "With `stream: true`: server-sent events, each of one `data:` line that holds a "
        f"`#/components/schemas/{chunk}`; then `data: [DONE]`, or an `Error` where the answer broke. "
        "Lines that begin with a colon only keep the connection alive.",
    )
    content = {"application/json": {"schema": ref(answer)}, "text/event-stream": {"schema": events}}
    operation = _operation(summary, name, content, errors.OF_ANSWERS)
    operation["responses"]["200"]["headers"] = headers_of(_TRANSLATED, *ON_THE_WAY)
    return operation | _body(ref(request))


def _translate() -> Object:
    summary = "Explain what a request would become, and send nothing"
    operation = _operation(summary, "translate", _json(ref("Translation")), errors.OF_TRANSLATION)
    return operation | _body(either(ref("ChatRequest"), ref("CompletionRequest")))


def _read(summary: str, name: str, schema: Schema) -> Object:
    return _operation(summary, name, _json(schema), errors.OF_READS)


def _open(summary: str, name: str, content: Object) -> Object:
    """An operation that asks for no key."""
    return {**_operation(summary, name, content, errors.OF_OPERATIONS), "security": []}


def _ready() -> Object:
    """It says itself why it is not ready; the gateway may also fail to say anything."""
    operation = _open("Tell whether the process takes requests", "ready", _json(ref("Status")))
    operation["responses"]["503"] = {
        "description": "What is wrong with the gateway's store, or an error.",
        "headers": headers_of(),
        "content": _json(either(ref("NotReady"), ref("Error"))),
    }
    return operation


def _operation(summary: str, name: str, content: Object, statuses: frozenset[int]) -> Object:
    answer = {"description": summary, "headers": headers_of(), "content": content}
    return {
        "operationId": name,
        "summary": summary,
        "responses": {"200": answer, **errors_of(statuses)},
    }


def _body(schema: Schema) -> Object:
    return {"requestBody": {"required": True, "content": _json(schema)}}


def _json(schema: Schema) -> Object:
    return {"application/json": {"schema": schema}}
