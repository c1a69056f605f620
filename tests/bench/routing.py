"""Show what routing promises: no request lost to a sick server, short waits, kept prefixes, quick returns.

Run as `python -m tests.bench.routing`; `--quick` asks less, as its test does. A gateway stands before several
simulated servers, or before a simulated account with a server behind it; see `routed`.

- faults: one server of three is sick, in each way that there is; then all three are.
- waits: requests come at random times, and few of them have long answers, as it is in life.
- prefixes: conversations of several turns.
- away: Workers AI refuses everything for a while, and answers again.
- cost: the time of this process for what routing does for a request.
"""

import argparse
import asyncio
import random
import sys
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median
from time import monotonic, process_time
from typing import Any

from gateway.app import routes_of
from gateway.balance import Balancer, needs_within
from gateway.health import Health
from gateway.settings import Settings
from gateway.simulator import SIMULATED_ACCOUNT_ID, SIMULATED_API_TOKEN, Simulator, edge
from tests.bench.routed import (
    FAILED,
    MODEL,
    Asked,
    Place,
    Routed,
    at_once,
    backend,
    places,
    route,
    routed,
    servers,
    silenced,
)
from tests.gateway.served import MODEL as ACCOUNT_MODEL
from tests.gateway.served import Json
from translators.chat import ChatRequest, Turn
from translators.chat import Text as TextPart

WIDTH = 32  # requests at once
WELL = 128  # requests before anything is sick
SICK = ("hang", "killed", "reset", "429", "500", "503", "garbage", "cut.40")
BALANCES = ("weighted", "least_loaded")
COSTS_WORK = frozenset(SICK) - {"killed", "429", "503"}
FIRST_TOKEN = 1.0  # seconds that a server has for its first token
DEADLINE = 8.0  # seconds of a whole exchange
# Beside a deadline: the gateway looks every 250 ms, and it shares its cores with all that is simulated.
MARGIN = 1.0
RECOVERY = 2.0
PAUSE = 0.04  # seconds between two requests of a client
FULL_COST = 15.0  # microseconds, on a core of its own


@dataclass(frozen=True)
class Size:
    """How much is done, and how quick the machine has to be.

    Attributes:
        faults: Requests for each way to be sick and each balance.
        waits: Seconds of load.
        away: Seconds.
        looks: Choices that are timed.
        cost: Microseconds that a request may take.
        shorter: What a wait may be, as a share of that by turns.
        per_token: Seconds that a server takes for a token under that load. The longer the load lasts, the
            less of it one process can keep up with.
    """

    faults: int
    waits: float
    conversations: int
    away: float
    looks: int
    cost: float
    shorter: float
    per_token: float


QUICK = Size(
    faults=200,
    waits=2.0,
    conversations=120,
    away=2.5,
    looks=4_000,
    cost=10 * FULL_COST,
    shorter=0.85,
    per_token=0.01,
)
FULL = Size(
    faults=2_000,
    waits=60.0,
    conversations=1_000,
    away=60.0,
    looks=100_000,
    cost=FULL_COST,
    shorter=0.7,
    per_token=0.03,
)


def said(text: str) -> list[Json]:
    """A conversation that begins."""
    return [{"role": "user", "content": text}]


async def faults(size: Size) -> dict[str, float]:
    """One server of three is sick, then all are."""
    found: dict[str, float] = {}
    hasty = {"first_byte": 2 * FIRST_TOKEN, "total": DEADLINE}
    # Where nothing hangs, nobody is to be left for being slow: so much runs beside it.
    for ways, deadlines in ((SICK[:1], hasty), (SICK[1:], {"total": DEADLINE})):
        first_token = FIRST_TOKEN if "first_byte" in deadlines else None
        models = {balance: route(3, balance, first_token_timeout=first_token) for balance in BALANCES}
        async with places(servers(3)) as ours:
            backends = {f"s{index}": backend(place) for index, place in enumerate(ours)}
            async with routed(backends, models, deadlines=deadlines) as gateway:
                for way in ways:
                    found |= await _sick(way, ours, gateway, size.faults)
    return found


async def _sick(way: str, ours: list[Place], gateway: Routed, number: int) -> dict[str, float]:
    """Ask while one server is sick in a way, and while all are; before that all are well."""

    async def ask(turn: int) -> Asked:
        balance = BALANCES[turn // 2 % 2]
        return await gateway.ask(balance, said(f"Say hello {turn}"), stream=bool(turn % 2))

    await at_once(WELL, WIDTH, ask)
    await _make_sick(ours[:1], way)
    one = await at_once(number, WIDTH, ask)
    await _heal(ours[:1], gateway)
    await at_once(WELL // 2, WIDTH, ask)
    await _make_sick(ours, way)
    before = sum(place.asked for place in ours)
    every = await at_once(number // 2, WIDTH, ask)
    attempts = sum(place.asked for place in ours) - before if way in COSTS_WORK else 0
    await _heal(ours, gateway)
    told = FAILED | {429} if way == "429" else FAILED
    return {
        f"{way} at one of three: failed requests": sum(each.status != 200 or bool(each.flaw) for each in one),
        f"{way} everywhere: answers that are no honest error": sum(
            each.status not in told or bool(each.flaw) for each in every
        ),
        f"{way} everywhere: attempts that cost work / requests": attempts / len(every),
        f"{way} everywhere: seconds of the longest wait": max(each.seconds for each in every),
    }


async def _make_sick(ours: Sequence[Place], way: str) -> None:
    for place in ours:
        if way == "killed":
            await place.close()
        else:
            place.server.fault = way


async def _heal(ours: Sequence[Place], gateway: Routed) -> None:
    for place in ours:
        place.server.fault = None
        await place.open()
    gateway.served.all_well()


async def waits(size: Size) -> dict[str, float]:
    """The time to the first token under a heavy-tailed load: by turns, and where the load is least."""
    by_turns = await _waits(size, "weighted", probe=0)
    found = {"by turns: p99 of the seconds to the first token": by_turns}
    for name, probe in (("our own view", 0.0), ("with the servers' metrics", 0.5)):
        least = await _waits(size, "least_loaded", probe=probe)
        found[f"least_loaded, {name}: p99 of the seconds to the first token"] = least
        found[f"least_loaded, {name}: p99 / by turns"] = least / by_turns
    return found


async def _waits(size: Size, balance: str, *, probe: float) -> float:
    """The p99 of an open load, the same for each balance: requests do not wait for one another."""
    slots, per_token, count = 4, size.per_token, 4
    chance = random.Random(7)
    lengths = [min(150, int(3 * chance.paretovariate(1.3))) for _ in range(20_000)]
    rate = 0.75 * slots * count / (per_token * fmean(lengths) * 1.1)
    async with places(servers(count, slots=slots, per_token=per_token)) as ours:
        backends = {f"s{index}": backend(place, probe=probe) for index, place in enumerate(ours)}
        async with routed(backends, {MODEL: route(count, balance)}) as gateway:
            asking: list[asyncio.Task[Asked]] = []
            due = began = monotonic()
            while due < began + size.waits:
                due += chance.expovariate(rate)
                await asyncio.sleep(max(0.0, due - monotonic()))
                length = lengths[len(asking)]
                words = said(f"Write {2 * length} words about {len(asking)}")
                asking.append(asyncio.create_task(gateway.ask(MODEL, words, max_tokens=length, stream=True)))
            answers = await asyncio.gather(*asking)
    broken = [each for each in answers if each.status != 200 or each.flaw]
    assert not broken, broken[0]
    return sorted(each.first_token for each in answers)[int(0.99 * len(answers))]


async def prefixes(size: Size) -> dict[str, float]:
    """How many follow-up turns come to the server that has read their beginning, and how even the load is."""
    count, turns = 4, 4
    async with places(servers(count, slots=16, first_token=0.02)) as ours:
        backends = {f"s{index}": backend(place) for index, place in enumerate(ours)}
        async with routed(backends, {MODEL: route(count, "prefix")}) as gateway:

            async def talk(number: int) -> Asked:
                messages = [{"role": "system", "content": "You are brief."}, *said(f"Say number {number}")]
                for turn in range(1, turns):
                    answer = await gateway.ask(MODEL, messages)
                    assert not answer.flaw, answer
                    messages += [{"role": "assistant", "content": answer.text}, *said(f"Say turn {turn}")]
                return await gateway.ask(MODEL, messages)

            await at_once(size.conversations, WIDTH // 2, talk)
    served = [place.server.served for place in ours]
    hits = sum(place.server.prefix_hits for place in ours)
    return {
        "follow-up turns where their prefix is": hits / (size.conversations * (turns - 1)),
        "most requests of a server / even": max(served) / fmean(served),
    }


async def away(size: Size) -> dict[str, float]:
    """Workers AI refuses everything for a while; a server of one's own stands behind it."""
    found: dict[str, float] = {}
    refusals = {
        "without capacity": edge.model_refusal(503, 3040, "Capacity temporarily exceeded."),
        "with 503 alone": edge.Refusal(503, {}),
    }
    every = await asyncio.gather(*(_away(size.away, refusal) for refusal in refusals.values()))
    for name, figures in zip(refusals, every, strict=True):
        found |= {f"{name}: {what}": value for what, value in figures.items()}
    return found


async def _away(seconds: float, refusal: edge.Refusal) -> dict[str, float]:
    async with places([Simulator(), *servers(1)]) as (account, own):
        backends = {
            "account": {
                "kind": "workers_ai",
                "account_id": SIMULATED_ACCOUNT_ID,
                "api_token": SIMULATED_API_TOKEN,
                "base_url": f"{account.url}/client/v4",
            },
            "own": backend(own),
        }
        targets = [
            {"backend": "account", "model": ACCOUNT_MODEL},
            {"backend": "own", "model": MODEL, "tier": 2},
        ]
        async with routed(backends, {MODEL: {"targets": targets}}) as gateway:
            before = await _load_for(gateway, 0.5)
            account.refused = refusal
            during = await _load_for(gateway, seconds)
            account.refused = None
            back = monotonic()
            after = await _load_for(gateway, RECOVERY + 2 * MARGIN, until="account")
    first = min((each.ended for each in after if each.backend == "account"), default=back + 1000)
    every = [*before, *during, *after]
    return {
        "requests while it was away": len(during),
        "failed requests": sum(each.status != 200 or bool(each.flaw) for each in every),
        "seconds until it is asked again once it is back": first - back,
    }


async def _load_for(gateway: Routed, seconds: float, until: str | None = None) -> list[Asked]:
    """Eight clients that ask one thing after the other, for so long or until a backend has answered."""
    end = monotonic() + seconds
    done: list[Asked] = []

    async def go_on(number: int) -> None:
        while monotonic() < end and not (done and done[-1].backend == until):
            done.append(await gateway.ask(MODEL, said(f"Say hello {number}"), stream=bool(number % 2)))
            await asyncio.sleep(PAUSE)

    await asyncio.gather(*(go_on(number) for number in range(8)))
    return done


async def cost(size: Size) -> dict[str, float]:
    """Microseconds of this process for a request: its plan, its needs, the choice, the attempt's books."""
    request = ChatRequest(model=MODEL, turns=(Turn("user", (TextPart("Hello there, how is the weather?"),)),))
    return {
        f"{balance}: microseconds for a request": _cost_of(balance, request, size.looks)
        for balance in ("ordered", "weighted", "least_loaded", "fastest", "prefix")
    }


def _cost_of(balance: str, request: ChatRequest, looks: int) -> float:
    """The median of ten parts, each after its own share of the looks."""
    backends = {
        f"s{number}": {"kind": "openai", "server": "vllm", "base_url": f"http://127.0.0.1:{9000 + number}/v1"}
        for number in range(3)
    }
    models = {f"model-{number}": route(3, balance) for number in range(100)}
    settings = Settings.model_validate({"data_dir": Path("data"), "backends": backends, "models": models})
    routes, health = routes_of(settings), Health(settings.backends)
    balancer = Balancer(health)
    names = list(models)
    parts = []
    for _ in range(10):
        began = process_time()
        for number in range(looks // 10):
            plan = routes.resolve(names[number % 100])
            target = balancer.choose(plan, needs_within(plan, request))
            assert target is not None
            attempt = health.attempt(target.backend, target.model)
            attempt.began(0.1)
            attempt.end("well")
        parts.append((process_time() - began) / (looks // 10) * 1e6)
    return median(parts)


Scene = Callable[[Size], Coroutine[Any, Any, dict[str, float]]]

SHOWN: tuple[Scene, ...] = (faults, waits, prefixes, away, cost)


async def show(size: Size, shown: Sequence[Scene] = SHOWN) -> dict[str, dict[str, float]]:
    """The figures of scenes."""
    with silenced():
        return {each.__name__: await each(size) for each in shown}


def flaws(figures: dict[str, dict[str, float]], size: Size) -> list[str]:
    """What is not as it should be, in words."""
    return [
        f"{name}: {what} is {value:.3g}"
        for name, values in figures.items()
        for what, value in values.items()
        if not _is_fine(what, value, size)
    ]


def _is_fine(what: str, value: float, size: Size) -> bool:
    most = {
        "failed requests": 0,
        "answers that are no honest error": 0,
        "attempts that cost work / requests": 1.2,
        "seconds of the longest wait": DEADLINE + MARGIN,
        "p99 / by turns": size.shorter,
        "most requests of a server / even": 1.25,
        "seconds until it is asked again once it is back": RECOVERY + MARGIN,
        "microseconds for a request": size.cost,
    }
    least = {"follow-up turns where their prefix is": 0.9}
    highest = min((bound for end, bound in most.items() if what.endswith(end)), default=value)
    lowest = max((bound for end, bound in least.items() if what.endswith(end)), default=value)
    return lowest <= value <= highest


def main() -> int:
    """Print the figures; the status is 1 where one is not as it should be."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--scene", choices=[each.__name__ for each in SHOWN], action="append")
    chosen = parser.parse_args()
    size = QUICK if chosen.quick else FULL
    shown = [each for each in SHOWN if not chosen.scene or each.__name__ in chosen.scene]
    figures: dict[str, dict[str, float]] = {}
    for scene in shown:
        figures |= asyncio.run(show(size, [scene]))
        for what, value in figures[scene.__name__].items():
            sys.stdout.write(f"{scene.__name__}: {what}: {value:.3g}\n")
        sys.stdout.flush()
    broken = flaws(figures, size)
    for words in broken:
        sys.stdout.write(f"NOT AS IT SHOULD BE: {words}\n")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
