"""When what has ended is told to the store: with the next admission, or at once."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from gateway.quota import Quota
from gateway.store import Script, Store
from tests.gateway.admission.gate import Gate, bill_of


@pytest.fixture
def calls(store: Store, monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each script was run."""
    counted: Counter[str] = Counter()
    run = store.run

    async def count(script: Script, keys: Sequence[str], args: Sequence[Any] = (), *within: Any) -> Any:
        counted[script.name] += 1
        return await run(script, keys, args, *within)

    monkeypatch.setattr(store, "run", count)
    return counted


async def _one_after_the_other(gate: Gate) -> None:
    made = bill_of(Quota(concurrency=1, rpm=100))
    for _ in range(10):
        ticket = await gate.admits(made)
        assert ticket
        gate.workers[0].settle(ticket, 0)
    await gate.told()
    assert await gate.used(made) == [10, 0]


async def test_a_lone_worker_gives_back_what_has_ended_with_its_next_admission(
    store: Store, calls: Counter[str]
) -> None:
    gate = Gate(store)
    await gate.workers[0]._join(1000)
    await _one_after_the_other(gate)
    assert (calls["turn"], calls["settle"]) == (10, 1)


async def test_beside_other_workers_a_lease_is_given_back_at_once(store: Store, calls: Counter[str]) -> None:
    gate = Gate(store, workers=2)
    await gate.workers[1]._join(60_000)
    await gate.workers[0]._join(60_000)
    made = bill_of(Quota(concurrency=1))
    ticket = await gate.workers[0].admit("e", made, 0)
    gate.workers[0].settle(ticket, 0)
    assert gate.workers[0]._is_asking
    assert gate.workers[0]._woken is None
    await gate.told()
    assert await gate.used(made) == [0]
    assert calls["settle"] == 1
