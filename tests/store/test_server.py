"""A server of our own: started where no address is set, kept alive, owned by one, and gone with its owner."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
import redis

from gateway.store import EmbeddedError, Store, embedded
from gateway.store.programs import find_program

BACK = 10.0

OWNER = """
import asyncio, sys
from pathlib import Path
from gateway.store import embedded
async def main():
    async with embedded(Path(sys.argv[1]), "everysec") as url:
        print(url, flush=True)
        await asyncio.sleep(60)
asyncio.run(main())
"""


@pytest.fixture(autouse=True)
def run_dir(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A run directory of the test's own, with a short path."""
    path = Path(f"/tmp/ps-{os.getpid()}")
    path.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(path))
    yield path
    for each in path.iterdir():
        for left in each.iterdir():
            left.unlink()
        each.rmdir()
    path.rmdir()


def _owner(data_dir: Path) -> tuple[subprocess.Popen[str], str]:
    """Another process that keeps a server, and its address."""
    command = [sys.executable, "-c", OWNER, str(data_dir)]
    owner = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    return owner, owner.stdout.readline().strip()


def _end(owner: subprocess.Popen[str]) -> None:
    owner.kill()
    owner.communicate()


def _mode(url: str) -> int:
    return Path(url.removeprefix("unix://")).stat().st_mode & 0o777


def _client(url: str) -> Any:
    return redis.Redis.from_url(url, socket_timeout=5)


def _facts(url: str) -> dict[str, Any]:
    with _client(url) as client:
        facts: dict[str, Any] = client.info()
        return facts


async def _until(condition: Any) -> None:
    end = monotonic() + BACK
    while not condition():
        assert monotonic() < end
        await asyncio.sleep(0.02)


def _answers(url: str) -> bool:
    try:
        return bool(_facts(url))
    except (redis.RedisError, OSError):
        return False


async def test_what_is_written_is_there_at_the_next_start(tmp_path: Path) -> None:
    for expected in (None, b"kept"):
        async with embedded(tmp_path, "everysec") as url:
            with _client(url) as client:
                assert client.get("a") == expected
                client.set("a", "kept")
        assert not _answers(url)


async def test_it_is_set_up_as_a_store_must_be(tmp_path: Path) -> None:
    async with embedded(tmp_path, "always") as url:
        with _client(url) as client:
            settings = client.config_get("*")
        assert settings["appendonly"] == "yes"
        assert settings["appendfsync"] == "always"
        assert settings["aof-use-rdb-preamble"] == "no"
        assert settings["maxmemory-policy"] == "noeviction"
        assert settings["port"] == "0"
        assert _mode(url) & 0o077 == 0
        store = Store(url, 5.0)
        await store.start()
        assert await store.flaws() == []
        await store.stop()


async def test_a_server_that_is_killed_again_and_again_comes_back_with_its_data(tmp_path: Path) -> None:
    async with embedded(tmp_path, "always") as url:
        for number in range(3):
            with _client(url) as client:
                assert client.incr("n") == number + 1
            os.kill(_facts(url)["process_id"], signal.SIGKILL)
            await _until(lambda: not _answers(url) or _facts(url)["uptime_in_seconds"] == 0)
            await _until(lambda: _answers(url))


async def test_a_second_gateway_uses_the_first_one_s_server_and_takes_over_when_that_ends(
    tmp_path: Path,
) -> None:
    owner, url = await asyncio.to_thread(_owner, tmp_path)
    try:
        async with embedded(tmp_path, "everysec") as mine:
            assert mine == url
            server = _facts(url)["process_id"]
            owner.send_signal(signal.SIGKILL)
            owner.wait()
            await _until(lambda: _answers(url) and _facts(url)["process_id"] != server)
    finally:
        _end(owner)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process with its parent")
async def test_a_server_dies_with_its_owner(tmp_path: Path) -> None:
    owner, url = await asyncio.to_thread(_owner, tmp_path)
    assert _answers(url)
    _end(owner)
    await _until(lambda: not _answers(url))


async def test_a_socket_path_that_is_too_long_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / ("x" * 100)))
    with pytest.raises(EmbeddedError, match="too long for a Unix socket"):
        async with embedded(tmp_path, "everysec"):
            pass


async def test_a_data_dir_that_cannot_be_written_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(EmbeddedError, match="set data_dir or redis_url"):
        async with embedded(tmp_path / "file", "everysec"):
            pass


async def test_a_server_that_does_not_start_says_why(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedError, match="did not start"):
        async with embedded(tmp_path, "sometimes"):
            pass


def test_without_any_program_it_is_said_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.store.programs.find_spec", lambda _name: None)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(EmbeddedError, match="set redis_url"):
        find_program()


@pytest.mark.parametrize("name", ["valkey-server", "redis-server"])
def test_a_program_of_the_path_will_do(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.store.programs.find_spec", lambda _name: None)
    program = tmp_path / name
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_program() == str(program)
