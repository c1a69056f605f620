"""Backends' credentials are read from where the settings say, rotated without a restart, and never shown."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest

from gateway.credentials import Credentials
from gateway.settings import CredentialSource
from tests.gateway.conftest import Serve
from tests.gateway.scripted import PATIENCE, Backend, Call
from tests.gateway.served import ACCOUNT

OLD, NEW = "canary-old-0123456789", "canary-new-0123456789"


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Readings(list[tuple[str, str]]):
    def __call__(self, backend: str, outcome: str) -> None:
        self.append((backend, outcome))


def _source(**fields: Any) -> CredentialSource:
    return CredentialSource.model_validate(fields)


def _prints(text: str, code: int = 0) -> list[str]:
    script = f"import sys; print({text!r}); print('{OLD}', file=sys.stderr); sys.exit({code})"
    return [sys.executable, "-c", script]


def test_one_that_stands_in_the_settings_is_used() -> None:
    credentials = Credentials("b").add(OLD, ())
    assert [credentials.take() for _ in range(3)] == [OLD] * 3
    assert not credentials.may_change
    assert not credentials.refused(OLD)
    assert credentials.take() == OLD


def test_one_is_read_from_the_environment() -> None:
    credentials = Credentials("b", environ={"TOKEN": f" {OLD}\n"}).add(None, [_source(env="TOKEN")])
    assert credentials.take() == OLD


@pytest.mark.parametrize("value", ["", "two words", "ümlaut", "x" * 70_000])
def test_what_is_no_credential_is_none(value: str, caplog: pytest.LogCaptureFixture) -> None:
    readings = Readings()
    credentials = Credentials("b", readings, {"TOKEN": value}).add(None, [_source(env="TOKEN")])
    assert credentials.take() is None
    assert readings == [("b", "failed")]
    assert "backend 'b'" in caplog.text
    assert value[:4] not in caplog.text or not value
    caplog.clear()


def test_a_file_is_read_again_when_it_changes(tmp_path: Path) -> None:
    readings = Readings()
    file = tmp_path / "token"
    file.write_text(OLD)
    credentials = Credentials("b", readings).add(None, [_source(file=file)])
    held = credentials._held[0]
    credentials._look(held)
    assert credentials.take() == OLD
    file.write_text(f"{NEW}\n")
    credentials._look(held)
    assert credentials.take() == NEW
    assert readings == [("b", "new"), ("b", "new")]


def test_a_link_that_is_swapped_is_a_change(tmp_path: Path) -> None:
    for name, value in (("one", OLD), ("two", NEW)):
        (tmp_path / name).write_text(value)
    link = tmp_path / "token"
    link.symlink_to("one")
    credentials = Credentials("b").add(None, [_source(file=link)])
    assert credentials.take() == OLD
    (tmp_path / "fresh").symlink_to("two")
    (tmp_path / "fresh").replace(link)
    credentials._look(credentials._held[0])
    assert credentials.take() == NEW


@pytest.mark.parametrize("broken", ["gone", "empty"])
def test_a_file_that_breaks_leaves_the_old_one_in_use(
    broken: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "token"
    file.write_text(OLD)
    readings = Readings()
    credentials = Credentials("b", readings).add(None, [_source(file=file)])
    file.unlink() if broken == "gone" else file.write_text("")
    for _ in range(3):
        credentials._look(credentials._held[0])
    assert credentials.take() == OLD
    assert readings == [("b", "new"), ("b", "failed")]
    assert caplog.text.count("stays in use") == 1
    assert OLD not in caplog.text
    caplog.clear()


async def test_a_command_s_output_is_one() -> None:
    credentials = Credentials("b").add(None, [_source(exec=_prints(NEW))])
    assert credentials.take() is None
    await credentials.load()
    assert credentials.take() == NEW


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (_prints(NEW, 3), "exit code 3"),
        (["/nowhere/at-all", NEW], "cannot be run: No such file"),
        (_prints(""), "empty"),
    ],
)
async def test_a_command_that_fails_tells_what_and_no_more(
    command: list[str], words: str, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    credentials = Credentials("b", clock=clock).add(None, [_source(exec=command)])
    await credentials.load()
    assert credentials.take() is None
    assert words in caplog.text
    assert OLD not in caplog.text
    assert NEW not in caplog.text
    assert credentials._held[0].due == clock.now + 1
    caplog.clear()


async def test_a_command_that_hangs_is_ended(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("gateway.credentials._COMMAND", 0.2)
    forever = [sys.executable, "-c", "while True: pass"]
    credentials = Credentials("b").add(None, [_source(exec=forever)])
    async with asyncio.timeout(PATIENCE):
        await credentials.load()
    assert "took more than" in caplog.text
    caplog.clear()


async def test_a_command_is_run_again_when_its_time_is_up_and_when_its_credential_is_refused(
    tmp_path: Path,
) -> None:
    clock = Clock()
    count = tmp_path / "count"
    script = f"""
from pathlib import Path
count = Path({str(count)!r})
count.open("a").write("t")
print(count.read_text())
"""
    source = _source(exec=[sys.executable, "-c", script], refresh=60)
    credentials = Credentials("b", clock=clock).add(None, [source])
    await credentials.load()
    held = credentials._held[0]
    assert (credentials.take(), held.due) == ("t", 160)
    credentials.refused("t")
    assert held.due == 101
    await credentials.load()
    assert (credentials.take(), held.due) == ("tt", 160)


def test_several_take_turns_and_a_refused_one_stands_aside() -> None:
    clock = Clock()
    environ = {"A": "token-a", "B": "token-b", "C": ""}
    sources = [_source(env="A"), _source(env="B")]
    credentials = Credentials("b", environ=environ, clock=clock).add(None, sources)
    assert sorted({credentials.take() for _ in range(4)} - {None}) == ["token-a", "token-b"]
    assert credentials.refused("token-a")
    assert {credentials.take() for _ in range(4)} == {"token-b"}
    assert not credentials.refused("token-b")
    assert len({credentials.take() for _ in range(4)}) == 2  # better a refused one than none
    clock.now += 61
    assert len({credentials.take() for _ in range(4)}) == 2


def _settings(backend: Backend, *sources: dict[str, Any]) -> dict[str, Any]:
    return {
        "backends": {
            "b": {
                "kind": "workers_ai",
                "account_id": ACCOUNT,
                "base_url": backend.url,
                "credentials": list(sources),
            }
        }
    }


async def test_a_request_whose_credential_is_refused_goes_with_another_one(
    serve: Serve, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONE", OLD)
    monkeypatch.setenv("TWO", NEW)
    seen: list[str] = []

    def reply(call: Call) -> None:
        seen.append(call.headers["authorization"])
        if NEW not in seen[-1]:
            call.refuse(401, 10000)
        elif call.body.get("stream"):
            call.stream("Hi")
        else:
            call.result("Hi")

    backend.reply = reply
    served = await serve(**_settings(backend, {"env": "ONE"}, {"env": "TWO"}))
    for stream in (False, True, False):
        answer = await served.chat(stream=stream)
        assert answer.status_code == 200
        assert OLD not in answer.text
    assert seen.count(f"Bearer {OLD}") <= 1
    backend.reply = lambda call: call.refuse(401, 10000)
    refused = await served.chat()
    assert (refused.status_code, refused.json()["error"]["code"]) == (502, "upstream_auth")


async def test_a_backend_without_any_credential_is_told_so(
    serve: Serve, backend: Backend, caplog: pytest.LogCaptureFixture
) -> None:
    served = await serve(**_settings(backend, {"env": "UNSET_VARIABLE"}))
    answer = await served.chat()
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "upstream_auth")
    assert await served.metric("penstock_credential_refreshes_total", backend="b", outcome="failed") == 1
    caplog.clear()
