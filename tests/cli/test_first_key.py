"""What `serve` shows of the operator's key: a new one once, and of any other where it is."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.app import State
from gateway.cli.first_key import operators_key
from gateway.keys import MasterKey
from tests.store.servers import Server, serving, valkey

PATIENCE = 20.0


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(valkey()) as server:
        yield server


def _state(server: Server) -> State:
    return State(server.url, b"a pepper of the tests")


async def test_a_key_that_is_made_is_shown_once(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.cli.first_key._WAIT", PATIENCE)
    async with operators_key(None, _state(server)) as first:
        assert first is not None
        assert first.startswith("sk-ps-admin-")
        assert "shown this once" in first
    async with operators_key(None, _state(server)) as later:
        assert later == "as shown at the first start; where it is lost, set keys.master"


async def test_with_a_master_key_none_is_made(server: Server) -> None:
    async with operators_key(MasterKey("0123456789abcdef"), _state(server)) as shown:
        assert shown is None
    kept = Path("/data/master.key")
    async with operators_key(MasterKey("0123456789abcdef", kept), _state(server)) as shown:
        assert shown == f"as kept in {kept}"
    assert server.ask("EXISTS", "{ps}:first") == 0


async def test_without_the_store_it_is_shown_as_soon_as_that_answers(
    server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("gateway.cli.first_key._WAIT", 0.01)
    server.kill()
    async with operators_key(None, _state(server)) as shown:
        assert shown == "to be made, and shown here, as soon as the store answers"
        server.start()
        said = ""
        async with asyncio.timeout(PATIENCE):
            while "sk-ps-admin-" not in said:  # it looks for the store every half second
                await asyncio.sleep(0.01)
                said += capsys.readouterr().err
    assert said.startswith("  key        sk-ps-admin-")


async def test_a_gateway_that_ends_before_the_store_answers_waits_for_nothing(
    server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("gateway.cli.first_key._WAIT", 0.01)
    server.kill()
    async with asyncio.timeout(PATIENCE), operators_key(None, _state(server)):
        pass
    assert "sk-ps-" not in capsys.readouterr().err
