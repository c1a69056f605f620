"""Which of several targets that can answer is asked first.

`weighted` takes turns by weight, as evenly as can be. `least_loaded` asks where the fewest requests are for
each weight, `fastest` where a request would begin to be answered soonest, with a look now and then at the
others. `prefix` keeps a conversation where its beginning has been read already, unless that server has a
quarter more to do than the others: consistent hashing with bounded loads (Mirrokni, Thorup, Zadimoghaddam).
"""

import math
import random
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b
from typing import Final

from gateway.balance.needs import Needs
from gateway.health import Condition
from gateway.routing import Target

_EXPLORED: Final = 0.05  # share of requests that look how fast the slower ones are now
_FULL_MEMORY: Final = 0.9  # of keys and values, above which a server begins to put requests off
_BOUND: Final = 1.25  # how much more than its share a server may have for the sake of its cache
_SLACK: Final = 2  # requests; a quarter of next to nothing is nothing
_REMEMBERED: Final = 16_384  # conversations
_MOST_TURNS: Final = 8192

Conditions = Callable[[Target], Condition]  # of a target's backend
_Credit = tuple[tuple[str, str, str], float]
_Last = tuple[tuple[str, int], tuple[str, str]]


class Policies:
    """What has to be remembered from one choice to the next.

    Args:
        backend_of: The condition of a target's backend.
        share_of: The part of its requests that a target gets at the moment, from 0 to 1.
        credit: What is remembered from the start, of whose turn it is.
        last: The same, of where conversations went.
        by_chance: Whether chance may decide; else the first of equals is asked.
    """

    def __init__(
        self,
        backend_of: Conditions,
        share_of: Callable[[Target], float],
        *,
        credit: Iterable[_Credit] = (),
        last: Iterable[_Last] = (),
        by_chance: bool = True,
    ) -> None:
        self._backend_of = backend_of
        self._share_of = share_of
        self._credit = dict(credit)
        self._last = OrderedDict(last)
        self._by_chance = by_chance

    def rehearsal(self, route: str) -> "Policies":
        """A copy of what is remembered of a route, on which choices can be tried."""
        return Policies(
            self._backend_of,
            self._share_of,
            credit=[each for each in self._credit.items() if each[0][0] == route],
            last=[each for each in self._last.items() if each[0][0] == route],
            by_chance=False,
        )

    def pick_with_reason(
        self, balance: str, route: str, targets: Sequence[Target], needs: Needs
    ) -> tuple[Target, str]:
        """The one of these that is asked first, and why, in words for operators."""
        last = self._last.get((route, needs.opening))
        chosen = self.pick(balance, route, targets, needs)
        return chosen, self._reason(balance, chosen, targets, last if needs.opening else ("", ""))

    def pick(self, balance: str, route: str, targets: Sequence[Target], needs: Needs) -> Target:
        """The one of these that is asked first; there is at least one."""
        if len(targets) == 1 and balance != "prefix":
            return targets[0]
        match balance:
            case "weighted":
                return self._weighted(route, targets)
            case "least_loaded":
                return self._least_loaded(targets)
            case "fastest":
                return self._fastest(targets)
            case "prefix":
                return self._prefix(route, targets, needs.opening)
            case _:
                return targets[0]

    def _weighted(self, route: str, targets: Sequence[Target]) -> Target:
        """Each gains credit by its weight; the richest is asked, and pays for all (nginx's smooth turns)."""
        if len(self._credit) > _MOST_TURNS:
            self._credit.clear()
        total = 0.0
        best, most = targets[0], -math.inf
        for target in targets:
            weight = target.weight * self._share_of(target)
            total += weight
            place = (route, target.backend, target.model)
            credit = self._credit[place] = self._credit.get(place, 0.0) + weight
            if credit > most:
                best, most = target, credit
        self._credit[route, best.backend, best.model] -= total
        return best

    def _load(self, target: Target) -> float:
        """How many requests there would be with this one, for each weight."""
        condition = self._backend_of(target)
        told = condition.told
        load: float = (condition.in_flight if told is None else condition.load) + 1
        if told is not None and told.saturation > _FULL_MEMORY:
            load *= 1 + 10 * (told.saturation - _FULL_MEMORY)
        return load / (target.weight * self._share_of(target))

    def _least_loaded(self, targets: Sequence[Target]) -> Target:
        least, best = math.inf, list(targets)
        for target in targets:
            load = self._load(target)
            if load < least:
                least, best = load, [target]
            elif load == least:
                best.append(target)
        return self._any(best)

    def _fastest(self, targets: Sequence[Target]) -> Target:
        """By the time that it has taken lately, for each request that would be there."""
        unknown = [target for target in targets if self._backend_of(target).speed.seconds is None]
        if unknown:
            return self._least_loaded(unknown)
        if self._by_chance and random.random() < _EXPLORED:  # noqa: S311 - no secret
            return self._any(targets)
        return min(targets, key=self._expected)

    def _expected(self, target: Target) -> float:
        return (self._backend_of(target).speed.seconds or 0.0) * self._load(target)

    def _prefix(self, route: str, targets: Sequence[Target], opening: int) -> Target:
        place = (route, opening)
        last, kept = self._last.get(place), None
        loads: list[float] = []
        for each in targets:
            if (each.backend, each.model) == last:
                kept = len(loads)
            loads.append(self._backend_of(each).load)
        even = (sum(loads) + 1) / len(targets)
        bound = max(_BOUND * even, even + _SLACK)
        if kept is not None and loads[kept] + 1 <= bound:
            chosen = targets[kept]
        else:
            chosen = self._by_hash(targets, loads, bound, opening)
            self._last[place] = (chosen.backend, chosen.model)
        self._last.move_to_end(place)
        if len(self._last) > _REMEMBERED:
            self._last.popitem(last=False)
        return chosen

    def _by_hash(
        self, targets: Sequence[Target], loads: Sequence[float], bound: float, opening: int
    ) -> Target:
        """The first in the order of an opening that has room; where none has, the one with the least load."""
        shares = [self._share_of(each) for each in targets]
        places = range(len(targets))
        ranked = sorted(places, key=lambda place: _rank(targets[place], opening, shares[place]))
        free = next((place for place in ranked if loads[place] + 1 <= bound), None)
        return targets[min(ranked, key=lambda place: loads[place]) if free is None else free]

    def _any(self, targets: Sequence[Target]) -> Target:
        by_chance = self._by_chance and len(targets) > 1
        return targets[int(random.random() * len(targets))] if by_chance else targets[0]  # noqa: S311 - no secret

    def _reason(
        self, balance: str, chosen: Target, targets: Sequence[Target], last: tuple[str, str] | None
    ) -> str:
        """Why a target was chosen of several.

        Args:
            balance: By which policy.
            chosen: Which.
            targets: Of which.
            last: Where its conversation went before.
        """
        if len(targets) == 1:
            return "the only one of its tier that is left"
        load = self._load(chosen)
        match balance:
            case "weighted":
                return f"its turn, by weight: {chosen.weight:g} of {sum(each.weight for each in targets):g}"
            case "least_loaded":
                is_tied = sum(self._load(each) == load for each in targets) > 1
                return f"the least load: {load:.3g}{', by chance among equals' if is_tied else ''}"
            case "fastest":
                seconds = self._backend_of(chosen).speed.seconds
                if seconds is None:
                    return f"not measured yet, so by load: {load:.3g}"
                return f"the soonest first token: {seconds:.3g} s at a load of {load:.3g}"
            case "prefix":
                return _reason_of_prefix(chosen, targets, last)
            case _:
                return "the first of its tier that can be asked"


def _reason_of_prefix(chosen: Target, targets: Sequence[Target], last: tuple[str, str] | None) -> str:
    if last == ("", ""):
        return "by the conversation's beginning, which only a body tells"
    if last == (chosen.backend, chosen.model):
        return "has the conversation's beginning"
    if any(last == (each.backend, each.model) for each in targets):
        return "the one with the conversation's beginning has too much to do"
    return "by the hash of the conversation's beginning"


def _rank(target: Target, opening: int, share: float) -> float:
    """Rendezvous hashing by weight: the least rank has the conversation, and few move when one goes."""
    place = f"{opening}\0{target.backend}\0{target.model}".encode()
    number = int.from_bytes(blake2b(place, digest_size=6).digest(), "big")
    return -math.log((number + 1) / (1 << 48)) / (target.weight * share)
