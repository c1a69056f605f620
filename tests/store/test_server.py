"""A server of our own: started where no address is set, kept alive, owned by one, and gone with its owner."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
import redis

from gateway.store import EmbeddedError, Script, Store, StoreAwayError, embedded
from gateway.store.programs import find_program
from gateway.store.server import _locked
from tests.store.fixtures import had
from tests.store.servers import redis as redis_program
from tests.store.servers import serving

BACK = 10.0

OWNER = """
import asyncio, sys
from pathlib import Path
from gateway.store import embedded, server
if "outlived" in sys.argv:
    server.ending_with_us = lambda program: [program]
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
    shutil.rmtree(path)


def _owner(data_dir: Path, *words: str, **environment: str) -> tuple[subprocess.Popen[str], str]:
    """Another process that keeps a server, and its address."""
    command = [sys.executable, "-c", OWNER, str(data_dir), *words]
    owner = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, **environment})
    assert owner.stdout is not None
    return owner, owner.stdout.readline().strip()


def _end(owner: subprocess.Popen[str]) -> None:
    owner.kill()
    owner.communicate()


def _mode(url: str) -> int:
    return _socket(url).stat().st_mode & 0o777


def _socket(url: str) -> Path:
    return Path(url.removeprefix("unix://"))


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


async def _until_awaited(holds: Callable[[], Awaitable[bool]]) -> None:
    end = monotonic() + 2 * BACK
    while not await holds():
        assert monotonic() < end
        await asyncio.sleep(0.05)


def _process(url: str) -> int:
    """The server's process id; 0 where none answers."""
    try:
        return int(_facts(url)["process_id"])
    except (redis.RedisError, OSError):
        return 0


def _answers(url: str) -> bool:
    return bool(_process(url))


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
            server = _process(url)
            os.kill(server, signal.SIGKILL)
            await _until(lambda server=server: _process(url) not in {0, server})


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
            await _until(lambda: _process(url) not in {0, server})
    finally:
        _end(owner)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process with its parent")
async def test_a_server_dies_with_its_owner(tmp_path: Path) -> None:
    owner, url = await asyncio.to_thread(_owner, tmp_path)
    assert _answers(url)
    _end(owner)
    await _until(lambda: not _answers(url))


async def test_what_a_killed_owner_s_server_knew_is_there_at_the_next_start(tmp_path: Path) -> None:
    for number in range(3):
        owner, url = await asyncio.to_thread(_owner, tmp_path)
        with _client(url) as client:
            assert client.incr("n") == number + 1
        _end(owner)
    async with embedded(tmp_path, "everysec") as url:
        with _client(url) as client:
            assert client.get("n") == b"3"


async def test_a_server_that_outlived_its_owner_is_adopted_and_ended_with_the_new_one(tmp_path: Path) -> None:
    owner, before = await asyncio.to_thread(_owner, tmp_path, "outlived")
    server = _facts(before)["process_id"]
    _end(owner)
    async with embedded(tmp_path, "always") as url:
        assert _facts(url)["process_id"] == server
        with _client(url) as client:
            assert client.config_get("appendfsync") == {"appendfsync": "always"}
    assert not _answers(url)
    lock = _locked(tmp_path / "store" / "server.lock")
    assert lock is not None, "the server still lives"
    lock.close()


async def test_an_adopted_server_that_dies_is_started_again(tmp_path: Path) -> None:
    owner, before = await asyncio.to_thread(_owner, tmp_path, "outlived")
    server = _facts(before)["process_id"]
    _end(owner)
    async with embedded(tmp_path, "everysec") as url:
        os.kill(server, signal.SIGKILL)
        await _until(lambda: _process(url) not in {0, server})


async def test_a_server_that_outlived_its_owner_and_hangs_is_told_of_and_never_doubled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner, url = await asyncio.to_thread(_owner, tmp_path, "outlived")
    server = _facts(url)["process_id"]
    _end(owner)
    os.kill(server, signal.SIGSTOP)
    monkeypatch.setattr("gateway.store.server._START", 0.5)
    with pytest.raises(EmbeddedError, match=f"end the process {server}"):
        async with embedded(tmp_path, "everysec"):
            pass
    os.kill(server, signal.SIGKILL)


async def test_a_second_gateway_finds_the_server_also_from_another_environment(
    tmp_path: Path, run_dir: Path
) -> None:
    (run_dir / "other").mkdir()
    owner, url = await asyncio.to_thread(_owner, tmp_path, XDG_RUNTIME_DIR=str(run_dir / "other"))
    try:
        async with embedded(tmp_path, "everysec") as mine:
            assert mine == url
    finally:
        _end(owner)
    await _until(lambda: not _answers(url))


async def test_a_removed_socket_is_made_again(tmp_path: Path) -> None:
    async with embedded(tmp_path, "everysec") as url:
        with _client(url) as client:
            client.set("a", "kept")
        _socket(url).unlink()
        await _until(lambda: _answers(url))
        with _client(url) as client:
            assert client.get("a") == b"kept"


async def test_a_terminal_s_interrupt_is_for_the_gateway_alone(tmp_path: Path) -> None:
    async with embedded(tmp_path, "everysec") as url:
        assert os.getsid(_facts(url)["process_id"]) != os.getsid(0)


async def test_nothing_that_the_watch_waits_for_holds_up_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.store.server._LOOK", 0)
    async with embedded(tmp_path, "everysec"):
        for turns in range(100):
            async with asyncio.timeout(BACK), embedded(tmp_path, "everysec"):
                for _ in range(turns):
                    await asyncio.sleep(0)


async def test_a_folder_with_an_odd_name_will_do(
    tmp_path: Path, run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data_dir, odd = tmp_path / "an 'ödd' %41 \"name\"", run_dir / "ö %41 #"
    data_dir.mkdir()
    odd.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(odd))
    async with embedded(data_dir, "everysec") as url:
        store = Store(url, 5.0)
        await store.start()
        assert await store.flaws() == []
        await store.stop()
    assert (data_dir / "store" / "appendonlydir").is_dir()


async def test_another_user_s_run_directory_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/nowhere/of/ours")
    async with embedded(tmp_path, "everysec") as url:
        assert not url.startswith("unix:///nowhere")


async def test_a_run_directory_of_somebody_else_is_not_trusted(tmp_path: Path) -> None:
    async with embedded(tmp_path, "everysec") as url:
        folder = _socket(url).parent
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(EmbeddedError, match="not ours alone"):
        async with embedded(tmp_path, "everysec"):
            pass


async def test_a_redis_reads_what_was_written_here(tmp_path: Path) -> None:
    program = had(redis_program)
    async with embedded(tmp_path, "everysec") as url:
        with _client(url) as client:
            client.hset("h", mapping={str(number): "x" * 100 for number in range(1000)})
            client.bgrewriteaof()
            await _until(lambda: not client.info("persistence")["aof_rewrite_in_progress"])
    options = ("--dir", str(tmp_path / "store"), "--appendonly", "yes")
    with serving(program, *options) as server:
        assert server.ask("HLEN", "h") == 1000


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk that is soon full."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if _mount("-t", "tmpfs", "-o", "size=4m", "none", str(folder)):
        pytest.skip("mounting a disk takes root, and a system that allows it")
    yield folder
    subprocess.run(["umount", str(folder)], check=True, timeout=BACK)


def _mount(*words: str) -> bool:
    """Whether it failed."""
    mount = shutil.which("mount")
    if mount is None:
        return True
    return bool(subprocess.run([mount, *words], capture_output=True, timeout=BACK, check=False).returncode)


def _fill(folder: Path) -> Path:
    path = folder / "filling"
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(b"x" * 4096):
            pass
    return path


async def test_a_disk_that_is_full_at_the_start_is_told_of(small_disk: Path) -> None:
    (small_disk / "store").mkdir()
    _fill(small_disk)
    with pytest.raises(EmbeddedError, match="No space left on device"):
        async with embedded(small_disk, "everysec"):
            pass


async def test_a_disk_that_cannot_be_written_is_told_of(small_disk: Path) -> None:
    assert not _mount("-o", "remount,ro", str(small_disk))
    with pytest.raises(EmbeddedError, match="Read-only file system"):
        async with embedded(small_disk, "everysec"):
            pass


@pytest.mark.parametrize("appendfsync", ["everysec", "always"])
async def test_a_disk_that_gets_full_is_an_outage_until_it_has_room(
    small_disk: Path, appendfsync: str
) -> None:
    probe, key = Script("probe"), "{ps}:probe"
    async with embedded(small_disk, appendfsync) as url:
        store = Store(url, 1.0)
        await store.start()
        await store.command("SET", "{ps}:kept", "kept")
        filling = _fill(small_disk)

        async def fails() -> bool:
            try:
                await store.run(probe, [key])
                await store.command("SET", "{ps}:x", "x" * 5000)
            except StoreAwayError:
                return True
            return False

        await _until_awaited(fails)
        filling.unlink()

        async def works() -> bool:
            return not await fails()

        await _until_awaited(works)
        assert await store.command("GET", "{ps}:kept") == b"kept"
        await store.stop()


async def test_a_socket_path_that_is_too_long_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / ("x" * 100)
    folder.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    with pytest.raises(EmbeddedError, match="too long for a Unix socket"):
        async with embedded(tmp_path, "everysec"):
            pass


async def test_where_nothing_else_can_be_written_the_socket_is_beside_the_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none() -> str:
        raise FileNotFoundError("No usable temporary directory found")

    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.setattr("gateway.store.server.tempfile.gettempdir", none)
    folder = tmp_path / "store" / "run"
    async with embedded(tmp_path, "everysec") as url:
        assert _socket(url).parent == folder
        assert folder.stat().st_mode & 0o777 == 0o700
    assert not folder.exists()


async def test_a_data_dir_that_cannot_be_written_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(EmbeddedError, match="set data_dir or redis_url"):
        async with embedded(tmp_path / "file", "everysec"):
            pass


async def test_a_server_that_does_not_start_says_why(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedError, match=r"at its start: .*argument"):
        async with embedded(tmp_path, "sometimes"):
            pass


async def test_a_program_that_cannot_be_started_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.store.server.ending_with_us", lambda _program: ["/nowhere/at/all"])
    with pytest.raises(EmbeddedError, match=r"cannot be started: .*/nowhere/at/all"):
        async with embedded(tmp_path, "everysec"):
            pass


async def test_a_server_that_cannot_be_started_again_is_tried_again_until_it_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with embedded(tmp_path, "everysec") as url:
        with monkeypatch.context() as broken:
            broken.setattr("gateway.store.server.ending_with_us", lambda _program: ["/nowhere/at/all"])
            os.kill(_facts(url)["process_id"], signal.SIGKILL)
            await _until(lambda: "cannot be started" in caplog.text)
        await _until(lambda: _answers(url))


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
