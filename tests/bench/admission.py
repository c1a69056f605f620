"""Measure what a key with all kinds of limits costs a request: the check, the admission and the settling.

Run as `python -m tests.bench.admission`. Penstock answers small chats over 32 connections, in turns with the
operator's key, which is admitted without asking anybody, and with an issued key that has eight windows and a
concurrency limit of its own and shares those of a team. The figure is the difference of the CPU time of the
gateway's process per request, median of the pairs; that of its store's process stands beside it.
"""

import argparse
import asyncio
import json
import sys
from dataclasses import replace
from pathlib import Path
from statistics import median

from gateway.keys import Actor, Register
from gateway.store import Store
from tests.bench import environment, gateways, load, works
from tests.bench.load import Address, Amount
from tests.bench.measure import Cores
from tests.bench.servers import Server, folder, running
from tests.store.servers import serving, valkey

BUDGET_US = 60.0
CONNECTIONS = 32
SECONDS = 1.0  # the speed of a shared machine changes within seconds, so pairs are short, and many
WARM_SECONDS = 1.5
PAIRS = 31
PEPPER = "pepper-of-the-bench"

_PLENTY = 10**9
_LIMITS = {
    "rpm": _PLENTY,
    "rpd": _PLENTY,
    "tpm": 10**12,
    "tpd": 10**12,
    "concurrency": 10_000,
}


def main() -> int:
    """Measure; the status is 1 where the budget is not kept to."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--pairs", type=int, default=PAIRS)
    options = parser.parse_args()
    cores = environment.ready()
    with environment.pinned(cores.load), gateways.upstream(cores) as upstream:
        costs = _costs(upstream, cores, options.pairs, options.seconds)
    for name, values in costs.items():
        sys.stdout.write(f"{name}: {median(values):.1f} us [{min(values):.1f} to {max(values):.1f}]\n")
    return 0 if median(costs["limits add to the gateway"]) <= BUDGET_US else 1


def _costs(upstream: Server, cores: Cores, pairs: int, seconds: float) -> dict[str, list[float]]:
    with folder() as place, serving(valkey()) as store:
        command = gateways.penstock_command(upstream, place, {})
        keys = {"master": command.address.key, "pepper": PEPPER}
        _add(place / "penstock.yaml", redis_url=store.url, keys=keys)
        with running("penstock", "", command, place, cores.gateway) as server:
            key = asyncio.run(_issued(store.url))
            plain, limited = server.address, replace(server.address, key=key)
            names = ("without limits", "with limits", "limits add to the gateway", "the store itself")
            costs: dict[str, list[float]] = {name: [] for name in names}
            for address in (plain, limited):
                load.send(address, works.CHAT, Amount(CONNECTIONS, seconds=WARM_SECONDS))
            for number in range(pairs):
                order = (plain, limited) if number % 2 else (limited, plain)
                of = {address: _cost(server.pid, store.pid, address, seconds) for address in order}
                costs["without limits"].append(of[plain][0])
                costs["with limits"].append(of[limited][0])
                costs["limits add to the gateway"].append(of[limited][0] - of[plain][0])
                costs["the store itself"].append(of[limited][1])
            return costs


def _add(config: Path, **settings: object) -> None:
    config.write_text(json.dumps({**json.loads(config.read_text()), **settings}))


async def _issued(url: str) -> str:
    """A key with a team, both with limits that nobody reaches."""
    store = Store(url, 5.0)
    await store.start()
    register = Register(store, PEPPER.encode())
    actor = Actor("master")
    team = await register.create_team({"name": "bench", "quota": _LIMITS}, actor)
    _key, secret = await register.create_key({"name": "bench", "team": team.id, "quota": _LIMITS}, actor)
    await store.stop()
    return secret


def _cost(gateway: int, store: int, address: Address, seconds: float) -> tuple[float, float]:
    """CPU per request in microseconds: of the gateway's process, and of the store's."""
    before = _cpu(gateway), _cpu(store)
    tally = load.send(address, works.CHAT, Amount(CONNECTIONS, seconds=seconds))
    if tally.fault is not None:
        raise RuntimeError(f"an answer was wrong: {tally.fault}")
    after = _cpu(gateway), _cpu(store)
    return (after[0] - before[0]) / tally.requests / 1000, (after[1] - before[1]) / tally.requests / 1000


def _cpu(pid: int) -> int:
    """Nanoseconds of CPU that a process has used, all its threads together."""
    return sum(
        int((task / "schedstat").read_text().split()[0]) for task in Path(f"/proc/{pid}/task").iterdir()
    )


if __name__ == "__main__":
    sys.exit(main())
