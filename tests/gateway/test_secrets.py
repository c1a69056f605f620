"""Canaries: neither the operator's key nor a backend's credential comes out anywhere."""

import logging
from pathlib import Path
from typing import Any, cast

import pytest

from gateway.app import build, routes_of
from gateway.dispatch.round import _Attempt
from gateway.settings import Settings
from gateway.upstream import Sending
from tests.faults import test_upstream_answers, test_upstream_events, test_upstream_quirks
from tests.faults.chaos_server import Act, chaos_server
from tests.gateway.scripted import Backend, Call
from tests.gateway.served import ACCOUNT, MASTER, TOKEN, Served, asks, backend_settings, serving_gateway

# Every fault that tests/faults injects, but floods of many megabytes, which take long and say nothing new.
FAULTS = [
    fault
    for fault in (
        *test_upstream_answers.FAULTS,
        *test_upstream_events.FAULTS,
        *(test_upstream_events.Fault(*each) for each in test_upstream_quirks.BROKEN.items()),
    )
    if all(isinstance(step, Act) or (isinstance(step, bytes) and len(step) < 2**16) for step in fault.script)
]


def _echoes(call: Call) -> None:
    """A backend that tells all it knows, in its error."""
    call.refuse(400, 5006, f"AiError: {call.headers['authorization']} {call.path} {ACCOUNT}")


async def test_no_secret_is_in_any_answer_log_or_metric(
    served: Served,
    backend: Backend,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caplog.set_level(logging.DEBUG)
    said: list[str] = []
    for reply in (
        lambda call: call.result("Hi"),
        lambda call: call.stream("Hi"),
        lambda call: call.refuse(401, 10000, f"Authentication error {TOKEN}"),
        _echoes,
        Call.reset,
        lambda call: call.whole(b"<html>"),
        lambda call: call.json({"result": None}, 200, x_token=TOKEN, set_cookie=f"a={TOKEN}"),
    ):
        backend.reply = reply
        for stream in (False, True):
            answer = await served.chat(stream=stream)
            said.append(f"{answer.headers} {answer.text}")
    monkeypatch.setattr("gateway.dispatch.translate_for", _fails)
    said.append((await served.chat()).text)
    monkeypatch.undo()
    for path in ("/metrics", "/v1/models", "/nothing", "/healthz"):
        answer = await served.client.get(path)
        said.append(f"{answer.headers} {answer.text}")
    said.append((await served.client.post("/v1/translate", json=asks())).text)
    out, err = capsys.readouterr()
    told = {"answers": "".join(said), "stdout": out, "stderr": err, "logs": _ours(caplog)}
    caplog.clear()
    for place, text in told.items():
        for secret in (MASTER, TOKEN, ACCOUNT):
            assert secret not in text, place
    assert told["stdout"].count("\n") == len(said)


def _fails(*_arguments: object) -> None:
    raise RuntimeError("a mistake of ours")


def _ours(caplog: pytest.LogCaptureFixture) -> str:
    """All that the process logged but for the test's own client."""
    records = [each for each in caplog.records if not each.name.startswith(("httpx", "httpcore"))]
    assert records
    return "\n".join(logging.Formatter().format(each) for each in records)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
async def test_no_fault_of_a_backend_lets_a_secret_out(
    fault: Any,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger("tests").debug("all is logged")
    async with chaos_server(fault.script, greeting=getattr(fault, "greeting", ())) as chaos:
        settings = {
            "data_dir": tmp_path,
            "backends": {"chaos": backend_settings(chaos.url)},
            "deadlines": getattr(fault, "deadlines", None) or {},
        }
        async with serving_gateway(settings) as served:
            answers = [await served.chat(stream=stream) for stream in (False, True)]
            metrics = (await served.client.get("/metrics")).text
    out, err = capsys.readouterr()
    told = {"stdout": out, "stderr": err, "logs": _ours(caplog), "metrics": metrics}
    told |= {"answers": "".join(f"{answer.headers} {answer.text}" for answer in answers)}
    for place, text in told.items():
        for secret in (MASTER, TOKEN, ACCOUNT, "canary"):
            assert secret not in text.lower(), place


def test_no_secret_is_in_a_repr(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANARY", TOKEN)
    (tmp_path / "token").write_text(TOKEN)
    forms = [TOKEN, {"env": "CANARY"}, {"file": tmp_path / "token"}, {"exec": ["show", TOKEN]}]
    settings = Settings.model_validate(
        {
            "backends": {"b": backend_settings("http://127.0.0.1:1", api_token=forms)},
            "keys": {"master": MASTER},
        }
    )
    gateway = build(settings, MASTER)
    credentials = gateway.dispatch.upstreams["b"].credentials
    assert credentials.values == [TOKEN, TOKEN, TOKEN, None]
    sending = Sending(cast(Any, None), b"", b"", TOKEN)
    attempt = _Attempt(cast(Any, None), 0, cast(Any, None), None, cast(Any, None), 0.0, sending=sending)
    shown = (
        f"{settings!r} {gateway!r} {routes_of(settings)!r} {credentials!r} {credentials._held!r} {attempt!r}"
    )
    assert MASTER not in shown
    assert TOKEN not in shown
