"""Bad input ends in a 4xx that names the parameter: never a 5xx, a hang, a dropped connection.

Nothing of it reaches a backend. What is no JSON is in test_adapter, what is no HTTP in tests/faults.
"""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import jsonschema_rs
import pytest

from gateway.api.openapi import document
from tests.gateway.scripted import Backend
from tests.gateway.served import ACCOUNT, MASTER, MODEL, TOKEN, Served, asks
from translators.clients.openai_chat import parameters as chat
from translators.clients.openai_completions import PLAIN, STRUCTURAL

CHAT = "/v1/chat/completions"
COMPLETIONS = "/v1/completions"
COMPONENTS = document()["components"]
LONGEST_MESSAGE = 1000

# One of each type, empty and filled, and what breaks those who count, parse or recurse.
WRONG: dict[str, Any] = {
    "true": True, "zero": 0, "negative": -1, "fraction": 0.5, "huge": 10**400, "large": 1e308, "empty": "",
    "text": "canary", "array": [], "nested array": [[[]]], "object": {}, "nested object": {"a": {"b": {}}},
    "array of null": [None], "array of numbers": [1, 2], "array of objects": [{}], "NUL": "\x00",
}  # fmt: skip


def _takes(request: str, name: str, value: Any) -> bool:
    schema = COMPONENTS["schemas"][request]["properties"][name]
    return jsonschema_rs.Draft202012Validator({**schema, "components": COMPONENTS}).is_valid(value)


def _wrong_values() -> Iterator[Any]:
    tables = (
        (CHAT, "ChatRequest", {*chat.PLAIN, *chat.STRUCTURAL}),
        (COMPLETIONS, "CompletionRequest", {*PLAIN, *STRUCTURAL}),
    )
    for path, request, names in tables:
        for name in sorted(names):
            wrong = {kind: value for kind, value in WRONG.items() if not _takes(request, name, value)}
            yield pytest.param(path, name, wrong, id=f"{request}-{name}")


def _body(path: str, **fields: Any) -> dict[str, Any]:
    return asks(**fields) if path == CHAT else {"model": MODEL, "prompt": "Hi", **fields}


async def _refused(served: Served, path: str, body: Any, *statuses: int) -> Any:
    """The error of a body, which must be one that a client can work with."""
    answer = await served.client.post(path, json=body)
    assert answer.status_code in (statuses or (400,)), (answer.status_code, answer.text[:200])
    assert answer.headers["content-type"] == "application/json"
    error = answer.json()["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    assert error["type"] == "invalid_request_error"
    assert 0 < len(error["message"]) <= LONGEST_MESSAGE
    for secret in ("Traceback", 'File "', MASTER, TOKEN, ACCOUNT):
        assert secret not in f"{answer.headers}{answer.text}"
    return error


@pytest.mark.parametrize(("path", "name", "wrong"), list(_wrong_values()))
async def test_a_value_of_the_wrong_kind_is_refused_by_name(
    served: Served, backend: Backend, path: str, name: str, wrong: dict[str, Any]
) -> None:
    assert wrong
    for value in wrong.values():
        more = {"stream": True} if name == "stream_options" else {}
        error = await _refused(served, path, _body(path, **{**more, name: value}))
        assert (error["param"] or "").startswith(name), (value, error)
    assert not backend.calls


DEEP: Any = {}
for _ in range(400):
    DEEP = {"a": DEEP}
LOOP = {"$defs": {"a": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"}
WIDE = {"type": "object", "properties": {f"p{n}": {"type": "string"} for n in range(12_000)}}
# Each names the one before it twice: 10 lines are 2,500 nodes without references.
DOUBLING = {
    "type": "object",
    "properties": {"x": {"$ref": "#/$defs/d9"}},
    "$defs": {
        "d0": {"type": "integer"},
        **{
            f"d{k}": {
                "type": "object",
                "properties": {name: {"$ref": f"#/$defs/d{k - 1}"} for name in ("a", "b")},
            }
            for k in range(1, 10)
        },
    },
}
PAGES = {
    "type": "object",
    "properties": {f"p{n}": {"$ref": "#/$defs/page"} for n in range(100)},
    "$defs": {"page": {"description": "x" * 100_000}},
}


def _message(**fields: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": "Hi", **fields}]}


def _part(**fields: Any) -> dict[str, Any]:
    return _message(content=[fields])


def _tool(parameters: Any, name: Any = "f") -> dict[str, Any]:
    return {"tools": [{"type": "function", "function": {"name": name, "parameters": parameters}}]}


def _tools(schemas: list[Any]) -> dict[str, Any]:
    functions = [{"name": f"f{n}", "parameters": schema} for n, schema in enumerate(schemas)]
    return {"tools": [{"type": "function", "function": each} for each in functions]}


def _format(schema: Any) -> dict[str, Any]:
    return {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}}


INSIDE = {
    "a message that is null": ({"messages": [None]}, "messages[0]"),
    "a message that is text": ({"messages": ["Hi"]}, "messages[0]"),
    "a message without a role": ({"messages": [{"content": "Hi"}]}, "messages[0].role"),
    "an unknown role": (_message(role="canary"), "messages[0].role"),
    "a role that is a list": (_message(role=["user"]), "messages[0].role"),
    "a role that is an object": (_message(role={}), "messages[0].role"),
    "content that is a number": (_message(content=5), "messages[0].content"),
    "content that is an object": (_message(content={"text": "Hi"}), "messages[0].content"),
    "content that is null": (_message(content=None), "messages[0].content"),
    "a name that is a number": (_message(name=5), "messages[0].name"),
    "a part that is null": (_message(content=[None]), "messages[0].content[0]"),
    "a part of an unknown type": (_part(type="canary"), "messages[0].content[0].type"),
    "a part whose type is a list": (_part(type=[]), "messages[0].content[0].type"),
    "a part without its text": (_part(type="text"), "messages[0].content[0].text"),
    "a picture that is a number": (_part(type="image_url", image_url=5), "messages[0].content[0].image_url"),
    "a picture at a file": (
        _part(type="image_url", image_url={"url": "file:///etc/passwd"}),
        "messages[0].content[0]",
    ),
    "a picture at an address of the cloud's own": (
        _part(type="image_url", image_url={"url": "http://169.254.169.254/latest/meta-data"}),
        "messages[0].content[0]",
    ),
    "a picture that is no base64": (
        _part(type="image_url", image_url={"url": "data:image/png;base64,*"}),
        "messages[0].content[0]",
    ),
    "a tool's answer without an id": (_message(role="tool"), "messages[0].tool_call_id"),
    "calls that are an object": (_message(role="assistant", tool_calls={}), "messages[0].tool_calls"),
    "a call that is null": (_message(role="assistant", tool_calls=[None]), "messages[0].tool_calls[0]"),
    "arguments that are an object": (
        _message(
            role="assistant",
            tool_calls=[{"id": "a", "type": "function", "function": {"name": "f", "arguments": {}}}],
        ),
        "messages[0].tool_calls[0].function.arguments",
    ),
    "a tool that is null": ({"tools": [None]}, "tools[0]"),
    "a tool without a name": (_tool({}, None), "tools[0].function.name"),
    "a tool whose name is empty": (_tool({}, ""), "tools[0].function.name"),
    "a tool whose schema is text": (_tool("canary"), "tools[0].function.parameters"),
    "more tools than there may be": (_tools([{}] * 129), "tools"),
    "ten thousand tools": (_tools([{}] * 10_000), "tools"),
    "ten thousand of the older functions": (
        {"functions": [{"name": f"f{n}"} for n in range(10_000)]},
        "functions",
    ),
    "tools whose references multiply": (_tools([DOUBLING] * 128), "tools[6].function.parameters"),
    "references that multiply text": (_tools([PAGES]), "tools[0].function.parameters"),
    "tools and a format too large together": (
        {**_tools([DOUBLING] * 6), **_format(DOUBLING)},
        "tools[5].function.parameters",
    ),
    "a choice without tools": ({"tool_choice": "required"}, "tool_choice"),
    "a choice of another tool": (
        {**_tool({}), "tool_choice": {"type": "function", "function": {"name": "g"}}},
        "tool_choice",
    ),
    "a format without a schema's name": (
        {"response_format": {"type": "json_schema", "json_schema": {}}},
        "response_format.json_schema.name",
    ),
    "a schema that is text": (_format("canary"), "response_format.json_schema.schema"),
    "a schema at an address": (_format({"$ref": "http://127.0.0.1/canary"}), "response_format"),
    "a schema in a file": (_format({"$ref": "file:///etc/passwd"}), "response_format"),
    "a schema too deep": (_format(DEEP), "response_format"),
    "a schema too wide": (_format(WIDE), "response_format"),
    "metadata too deep": ({"metadata": {"a": DEEP}}, "metadata.a"),
    "more choices than there may be": ({"n": 10**9}, "n"),
    "choices too large together": (
        {"messages": [{"role": "user", "content": "x" * 60_000}] * 10, "n": 128},
        "n",
    ),
    "options of a stream that is none": ({"stream_options": {}}, "stream_options"),
    "a stop that is empty": ({"stop": ["a", ""]}, "stop[1]"),
    "more stops than there may be": ({"stop": ["a", "b", "c", "d", "e"]}, "stop"),
    "ten thousand stops": ({"stop": [f"stop{n}" for n in range(10_000)]}, "stop"),
    "a stop of many pages": ({"stop": ["a", "b" * 64_000]}, "stop[1]"),
}


@pytest.mark.parametrize(("fields", "param"), INSIDE.values(), ids=INSIDE)
@pytest.mark.parametrize("stream", [False, True])
async def test_what_is_wrong_inside_is_refused_by_its_place(
    served: Served, backend: Backend, fields: dict[str, Any], param: str, *, stream: bool
) -> None:
    more = {"stream": stream} if "stream_options" not in fields else {}
    error = await _refused(served, CHAT, asks(**fields, **more))
    assert (error["param"] or "").startswith(param), error
    assert not backend.calls


@pytest.mark.parametrize("stop", [["a"] * 5, ["b" * 64_000], "b" * 64_000], ids=["many", "long", "alone"])
async def test_completions_bound_their_stops_as_well(
    served: Served, backend: Backend, stop: str | list[str]
) -> None:
    error = await _refused(served, COMPLETIONS, _body(COMPLETIONS, stop=stop))
    assert error["param"].startswith("stop")
    assert not backend.calls


STRANGE = {
    "ten thousand messages": {"messages": [{"role": "user", "content": "Hi"}] * 10_000},
    "ten thousand unknown fields": {f"field{n}": n for n in range(10_000)},
    "a field whose name is a megabyte": {"x" * 2**20: 1},
    "a field nested deeply": {"canary": DEEP},
    "a tool's schema that refers to itself": _tool(LOOP),
    "a tool's schema too deep": _tool(DEEP),
    "a tool's schema too wide": _tool(WIDE),
    "a format's schema that refers to itself": _format(LOOP),
    "an endless seed": {"seed": 10**400},
    "an endless temperature": {"temperature": 10**400},
    "an endless limit": {"max_tokens": 10**400},
    "NUL and ends of lines in text": _message(content="\x00\u2028\x85\r\n\x1b[2J"),
    "markup of a template": _message(content="{{7*7}} ${x} %n <|im_start|>system"),
    "what looks like an event": _message(content="data: [DONE]\n\nevent: error\ndata: {}\n\n"),
}


@pytest.mark.parametrize("fields", STRANGE.values(), ids=STRANGE)
@pytest.mark.parametrize("stream", [False, True])
async def test_what_is_strange_is_answered_or_refused(
    served: Served, backend: Backend, fields: dict[str, Any], *, stream: bool
) -> None:
    backend.reply = lambda call: call.stream("{}") if call.body.get("stream") else call.result("{}")
    body = asks(**fields, stream=stream)
    answer = await served.client.post(CHAT, json=body)
    if answer.status_code != 200:
        await _refused(served, CHAT, body)
        assert not backend.calls
    else:
        assert "{}" in answer.text
        assert [call.path for call in backend.calls] == [f"/accounts/{ACCOUNT}/ai/run/{MODEL}"]


NAMES = (
    "..", "../x", "@cf/..", "@cf/../..", "@cf/../../../../user/tokens", "@cf/a/..", "@cf/a/.", "@cf/./b",
    "@cf/a/b/../../..", "@cf/a/b/c", "@cf//b", "@cf/a/", "@cf/a", "@cf", "@CF/a/b", " @cf/a/b", "@cf/a/b ",
    "@cf/a/%2e%2e", "@cf/a/%2e%2e%2fx", "@cf/a%2fb/c", "@cf/a/b?x=y", "@cf/a/b#c", "@cf/a/b;c", "@cf\\a\\b",
    "@cf/a/b\r\nx-forged: 1", "@cf/a/b\n", "@cf/a/b\x00", "@cf/a/\x1b[2J", "\uff20cf/a/b", "@cf/\uff41/b",
    "@cf/a/\u2024\u2024", "@cf/a/b\u202e", "http://canary.example/@cf/a/b", "//canary.example/x",
    "file:///etc/passwd",
    "@cf/a/b@canary.example", "{{7*7}}", "${jndi:ldap://canary.example}", "%n%s", "'; DROP TABLE keys; --",
    "x" * 2**20,
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES, ids=lambda name: repr(name[:40]))
async def test_a_name_that_is_no_models_goes_nowhere(served: Served, backend: Backend, name: str) -> None:
    for path in (CHAT, COMPLETIONS, "/v1/translate"):
        error = await _refused(served, path, _body(path if path == COMPLETIONS else CHAT, model=name), 404)
        assert (error["code"], error["param"]) == ("model_not_found", "model")
    if len(name) < 1000:
        for encoded in {quote(name, safe=""), quote(name, safe="/@")}:
            answer = await served.client.get(f"/v1/models/{encoded}")
            assert (
                answer.status_code == 404 or answer.json()["object"] == "list"
            )  # for a path that is /v1/models
    assert not backend.calls


ELSEWHERE = (
    "api_base", "api_key", "api_version", "authorization", "base_url", "custom_llm_provider", "extra_body",
    "extra_headers", "extra_query", "headers", "host", "organization", "proxy", "timeout", "url",
    "user_config",
)  # fmt: skip


async def test_no_field_chooses_where_a_request_goes_or_with_what_credential(
    served: Served, backend: Backend
) -> None:
    backend.reply = lambda call: call.result("Hi")
    there = "http://elsewhere.example/v1"
    for value in (there, {"authorization": "Bearer elsewhere", "host": "elsewhere"}, {"url": there}):
        answer = await served.chat(**dict.fromkeys(ELSEWHERE, value))
        assert answer.status_code == 200
    for call in backend.calls:
        assert call.path == f"/accounts/{ACCOUNT}/ai/run/{MODEL}"
        assert call.headers["authorization"] == f"Bearer {TOKEN}"
        assert call.headers["host"] == backend.url.removeprefix("http://")
        assert "elsewhere" not in f"{call.headers}{json.dumps(call.body)}"


@pytest.mark.parametrize(
    "key",
    [
        "",
        " ",
        "x" * 8000,
        "' OR 1=1 --",
        "$(id)",
        "../../etc/passwd",
        MASTER[:-1],
        f"{MASTER}x",
        MASTER.upper(),
    ],
    ids=lambda key: repr(key[:20]),
)
@pytest.mark.parametrize("header", ["authorization", "x-api-key", "api-key"])
async def test_a_key_of_any_kind_is_refused_in_the_same_words(
    served: Served, backend: Backend, header: str, key: str
) -> None:
    value = f"Bearer {key}" if header == "authorization" else key
    headers = {"authorization": "", header: value.strip()}
    answer = await served.client.post(CHAT, json=asks(), headers=headers)
    assert answer.status_code == 401
    error = answer.json()["error"]
    assert (error["code"], error["param"]) == ("invalid_api_key", None)
    assert not key.strip() or key not in answer.text
    assert not backend.calls
