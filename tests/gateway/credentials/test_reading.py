"""Backends' credentials are read from where the settings say, and again when they change there."""

import asyncio
import fcntl
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from gateway.credentials import Credentials
from gateway.credentials.commands import from_command
from gateway.credentials.sources import UnreadableError, from_file
from gateway.settings import CredentialSource
from tests.gateway.scripted import PATIENCE

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
    credentials = Credentials("b").add([OLD])
    assert [credentials.take() for _ in range(3)] == [OLD] * 3
    assert not credentials.may_change
    assert not credentials.refused(OLD)
    assert credentials.take() == OLD


def test_one_is_read_from_the_environment() -> None:
    credentials = Credentials("b", environ={"TOKEN": f" {OLD}\n"}).add([_source(env="TOKEN")])
    assert credentials.take() == OLD


@pytest.mark.parametrize("value", ["", "two words", "ümlaut", "x" * 70_000])
def test_what_is_no_credential_is_none(value: str, caplog: pytest.LogCaptureFixture) -> None:
    readings = Readings()
    credentials = Credentials("b", readings, {"TOKEN": value}).add([_source(env="TOKEN")])
    assert credentials.take() is None
    assert readings == [("b", "failed")]
    assert "backend 'b'" in caplog.text
    assert value[:4] not in caplog.text or not value
    caplog.clear()


def test_a_file_is_read_again_when_it_changes(tmp_path: Path) -> None:
    readings = Readings()
    file = tmp_path / "token"
    file.write_text(OLD)
    credentials = Credentials("b", readings).add([_source(file=file)])
    credentials.look()
    assert credentials.take() == OLD
    file.write_text(f"{NEW}\n")
    credentials.look()
    assert credentials.take() == NEW
    assert readings == [("b", "new"), ("b", "new")]


def test_a_link_that_is_swapped_is_a_change(tmp_path: Path) -> None:
    for name, value in (("one", OLD), ("two", NEW)):
        (tmp_path / name).write_text(value)
    link = tmp_path / "token"
    link.symlink_to("one")
    credentials = Credentials("b").add([_source(file=link)])
    assert credentials.take() == OLD
    (tmp_path / "fresh").symlink_to("two")
    (tmp_path / "fresh").replace(link)
    credentials.look()
    assert credentials.take() == NEW


@pytest.mark.parametrize("broken", ["gone", "empty"])
def test_a_file_that_breaks_leaves_the_old_one_in_use(
    broken: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "token"
    file.write_text(OLD)
    readings = Readings()
    credentials = Credentials("b", readings).add([_source(file=file)])
    file.unlink() if broken == "gone" else file.write_text("")
    for _ in range(3):
        credentials.look()
    assert credentials.take() == OLD
    assert readings == [("b", "new"), ("b", "failed")]
    assert caplog.text.count("stays in use") == 1
    assert OLD not in caplog.text
    caplog.clear()


def test_a_file_that_cannot_be_read_is_tried_again_although_it_has_not_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(_path: Path) -> str:
        raise UnreadableError("Permission denied")

    file = tmp_path / "token"
    file.write_text(OLD)
    monkeypatch.setattr("gateway.credentials.from_file", refuse)
    credentials = Credentials("b").add([_source(file=file)])
    assert credentials.take() is None
    monkeypatch.setattr("gateway.credentials.from_file", from_file)
    credentials.look()
    assert credentials.take() == OLD
    caplog.clear()


def test_nobody_waits_for_a_pipe_that_should_be_a_file(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    os.mkfifo(tmp_path / "pipe")
    sources = [_source(file=tmp_path / "pipe"), _source(file="a\0b"), _source(file=tmp_path)]
    assert Credentials("b").add(sources).values == [None] * 3
    assert caplog.text.count("no regular file") == 2
    assert "it is no path" in caplog.text
    caplog.clear()


async def test_a_command_s_output_is_one() -> None:
    credentials = Credentials("b").add([_source(exec=_prints(NEW))])
    assert credentials.take() is None
    await credentials.load()
    assert credentials.take() == NEW


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (_prints(NEW, 3), "exit code 3"),
        (["/nowhere/at-all", NEW], "cannot be run: No such file"),
        (["a\0b", NEW], "cannot be run: it is no command"),
        ([sys.executable, "-c", "while True: print('x' * 1000)"], "more than a credential can have"),
        (_prints(""), "empty"),
    ],
)
async def test_a_command_that_fails_tells_what_and_no_more(
    command: list[str], words: str, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    credentials = Credentials("b", clock=clock).add([_source(exec=command)])
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
    monkeypatch.setattr("gateway.credentials.commands._LIMIT", 0.2)
    forever = [sys.executable, "-c", "while True: pass"]
    credentials = Credentials("b").add([_source(exec=forever)])
    async with asyncio.timeout(PATIENCE):
        await credentials.load()
    assert "took more than" in caplog.text
    caplog.clear()


async def test_what_a_command_has_started_ends_with_it(tmp_path: Path) -> None:
    lock, ready = tmp_path / "lock", tmp_path / "ready"
    script = f"""
import fcntl, subprocess
lock = open({str(lock)!r}, "w")
fcntl.flock(lock, fcntl.LOCK_EX)
child = subprocess.Popen(["sleep", "600"], pass_fds=[lock.fileno()])
open({str(ready)!r}, "w")
child.wait()
"""
    running = asyncio.create_task(from_command([sys.executable, "-c", script]))
    async with asyncio.timeout(2 * PATIENCE):
        while not ready.exists():  # noqa: ASYNC110 - another process makes it
            await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    with lock.open("w") as file:
        async with asyncio.timeout(PATIENCE):
            while not _locks(file.fileno()):  # noqa: ASYNC110 - the kernel ends the child
                await asyncio.sleep(0.01)


def _locks(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


async def test_a_refused_command_is_run_again_at_once_and_then_after_ever_longer_pauses() -> None:
    clock = Clock()
    credentials = Credentials("b", clock=clock).add([_source(exec=_prints(OLD), refresh=10_000)])
    await credentials.load()
    held = credentials._held[0]
    clock.now += 500
    pauses = []
    for _ in range(9):
        credentials.refused(OLD)
        credentials.refused(OLD)  # a burst of refusals counts once
        pauses.append(held.due - held.ran)
        clock.now = max(clock.now, held.due)
        await credentials.load()
    assert pauses == [500, 2, 4, 8, 16, 32, 60, 60, 60]


async def test_a_refused_command_is_not_waited_for_until_the_next_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.credentials._LOOK", 3600.0)
    token = tmp_path / "token"
    token.write_text(OLD)
    clock = Clock()
    credentials = Credentials("b", clock=clock).add([_source(exec=["cat", str(token)])])
    await credentials.load()
    running = asyncio.create_task(credentials.run())
    await asyncio.sleep(0)
    token.write_text(NEW)
    clock.now += 5
    credentials.refused(OLD)
    async with asyncio.timeout(PATIENCE):
        while credentials.take() != NEW:  # noqa: ASYNC110 - a process prints it
            await asyncio.sleep(0.01)
    running.cancel()


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
    credentials = Credentials("b", clock=clock).add([source])
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
    credentials = Credentials("b", environ=environ, clock=clock).add(sources)
    assert sorted({credentials.take() for _ in range(4)} - {None}) == ["token-a", "token-b"]
    assert credentials.refused("token-a")
    assert {credentials.take() for _ in range(4)} == {"token-b"}
    assert not credentials.refused("token-b")
    assert len({credentials.take() for _ in range(4)}) == 2  # better a refused one than none
    clock.now += 61
    credentials.look()
    assert len({credentials.take() for _ in range(4)}) == 2


def test_one_that_has_asked_too_often_rests_for_as_long_as_the_backend_says() -> None:
    clock = Clock()
    credentials = Credentials("b", clock=clock).add([OLD, NEW])
    assert credentials.busy(OLD, 7.0)
    assert {credentials.take() for _ in range(4)} == {NEW}
    clock.now += 6.9
    credentials.look()
    assert not credentials.busy(NEW, None)
    clock.now += 0.2
    credentials.look()
    assert {credentials.take() for _ in range(4)} == {OLD}
    clock.now += 0.9  # a second, where nobody says for how long
    credentials.look()
    assert len({credentials.take() for _ in range(4)}) == 2


def test_a_short_rest_does_not_end_that_of_a_refused_one() -> None:
    clock = Clock()
    credentials = Credentials("b", clock=clock).add([OLD, NEW])
    credentials.refused(OLD)
    credentials.busy(OLD, 0.5)
    clock.now += 30
    credentials.look()
    assert {credentials.take() for _ in range(4)} == {NEW}
