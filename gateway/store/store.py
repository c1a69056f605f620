"""Asks the store, within a bound of time, and knows when asking is in vain.

One call that did not answer opens the breaker: until a probe is answered again nobody waits, for each would
wait as long. A call that was given up counts as not made. The store itself keeps to that: each script carries
the time, by the store's own clock, after which it must do nothing. The clock is known from earlier replies: a
reply that held the time T and was here at r means that at a later x it is T + (x - r) there at least, so a
script that runs before T + (g - r) has run before its caller gave up at g.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from time import monotonic
from typing import Any, Final

from redis import exceptions
from redis.asyncio import RedisCluster

from gateway.store.failures import Reason, StoreAwayError, reason_of
from gateway.store.links import Link, as_cluster, close, link, listener
from gateway.store.scripts import Script

Argument = bytes | str | int

TAG: Final = "{ps}"  # all that one admission touches lies on one shard of a cluster

_PATIENCE: Final = 2.0  # seconds for commands that no request waits for
_FIRST_PROBE: Final = 0.1
_LAST_PROBE: Final = 1.0
_CLOCK_MEMORY: Final = 10.0  # seconds; a clock that was set back is believed after that
_LEAST_VERSION: Final = (7, 0)

_PROBE: Final = Script("probe")
_PROBED: Final = f"{TAG}:probe"
_WITHOUT_KEY: Final = frozenset({"INFO", "PING", "PUBLISH"})

_logger: Final = logging.getLogger("penstock")


class Store:
    """The store of one process.

    Args:
        url: `redis://`, `rediss://`, `unix://`, `redis+sentinel://` or `redis+cluster://`.
        timeout: Seconds that a request waits for it.
        clock_offset: Milliseconds that scripts add to the store's clock; for tests, which move time.
    """

    def __init__(self, url: str, timeout: float, clock_offset: int = 0) -> None:
        self._url = url
        self._timeout = timeout
        self.clock_offset = clock_offset
        self._link: Link = link(url)
        self._is_away = False
        self._ahead: float | None = None  # ms by which the store's clock is ahead of ours, at least
        self._ahead_since = 0.0
        self._probing: asyncio.Task[None] | None = None
        self._listening: list[asyncio.Task[None]] = []
        self._when_back: list[Callable[[], None]] = []
        self.failures: dict[Reason, int] = {}

    @property
    def is_away(self) -> bool:
        """Whether calls would fail at once."""
        return self._is_away

    def when_back(self, told: Callable[[], None]) -> None:
        """Call `told` each time that the store answers again."""
        self._when_back.append(told)

    def now(self) -> int | None:
        """The store's time in ms, or a little less; None where it never told."""
        return None if self._ahead is None else int(monotonic() * 1000 + self._ahead)

    async def start(self) -> None:
        """Look for it; where it is not there, go on looking."""
        try:
            await self._probe()
        except Exception as error:  # noqa: BLE001 - whatever it is, the store is away
            self._went_away(reason_of(error))

    async def stop(self) -> None:
        """Close all connections."""
        tasks = [*self._listening, *([self._probing] if self._probing else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await close(self._link)

    async def run(self, script: Script, keys: Sequence[str], args: Sequence[Argument] = ()) -> list[Any]:
        """Run a script, in time or not at all.

        Returns:
            Its reply: the store's time in ms, and what follows.

        Raises:
            StoreAwayError: It did not answer in time, or not as it should.
        """
        if self._is_away:
            raise StoreAwayError("away")
        began = monotonic()
        late_after = 0
        if self._ahead is not None:
            late_after = int((began + self._timeout) * 1000 + self._ahead) + self.clock_offset
        try:
            async with asyncio.timeout(self._timeout):
                reply = await self._evaluate(script, keys, (self.clock_offset, late_after, *args))
        except Exception as error:
            raise self._failed(error) from error
        self._heard(reply[0] - self.clock_offset)
        if len(reply) == 2 and reply[1] == b"late":
            self._note("late")
            raise StoreAwayError("late")
        return list(reply)

    async def command(self, *words: Argument) -> Any:
        """Give a plain command, for which no request waits.

        Raises:
            StoreAwayError: It did not answer in time, or not as it should.
        """
        if self._is_away:
            raise StoreAwayError("away")
        try:
            async with asyncio.timeout(_PATIENCE):
                if isinstance(self._link, RedisCluster) and words[0] in _WITHOUT_KEY:
                    node = self._link.get_default_node()
                    return await self._link.execute_command(*words, target_nodes=node)
                return await self._link.execute_command(*words)
        except Exception as error:
            raise self._failed(error) from error

    def listen(self, channel: str, told: Callable[[bytes], None]) -> None:
        """Be told what is announced. An announcement may be lost; it must only make things quicker."""
        self._listening.append(asyncio.create_task(self._listen(channel, told)))

    async def flaws(self) -> list[str]:
        """What is wrong with the store, in words that say what to do; empty where it is as it should be."""
        try:
            server, memory = await self.command("INFO", "server"), await self.command("INFO", "memory")
        except StoreAwayError as error:
            return [f"the store does not answer ({error.reason}): look at redis_url and the server there"]
        facts = _facts(server) | _facts(memory)
        version = facts.get("redis_version", "0")
        flaws = []
        if tuple(int(part) for part in version.split(".")[:2] if part.isdigit()) < _LEAST_VERSION:
            flaws.append(f"the store is version {version}: use Redis 7.0 or newer, or Valkey")
        policy = facts.get("maxmemory_policy", "noeviction")
        if policy != "noeviction" and facts.get("maxmemory", "0") != "0":
            flaws.append(
                f"the store evicts keys when it is full ({policy}), which would forget limits and keys: "
                "set maxmemory-policy to noeviction there"
            )
        return flaws

    async def _evaluate(self, script: Script, keys: Sequence[str], args: Sequence[Argument]) -> Any:
        try:
            return await self._link.execute_command("EVALSHA", script.sha, len(keys), *keys, *args)
        except exceptions.NoScriptError:  # it was restarted, or never knew it: nothing has been done
            return await self._link.execute_command("EVAL", script.text, len(keys), *keys, *args)

    def _heard(self, there: int) -> None:
        """A reply has told the time: believe the greatest lead of late, which was the quickest reply's."""
        here = monotonic()
        ahead = there - here * 1000
        if self._ahead is None or ahead > self._ahead or here - self._ahead_since > _CLOCK_MEMORY:
            self._ahead, self._ahead_since = ahead, here

    def _failed(self, error: Exception) -> StoreAwayError:
        reason = reason_of(error)
        if reason not in {"broken", "pool"}:
            self._went_away(reason)
        else:
            self._note(reason)
            if reason == "broken":
                _logger.error("The store refused a command: %s", _first_line(error))
        return StoreAwayError(reason)

    def _note(self, reason: Reason) -> None:
        self.failures[reason] = self.failures.get(reason, 0) + 1

    def _went_away(self, reason: Reason) -> None:
        self._note(reason)
        if self._is_away:
            return
        self._is_away = True
        _logger.warning("The store does not answer (%s): each limit goes by its 'away' setting.", reason)
        self._probing = asyncio.create_task(self._look_for_it())

    async def _look_for_it(self) -> None:
        wait = _FIRST_PROBE
        while True:
            await asyncio.sleep(wait * random.uniform(0.7, 1.3))  # noqa: S311 - only spreads the probes
            wait = min(_LAST_PROBE, wait * 1.5)
            with suppress(Exception):
                await self._probe()
                break
        self._is_away = False
        _logger.warning("The store answers again.")
        for told in self._when_back:
            told()

    async def _probe(self) -> None:
        async with asyncio.timeout(_PATIENCE if self._ahead is None else max(self._timeout, _FIRST_PROBE)):
            if self._ahead is None:
                await self._join_cluster()
            try:
                reply = await self._evaluate(_PROBE, [_PROBED], (0, 0))
            except exceptions.ReadOnlyError:  # the connections lead to what was the master once
                await self._link.connection_pool.disconnect()
                raise
        self._heard(reply[0])

    async def _join_cluster(self) -> None:
        """Where a plain address is one node's of a cluster, use all of them."""
        if not isinstance(self._link, RedisCluster) and "+" not in self._url.partition("://")[0]:
            facts = _facts(await self._link.execute_command("INFO", "cluster"))
            if facts.get("cluster_enabled") == "1":
                alone, self._link = self._link, as_cluster(self._url)
                await close(alone)

    async def _listen(self, channel: str, told: Callable[[bytes], None]) -> None:
        while True:
            source = listener(self._url)
            try:
                async with source.pubsub(ignore_subscribe_messages=True) as announcements:
                    await announcements.subscribe(channel)
                    async for message in announcements.listen():
                        told(message["data"])
            except (exceptions.RedisError, OSError):
                pass  # it is away, which whoever asks it finds out
            finally:
                await close(source)
            await asyncio.sleep(_LAST_PROBE)


class NoStore:
    """No store at all: what needs one is refused, as in an outage of one that was never there."""

    is_away: Final = True

    def now(self) -> None:
        """Nobody has ever told."""

    async def run(self, _script: Script, _keys: Sequence[str], _args: Sequence[Argument] = ()) -> list[Any]:
        """Refuse.

        Raises:
            StoreAwayError: Always.
        """
        raise StoreAwayError("away")


def _facts(info: Any) -> dict[str, str]:
    """The fields of INFO, as redis-py parsed them or as they came."""
    if isinstance(info, dict):
        return {str(name): str(value) for name, value in info.items()}
    lines = info.decode(errors="replace").splitlines() if isinstance(info, bytes) else []
    return dict(line.split(":", 1) for line in lines if ":" in line)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0][:200]
