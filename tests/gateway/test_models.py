"""`/v1/models`: the list, and one model by its id, however the id is written in the path."""

from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import pytest

from gateway.catalogue import keep, shipped
from tests.gateway.conftest import Serve
from tests.gateway.scripted import Backend
from tests.gateway.served import MODEL, Served, backend_settings, route
from translators.backends.workers_ai.listing import Listed


@pytest.fixture
async def routed(serve: Serve, backend: Backend) -> Served:
    return await serve(
        backends={"b": backend_settings(backend.url)},
        models={"small": route("b"), "team/small v2": route("b"), MODEL: route("b")},
    )


async def test_the_list_has_the_routes_first_and_then_the_catalogue_once(routed: Served) -> None:
    answer = (await routed.client.get("/v1/models")).json()
    assert answer["object"] == "list"
    names = [each["id"] for each in answer["data"]]
    assert names[:3] == ["small", "team/small v2", MODEL]
    assert len(names) == len(set(names)) == 2 + len(shipped().models)
    for each in answer["data"]:
        assert each["object"] == "model"
        assert isinstance(each["created"], int)
    assert answer["data"][0]["owned_by"] == "penstock"
    assert answer["data"][2]["owned_by"] == "meta"


@pytest.mark.parametrize("prefix", ["/v1/models/", "/models/", "/v1/v1/models/", "/v1/models//"])
@pytest.mark.parametrize("quoted", [False, True])
@pytest.mark.parametrize(
    "name", ["small", "team/small v2", MODEL, "@cf/openai/gpt-oss-120b", "@hf/any/model-1"]
)
async def test_a_model_is_found_by_its_id(routed: Served, prefix: str, name: str, *, quoted: bool) -> None:
    path = quote(name, safe="") if quoted else name.replace(" ", "%20")
    answer = await routed.client.get(prefix + path)
    assert (answer.status_code, answer.json()["id"]) == (200, name)
    assert (await routed.client.get(f"{prefix}{path}/")).json() == answer.json()


async def test_a_slash_before_the_id_may_be_quoted_as_well(routed: Served) -> None:
    assert (await routed.client.get(f"/v1/models/%2F{quote(MODEL, safe='')}")).json()["id"] == MODEL


@pytest.mark.parametrize(
    "path", ["gpt-4", "@cf/one", "@cf/../x", "%40cf%2F..%2Fx", "a%0Ab", "%FF", "a/models/b", "@cf/a/b%3Fc"]
)
async def test_an_unknown_model_is_a_404(routed: Served, path: str) -> None:
    answer = await routed.client.get(f"/v1/models/{path}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "model_not_found")
    assert "\n" not in answer.json()["error"]["message"]


async def test_a_model_tells_what_the_catalogue_knows(routed: Served) -> None:
    name = "@cf/moonshotai/kimi-k2.6"
    model = (await routed.client.get(f"/v1/models/{name}")).json()
    facts = shipped().models[name]
    assert model["context_length"] == facts.window
    assert model["capabilities"] == sorted(facts.can)
    assert model["reasoning_efforts"] == list(facts.efforts)
    assert model["neurons_per_million_tokens"] == facts.neurons
    assert float(model["pricing"]["prompt"]) * 1e6 == pytest.approx(facts.price["input"])
    assert datetime.fromtimestamp(model["created"], UTC).date().isoformat() == facts.released


async def test_a_route_tells_the_facts_of_its_model(routed: Served) -> None:
    model = (await routed.client.get("/v1/models/small")).json()
    assert model["context_length"] == shipped().models[MODEL].window


async def test_what_has_been_fetched_is_served(serve: Serve, backend: Backend, tmp_path: Path) -> None:
    keep(tmp_path, "", {"@cf/somebody/new-1b": Listed(window=4321, retires="2027-01-31")})
    served = await serve(backends={"b": backend_settings(backend.url)})
    [new] = [
        each for each in (await served.client.get("/v1/models")).json()["data"] if "new-1b" in each["id"]
    ]
    assert (new["context_length"], new["expiration_date"]) == (4321, "2027-01-31")


async def test_a_route_may_have_any_name(serve: Serve, backend: Backend) -> None:
    names = ["@fast", "@cf", "@cf/fast", "@"]
    served = await serve(
        backends={"b": backend_settings(backend.url)}, models={name: route("b") for name in names}
    )
    listed = (await served.client.get("/v1/models")).json()["data"]
    assert [(each["id"], each["owned_by"]) for each in listed[:4]] == [(name, "penstock") for name in names]
    assert (await served.client.get("/v1/models/@fast")).json()["owned_by"] == "penstock"


async def test_a_model_that_two_backends_have_is_listed_once(serve: Serve, backend: Backend) -> None:
    own = {"kind": "openai", "server": "generic", "base_url": f"{backend.url}/v1", "probe": 0}
    served = await serve(backends={"b": backend_settings(backend.url), "own": own})
    served.gateway.routes.found("own", {MODEL: 4096, "llama": None})
    names = [each["id"] for each in (await served.client.get("/v1/models")).json()["data"]]
    assert sorted(names) == sorted({*shipped().models, "llama"})
    assert (await served.client.get(f"/v1/models/{MODEL}")).json()["context_length"] == 4096
