"""When what an answer consists of is sent: a stream's beginning at once, all else when the turn ends."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

from gateway.cli.protocol.cycle import Cycle
from gateway.outbox import Deferred, Outbox
from tests.gateway.test_outbox import Wire

START = {"type": "http.response.start", "status": 200, "headers": []}


def _cycle(wire: Wire) -> Cycle:
    connection = SimpleNamespace(
        scope={"method": "POST", "state": {}},
        transport=Deferred(wire, Outbox()),
        flow=SimpleNamespace(write_paused=False),
        logger=None,
        server_state=SimpleNamespace(default_headers=[]),
        on_response_complete=lambda: None,
    )
    return Cycle(cast(Any, connection), cast(Any, None), keep_alive=True, expects=False)


def _body(data: bytes, *, last: bool) -> dict[str, Any]:
    return {"type": "http.response.body", "body": data, "more_body": not last}


async def test_the_first_token_of_a_stream_waits_for_nobody_and_those_after_it_for_the_turn() -> None:
    wire = Wire()
    cycle = _cycle(wire)
    await cycle.send(START)
    assert wire.did == []
    await cycle.send(_body(b"first", last=False))
    assert [each[-7:] for each in wire.did] == [b"first\r\n"]
    cycle.write(b"second")
    await cycle.send(_body(b"third", last=True))
    assert len(wire.did) == 1
    await asyncio.sleep(0)
    assert wire.did[1:] == [b"6\r\nsecond\r\n5\r\nthird\r\n0\r\n\r\n"]


async def test_a_whole_answer_leaves_with_all_others_of_its_turn() -> None:
    wire = Wire()
    cycle = _cycle(wire)
    cycle.answer(200, [], b"{}")
    assert wire.did == []
    await asyncio.sleep(0)
    assert [each[-6:] for each in wire.did] == [b"\r\n\r\n{}"]
