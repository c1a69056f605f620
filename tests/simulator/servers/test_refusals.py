"""What the products refuse, and in which form."""

from typing import Any

import openai
import pytest

from gateway.simulator import PRODUCTS, create_server
from tests.simulator.servers.asking import WEATHER, Json, body, chat, client, serving

FLAT = {"sglang", "lmdeploy", "tensorrt_llm"}


async def test_a_missing_key_is_refused_in_the_products_form() -> None:
    for product, expected in {
        "vllm": {"error": "Unauthorized"},
        "sglang": {"error": "Unauthorized"},
        "llama_cpp": {"error": {"code": 401, "message": "Invalid API Key", "type": "authentication_error"}},
        "lmdeploy": {
            "object": "error",
            "message": "Invalid API Key",
            "type": "authentication_error",
            "param": None,
            "code": 401,
        },
    }.items():
        answer = await chat(create_server(product, api_key="secret"))
        assert (answer.status_code, answer.json()) == (401, expected)


@pytest.mark.parametrize("product", PRODUCTS)
async def test_the_right_key_is_let_in_and_some_want_none(product: str) -> None:
    async with client(product, api_key="secret") as asking:
        with_key = {"authorization": "Bearer secret"}
        assert (await asking.post("/v1/chat/completions", json=body(), headers=with_key)).status_code == 200
        without = await asking.post("/v1/chat/completions", json=body())
        assert without.status_code == (200 if product in {"ollama", "tgi", "tensorrt_llm"} else 401)


async def test_llama_cpp_takes_the_key_from_either_header_and_shows_its_health_to_all() -> None:
    async with client("llama_cpp", api_key="secret") as asking:
        answer = await asking.post("/v1/chat/completions", json=body(), headers={"x-api-key": "secret"})
        assert answer.status_code == 200
        assert (await asking.get("/health")).status_code == 200
        assert (await asking.get("/metrics")).status_code == 401


async def test_vllm_guards_its_api_and_not_its_metrics() -> None:
    async with client("vllm", api_key="secret") as asking:
        assert (await asking.get("/metrics")).status_code == 200
        assert (await asking.get("/v1/models")).status_code == 401


@pytest.mark.parametrize("product", PRODUCTS)
async def test_a_bad_body_is_refused_in_the_products_form(product: str) -> None:
    answer = await chat(product, max_tokens="many")
    stated = answer.json()
    assert answer.status_code == (422 if product == "tgi" else 400)
    match PRODUCTS[product].errors:
        case "tgi":
            assert (stated["error_type"], type(stated["error"])) == ("validation", str)
        case "flat":
            assert (stated["object"], stated["code"], stated["param"]) == ("error", 400, "max_tokens")
        case "llama":
            assert set(stated["error"]) == {"code", "message", "type"}
        case "ollama":
            assert (stated["error"]["type"], stated["error"]["code"]) == ("invalid_request_error", None)
        case "nested":
            assert stated["error"] | {"message": ""} == {
                "message": "",
                "type": "BadRequestError",
                "param": "max_tokens",
                "code": 400,
            }
        case _:
            assert stated["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    "fields",
    [
        {"messages": []},
        {"messages": "hello"},
        {"messages": [{"content": "no role"}]},
        {"n": 0},
        {"temperature": -1},
        {"stop": 5},
        {"stream": "yes"},
        {"tools": [3]},
    ],
)
async def test_bodies_that_make_no_sense_are_refused(fields: Json) -> None:
    assert (await chat("vllm", **fields)).status_code == 400


@pytest.mark.parametrize(
    "sent", [b"", b"{", b"[]", b"\xff", b'{"messages":[{"role":"user","content":"hi"}]}']
)
async def test_what_is_no_request_is_refused(sent: bytes) -> None:
    async with client("vllm") as asking:
        assert (await asking.post("/v1/chat/completions", content=sent)).status_code == 400


async def test_prompts_that_make_no_sense_are_refused() -> None:
    async with client("tensorrt_llm") as asking:
        bodies: list[Json] = [{"prompt": {}}, {"prompt": "hi", "store": True}]
        for odd in bodies:
            answer = await asking.post("/v1/completions", json={"model": "simulated", **odd})
            assert answer.status_code == 400


async def test_who_knows_its_models_refuses_another() -> None:
    for product in ("vllm", "lmdeploy", "ollama", "openai", "generic"):
        assert (await chat(product, model="other")).status_code == 404
    for product in ("sglang", "llama_cpp", "tgi", "tensorrt_llm"):
        assert (await chat(product, model="other")).json()["model"] == "other"
    assert (await chat("tgi", model="tgi")).json()["model"] == "simulated"
    assert "try pulling it first" in (await chat("ollama", model="other")).json()["error"]["message"]


@pytest.mark.parametrize(
    ("choice", "says"),
    [
        (None, '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser'),
        ("auto", '"auto" tool choice requires'),
        ("required", 'tool_choice="required" requires --tool-call-parser to be set'),
        ({"type": "function", "function": {"name": "get_weather"}}, 'function "get_weather" requires'),
    ],
)
async def test_vllm_without_a_tool_parser_refuses_tools(choice: Any, says: str) -> None:
    fields = {"tools": [WEATHER]} | ({"tool_choice": choice} if choice else {})
    answer = await chat(create_server("vllm", takes_tools=False), **fields)
    assert answer.status_code == 400
    assert says in answer.json()["error"]["message"]
    assert (
        await chat(create_server("vllm", takes_tools=False), tools=[WEATHER], tool_choice="none")
    ).is_success


@pytest.mark.parametrize(
    "fields",
    [
        {"tool_choice": "auto"},
        {"tools": [WEATHER], "tool_choice": "any"},
        {"tools": [WEATHER], "tool_choice": {"type": "function", "function": {"name": "other"}}},
        {"tools": [WEATHER], "tool_choice": {"type": "allowed_tools", "allowed_tools": {"tools": []}}},
    ],
)
async def test_vllm_refuses_choices_that_it_does_not_know(fields: Json) -> None:
    assert (await chat("vllm", **fields)).status_code == 400


async def test_llama_cpp_without_jinja_refuses_tools() -> None:
    answer = await chat(create_server("llama_cpp", takes_tools=False), tools=[WEATHER])
    assert "--jinja" in answer.json()["error"]["message"]


async def test_tensorrt_llm_forbids_what_it_does_not_know_and_options_without_a_stream() -> None:
    unknown = await chat("tensorrt_llm", store=True)
    assert (unknown.status_code, unknown.json()["object"]) == (400, "error")
    assert "extra_forbidden" in unknown.json()["message"]
    assert (await chat("tensorrt_llm", stream_options={"include_usage": True})).status_code == 400
    assert (await chat("tensorrt_llm", tool_choice="required")).status_code == 400
    for product in PRODUCTS.keys() - {"tensorrt_llm"}:
        assert (await chat(product, store=True, guided_json={})).is_success


@pytest.mark.parametrize(
    ("product", "says"),
    [
        ("vllm", "This model's maximum context length is 50 tokens"),
        ("sglang", "is longer than the model's context length"),
        ("llama_cpp", "exceeds the available context size"),
        ("openai", "This model's maximum context length is 50 tokens"),
    ],
)
async def test_a_prompt_beyond_the_window_is_refused_in_the_products_words(product: str, says: str) -> None:
    answer = await chat(create_server(product, window=50), "word " * 100)
    assert answer.status_code == 400
    assert says in answer.text
    if product == "llama_cpp":
        error = answer.json()["error"]
        assert (error["type"], error["n_ctx"]) == ("exceed_context_size_error", 50)
        assert error["n_prompt_tokens"] > 50
    if product == "openai":
        assert answer.json()["error"]["code"] == "context_length_exceeded"


@pytest.mark.parametrize("product", PRODUCTS)
async def test_paths_that_are_not_there_are_refused(product: str) -> None:
    async with client(product) as asking:
        assert (await asking.get("/v1/nowhere")).status_code == 404
        assert (await asking.post("/v1/embeddings", json={})).status_code == 404


async def test_the_openai_client_makes_its_own_errors_of_the_refusals() -> None:
    async with serving(create_server("vllm", api_key="secret")) as asking:
        sdk = openai.AsyncOpenAI(base_url=f"{asking.base_url}/v1", api_key="wrong", max_retries=0)
        async with sdk:
            with pytest.raises(openai.AuthenticationError):
                await sdk.models.list()


@pytest.mark.parametrize(
    ("product", "fields", "words"),
    [
        ("tgi", {"top_p": 1}, "top_p"),
        ("tgi", {"logit_bias": {"1": 5}}, "logit_bias"),
        ("tgi", {"response_format": {"type": "json", "value": {"type": "object"}}}, "properties"),
        ("vllm", {"n": 2, "temperature": 0}, "greedy"),
    ],
)
async def test_values_that_openai_allows_are_refused_where_the_product_does(
    product: str, fields: dict[str, Any], words: str
) -> None:
    answer = await chat(product, **fields)
    assert answer.status_code == (422 if product == "tgi" else 400)
    assert words in answer.text
    assert (await chat(product, top_p=0.9, n=2, temperature=1)).status_code == 200
