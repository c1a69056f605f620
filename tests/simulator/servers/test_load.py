"""A server under load: slots, the queue, health, metrics, and what it knows of earlier prompts."""

import asyncio
from itertools import pairwise

import httpx
import pytest

from gateway.simulator import PRODUCTS, SimulatedServer, create_server
from tests.simulator.servers.asking import PATIENCE, body, chat, client, serving, streamed, until

RUNNING = {
    "vllm": ("vllm:num_requests_running", "vllm:num_requests_waiting", "vllm:kv_cache_usage_perc"),
    "sglang": ("sglang:num_running_reqs", "sglang:num_queue_reqs", "sglang:token_usage"),
    "llama_cpp": ("llamacpp:requests_processing", "llamacpp:requests_deferred", None),
    "tgi": ("tgi_batch_current_size", "tgi_queue_size", None),
    "lmdeploy": (
        "lmdeploy:num_requests_running",
        "lmdeploy:num_requests_waiting",
        "lmdeploy:gpu_cache_usage_perc",
    ),
    "tensorrt_llm": (
        "trtllm_num_requests_running",
        "trtllm_num_requests_waiting",
        "trtllm_kv_cache_utilization",
    ),
}


async def metric(server: SimulatedServer, name: str) -> float:
    async with client(server) as asking:
        text = (await asking.get("/metrics")).text
    [line] = [line for line in text.splitlines() if line.split("{")[0].split(" ")[0] == name]
    return float(line.rpartition(" ")[2])


@pytest.mark.parametrize("product", RUNNING)
async def test_requests_beyond_the_slots_wait_and_the_metrics_tell_of_both(product: str) -> None:
    server = create_server(product, slots=2, models=("simulated", "simulator/hang"))
    running, waiting, fullness = RUNNING[product]
    async with serving(server) as asking:
        hung = [
            asyncio.create_task(asking.post("/v1/chat/completions", json=body(model="simulator/hang")))
            for _ in range(2)
        ]
        await until(lambda: server.running == 2)
        late = asyncio.create_task(asking.post("/v1/chat/completions", json=body()))
        await until(lambda: server.waiting == 1)
        assert (await metric(server, running), await metric(server, waiting)) == (2, 1)
        assert fullness is None or await metric(server, fullness) == 1.0
        hung.pop().cancel()
        assert (await late).status_code == 200
        hung.pop().cancel()
        await until(lambda: server.running == 0)
    assert (await metric(server, running), await metric(server, waiting)) == (0, 0)
    assert (server.served, server.abandoned) == (3, 2)


async def test_more_slots_let_in_who_waits_and_who_leaves_the_queue_is_forgotten() -> None:
    server = create_server("vllm", slots=0)
    async with serving(server) as asking:
        gone, patient = (
            asyncio.create_task(asking.post("/v1/chat/completions", json=body())) for _ in range(2)
        )
        await until(lambda: server.waiting == 2)
        gone.cancel()
        await until(lambda: server.waiting == 1)
        server.slots = 1
        assert (await patient).status_code == 200
    assert (server.served, server.running) == (1, 0)


@pytest.mark.parametrize("product", sorted(PRODUCTS.keys() - {"sglang", "openai"}))
async def test_health_is_told_until_the_model_is_loading(product: str) -> None:
    server = create_server(product)
    async with client(server) as asking:
        for path in PRODUCTS[product].health:
            assert (await asking.get(path)).status_code == 200
        server.is_loading = True
        for path in PRODUCTS[product].health:
            assert (await asking.get(path)).status_code == 503
        assert (await asking.post("/v1/chat/completions", json=body())).status_code == 503


async def test_llama_cpp_says_what_it_waits_for() -> None:
    server = create_server("llama_cpp")
    server.is_loading = True
    async with client(server) as asking:
        told = (await asking.get("/health")).json()
        assert (await asking.get("/slots")).status_code == 503
    assert told == {"error": {"code": 503, "message": "Loading model", "type": "unavailable_error"}}


async def test_a_look_at_sglangs_health_costs_a_token_and_ready_nothing() -> None:
    server = create_server("sglang", health_seconds=0.0)
    assert PRODUCTS["sglang"].health_seconds >= 1
    async with client(server) as asking:
        assert (await asking.get("/ready")).status_code == 200
        assert server.generated_tokens == 0
        assert (await asking.get("/health")).status_code == 200
    assert server.generated_tokens == 1


async def test_the_products_tell_of_their_load_and_their_models() -> None:
    async with client("vllm", window=99) as asking:
        assert (await asking.get("/load")).json() == {"server_load": 0}
        assert (await asking.get("/v1/models")).json()["data"][0]["max_model_len"] == 99
        assert (await asking.get("/health")).content == b""
        assert (await asking.get("/version")).json() == {"version": "0.33.0"}
    async with client("sglang", window=99, models=("org/model",)) as asking:
        assert (await asking.get("/v1/loads")).json()["loads"][0]["num_waiting_reqs"] == 0
        assert (await asking.get("/v1/models/org/model")).json()["max_model_len"] == 99
        assert (await asking.get("/v1/models/other")).status_code == 404
    async with client("llama_cpp", window=99, slots=3) as asking:
        assert (await asking.get("/v1/models")).json()["data"][0]["meta"]["n_ctx"] == 99
        assert len((await asking.get("/slots")).json()) == 3
        assert (await asking.get("/props")).json()["total_slots"] == 3
    async with client("ollama", models=("org/model",)) as asking:
        assert (await asking.get("/")).text == "Ollama is running"
        assert (await asking.get("/v1/models")).json()["data"][0]["owned_by"] == "org"
        assert (await asking.get("/metrics")).status_code == 404
    async with client("tgi") as asking:
        assert (await asking.get("/info")).json()["model_id"] == "simulated"
    async with client("llama_cpp", shows_metrics=False) as asking:
        assert (await asking.get("/metrics")).status_code == 501


async def test_follow_up_turns_hit_the_prefix_of_the_server_that_had_the_first() -> None:
    here, elsewhere = create_server("vllm"), create_server("vllm")
    turns = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "count to 3"}]
    await chat(here, messages=turns)
    turns += [{"role": "assistant", "content": "1, 2, 3."}, {"role": "user", "content": "count to 5"}]
    for server in (here, elsewhere):
        await chat(server, messages=turns)
    assert (here.prefix_queries, here.prefix_hits) == (2, 1)
    assert (elsewhere.prefix_queries, elsewhere.prefix_hits) == (1, 0)
    assert await metric(here, "vllm:prefix_cache_hits_total") > 0
    assert await metric(elsewhere, "vllm:prefix_cache_hits_total") == 0


async def test_the_same_instructions_alone_are_no_hit_and_old_prefixes_are_forgotten() -> None:
    server = create_server("llama_cpp", prefixes=2)
    system = {"role": "system", "content": "Be brief."}
    for text in ("one", "two"):
        await chat(server, messages=[system, {"role": "user", "content": text}])
    assert server.prefix_hits == 0
    await chat(server, messages=[system, {"role": "user", "content": "one"}])
    assert server.prefix_hits == 0
    await chat(server, messages=[system, {"role": "user", "content": "one"}])
    assert server.prefix_hits == 1


async def test_known_prompt_tokens_cost_no_time() -> None:
    server = create_server("llama_cpp", per_prompt_token=0.001)
    now = asyncio.get_running_loop().time
    times = [now()]
    for _ in range(2):
        await chat(server, "word " * 200)
        times.append(now())
    first, second = (after - before for before, after in pairwise(times))
    assert first > 0.2
    assert second < first / 2


async def test_tokens_take_the_time_that_was_set() -> None:
    server = create_server("vllm", first_token=0.05, per_token=0.01)
    now = asyncio.get_running_loop().time
    for asked in (chat(server, "count to 5"), streamed(server, "count to 5")):
        before = now()
        await asked
        assert now() - before > 0.05 + 9 * 0.01


async def test_what_was_sent_can_be_read() -> None:
    server = create_server("vllm")
    await chat(server, seed=5)
    assert [sent["seed"] for sent in server.bodies] == [5]


@pytest.mark.parametrize("product", ["vllm", "sglang", "tgi", "lmdeploy"])
async def test_the_headers_of_a_stream_come_before_its_first_token(product: str) -> None:
    server = create_server(product, slots=0)
    async with serving(server) as asking:
        async with asking.stream("POST", "/v1/chat/completions", json=body(stream=True)) as answer:
            assert answer.status_code == 200
            assert server.waiting == 1
        await until(lambda: server.waiting == 0)
    assert server.abandoned == 1


@pytest.mark.parametrize("product", ["llama_cpp", "ollama"])
async def test_others_send_none_before_it(product: str) -> None:
    async with serving(create_server(product, first_token=60.0)) as asking:
        with pytest.raises(httpx.ReadTimeout):
            await asking.post(
                "/v1/chat/completions", json=body(stream=True), timeout=httpx.Timeout(PATIENCE, read=0.05)
            )
