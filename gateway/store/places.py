"""Which server has a key: the one there is, the master that Sentinels know, or one of a cluster's.

What is known gets old: a master fails and another takes over, slots move. So `find` looks anew each time that
the store does not answer as it should; it asks all who may know, and believes most of them.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final, Protocol

from redis.crc import key_slot
from redis.exceptions import AskError, MovedError, RedisError

from gateway.store.addresses import Address, Place
from gateway.store.failures import StoreAwayError
from gateway.store.lines import Lines, ask_once, packed

_SLOTS: Final = 16384
_WAIT: Final = 0.3  # seconds for those who may know; some of them may hang


class Whereabouts(Protocol):
    """Knows which server has a key."""

    async def find(self) -> "Whereabouts":
        """Look anew; gives what knows better from now on."""

    def lines(self, key: str) -> Lines:
        """The connections to the server that has a key.

        Raises:
            StoreAwayError: None is known.
        """

    def moved(self, error: AskError) -> Lines:
        """Those to the server that another one named.

        Raises:
            StoreAwayError: It is not expected to name any.
        """

    async def close(self) -> None:
        """Close all connections."""


def whereabouts(address: Address) -> Whereabouts:
    """What knows where the keys are; nothing is connected yet."""
    match address.kind:
        case "alone":
            return Alone(address)
        case "sentinel":
            return OfSentinel(address)
        case "cluster":
            return OfCluster(address)


class Alone:
    """One server."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._lines = Lines(lambda: address.connection(address.places[0] if address.places else None))
        self._is_known = False

    async def find(self) -> Whereabouts:
        """Where the server belongs to a cluster, use all of that."""
        if not self._is_known and self._address.places:
            if b"cluster_enabled:1" in await self._lines.ask(packed("INFO", "cluster")):
                await self._lines.close()
                return await OfCluster(self._address).find()
            self._is_known = True
        return self

    def lines(self, _key: str) -> Lines:
        """The only ones."""
        return self._lines

    def moved(self, _error: AskError) -> Lines:
        """It has joined a cluster: the next look will tell."""
        self._is_known = False
        raise StoreAwayError("moved")

    async def close(self) -> None:
        """Close all connections."""
        await self._lines.close()


class OfSentinel:
    """The master that Sentinels know."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._master: Place | None = None
        self._lines: Lines | None = None

    async def find(self) -> Whereabouts:
        """Ask all Sentinels, and believe most of them."""
        words = packed("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._address.service)
        connections = [self._address.sentinel_connection(place) for place in self._address.places]
        answers = [reply for replies in await _ask_all(connections, words) for reply in replies if reply]
        named = Counter((host.decode(), int(port)) for host, port in answers)
        if named:
            await self._use(named.most_common(1)[0][0])
        return self

    async def _use(self, master: Place) -> None:
        if master == self._master:
            return
        if self._lines is not None:
            await self._lines.close()
        self._master = master
        self._lines = Lines(lambda: self._address.connection(master))

    def lines(self, _key: str) -> Lines:
        """Those to the master."""
        if self._lines is None:
            raise StoreAwayError("refused")
        return self._lines

    def moved(self, _error: AskError) -> Lines:
        """Sentinels watch no clusters."""
        raise StoreAwayError("moved")

    async def close(self) -> None:
        """Close all connections."""
        if self._lines is not None:
            await self._lines.close()


class OfCluster:
    """The servers of a cluster, by slot."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._servers: dict[Place, Lines] = {}
        self._owners: list[Place | None] = [None] * _SLOTS

    async def find(self) -> Whereabouts:
        """Ask all nodes, and believe those that have seen the latest change and serve."""
        places = list(dict.fromkeys([*self._servers, *self._address.places]))
        connections = [self._address.connection(place) for place in places]
        replies = await _ask_all(connections, packed("CLUSTER", "SLOTS"), packed("CLUSTER", "INFO"))
        views = [
            (_freshness(found[1]), place, found[0])
            for place, found in zip(places, replies, strict=True)
            if found and found[0]
        ]
        if views:
            _, told_by, slots = max(views, key=lambda view: view[0])
            await self._use(slots, told_by)
        return self

    async def _use(self, slots: Sequence[Any], told_by: Place) -> None:
        owners: list[Place | None] = [None] * _SLOTS
        for first, last, (host, port, *_), *_replicas in slots:
            owner = ((host or b"").decode() or told_by[0], port)
            owners[first : last + 1] = [owner] * (last + 1 - first)
        self._owners = owners
        for gone in self._servers.keys() - set(owners):
            await self._servers.pop(gone).close()

    def lines(self, key: str) -> Lines:
        """Those to the server that has a key's slot."""
        owner = self._owners[key_slot(key.encode())]
        if owner is None:
            raise StoreAwayError("moved")
        return self._lines_to(owner)

    def moved(self, error: AskError) -> Lines:
        """Those to the server that another one named."""
        place = (error.host or self._address.places[0][0], error.port)
        if isinstance(error, MovedError):  # for good, unlike a mere ASK
            self._owners[error.slot_id] = place
        return self._lines_to(place)

    def _lines_to(self, place: Place) -> Lines:
        lines = self._servers.get(place)
        if lines is None:
            lines = self._servers[place] = Lines(lambda: self._address.connection(place))
        return lines

    async def close(self) -> None:
        """Close all connections."""
        for lines in self._servers.values():
            await lines.close()


def _freshness(info: bytes) -> tuple[bool, int]:
    facts = dict(line.split(":", 1) for line in info.decode(errors="replace").splitlines() if ":" in line)
    return facts.get("cluster_state") == "ok", int(facts.get("cluster_current_epoch", 0))


async def _ask_all(connections: Sequence[Any], *commands: bytes) -> list[list[Any]]:
    """The replies of each that answers in time; none of one that does not."""
    return await asyncio.gather(*(_ask(connection, commands) for connection in connections))


async def _ask(connection: Any, commands: Sequence[bytes]) -> list[Any]:
    with suppress(RedisError, OSError):
        return await ask_once(connection, _WAIT, *commands)
    return []
