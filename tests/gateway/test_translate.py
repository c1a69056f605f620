"""`POST /v1/translate`: what would be sent and why, and nothing is."""

from tests.gateway.conftest import Serve
from tests.gateway.scripted import Backend
from tests.gateway.served import MODEL, Served, asks, backend_settings, route


async def _explained(served: Served, **fields: object) -> dict[str, object]:
    answer = await served.client.post("/v1/translate", json=asks(**fields))
    assert answer.status_code == 200
    explained: dict[str, object] = answer.json()
    return explained


async def test_the_body_and_the_report_are_shown_and_nothing_is_sent(
    served: Served, backend: Backend
) -> None:
    explained = await _explained(served, max_completion_tokens=5, user="me", n=2, seed=1)
    assert explained["model"] == MODEL
    assert explained["target"] == {"backend": "cloudflare", "model": MODEL}
    messages = [{"role": "user", "content": "Hello"}]
    assert explained["calls"] == [
        {
            "method": "POST",
            "path": f"ai/run/{MODEL}",
            "body": {"messages": messages, "seed": seed, "max_tokens": 5},
        }
        for seed in (1, 2)
    ]
    report = {each["parameter"]: each["fate"] for each in explained["report"]}  # type: ignore[attr-defined]
    assert report["user"] == "dropped"
    assert report["n"] == "emulated"
    assert report["max_completion_tokens"] in {"kept", "renamed"}
    assert "user=dropped" in str(explained["header"])
    assert not backend.calls


async def test_the_header_is_that_of_the_answer(served: Served, backend: Backend) -> None:
    backend.reply = lambda call: call.result("Hi")
    fields = {"user": "me", "temperature": 9, "logprobs": True}
    answer = await served.chat(**fields)
    assert answer.headers["x-penstock-translation"] == (await _explained(served, **fields))["header"]


async def test_a_completions_body_is_known_by_its_prompt(served: Served) -> None:
    answer = await served.client.post("/v1/translate", json={"model": MODEL, "prompt": "Hi", "raw": True})
    assert answer.json()["calls"][0]["body"] == {"prompt": "Hi", "raw": True, "max_tokens": 16}


async def test_what_would_be_refused_is_refused(serve: Serve, backend: Backend) -> None:
    served = await serve(
        backends={"b": backend_settings(backend.url)},
        models={"exact": route("b", translation="strict")},
    )
    strict = await served.client.post("/v1/translate", json=asks(model="exact", logit_bias={"1": 1}))
    assert (strict.status_code, strict.json()["error"]["param"]) == (400, "logit_bias")
    unknown = await served.client.post("/v1/translate", json=asks(model="gpt-4"))
    assert unknown.status_code == 404
