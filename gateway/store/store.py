"""Asks the store, within a bound of time, and knows when asking is in vain.

A call that did not answer in time opens the breaker, as do some that broke one after the other: until a probe
is answered again nobody waits, for each would wait as long. A call that was given up counts as not made. The
store itself keeps to that: each script carries the time, by the store's own clock, after which it must do
nothing, so that one which ran before that has surely run before its caller gave up. Nothing is tried twice
but what has certainly not run: a script that the server did not know, or that another server should have
been asked for, or that came after its time.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from time import monotonic
from typing import Any, Final

from redis import exceptions

from gateway.store import addresses
from gateway.store.announcements import Listener
from gateway.store.bounds import Bounds
from gateway.store.failures import WORDS, Reason, StoreAwayError, reason_of
from gateway.store.flaws import facts_of, flaws_in
from gateway.store.lines import Lines, Word, packed, packed_call
from gateway.store.places import whereabouts
from gateway.store.scripts import Script

TAG: Final = "{ps}"  # all that one admission touches lies on one shard of a cluster

_PATIENCE: Final = 2.0  # seconds for commands that no request waits for
_FIRST_PROBE: Final = 0.1
_LAST_PROBE: Final = 1.0
_TRIES: Final = 4
_EARLIER: Final = 2  # ms: times are told in whole ms, and an event loop's timers are as coarse
_LOG_PAUSE: Final = 10.0

_PROBE: Final = Script("probe")
# At the first such failure all others would fail as well; of these the second kind may be one connection's.
_OPENS_AT_ONCE: Final = frozenset({"timeout", "full", "read_only", "loading", "denied"})
_OPENS_IN_A_ROW: Final = frozenset({"refused", "busy", "moved"})
_A_ROW: Final = 3

_MOVED: Final[Reason] = "moved"
_LATE: Final[Reason] = "late"

_Ask = Callable[[bytes], Coroutine[Any, Any, Any]]

_logger: Final = logging.getLogger("penstock")


class Store:
    """The store of one process.

    Args:
        url: `redis://`, `rediss://`, `unix://`, `redis+sentinel://` or `redis+cluster://`.
        timeout: Seconds that a request waits for it.
        clock_offset: Milliseconds that scripts add to the store's clock; for tests, which move time.

    Attributes:
        is_away: Whether calls would fail at once.
        failures: How many calls failed, by reason.

    Raises:
        AddressError: The address is none.
    """

    def __init__(self, url: str, timeout: float, clock_offset: int = 0) -> None:
        self._timeout = timeout
        self.clock_offset = clock_offset
        self._where = whereabouts(addresses.read(url))
        self._bounds = Bounds()
        self.is_away = False
        self._away_for: Reason | None = None
        self._failed_in_a_row = 0
        self._probed = f"{TAG}:probe"
        self._probing: asyncio.Task[None] | None = None
        self._finding: asyncio.Task[None] | None = None
        self._listeners: dict[Listener, asyncio.Task[None]] = {}
        self._when_away: list[Callable[[], None]] = []
        self._when_back: list[Callable[[], None]] = []
        self._may_log_at = 0.0
        self.failures: dict[Reason, int] = {}

    def when_away(self, told: Callable[[], None]) -> None:
        """Call `told` each time that the store does not answer any more."""
        self._when_away.append(told)

    def when_back(self, told: Callable[[], None]) -> None:
        """Call `told` each time that the store answers again."""
        self._when_back.append(told)

    def now(self) -> int | None:
        """The store's time in ms, or a little less; None where it never told."""
        with suppress(StoreAwayError):
            return self._where.lines(TAG).clock.at(monotonic())
        return None

    async def start(self) -> None:
        """Look for it, and say what is wrong with it; where it is not there, go on looking."""
        try:
            await self.probe(_PATIENCE)
        except Exception as error:  # noqa: BLE001 - whatever it is, the store is away
            self._went_away(reason_of(error), error)
            return
        for flaw in await self.flaws():
            _logger.warning("Store: %s.", flaw)

    async def stop(self) -> None:
        """Close all connections."""
        tasks = [*self._listeners.values(), *(task for task in (self._probing, self._finding) if task)]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._where.close()

    async def run(
        self, script: Script, keys: Sequence[str], args: Sequence[Word] = (), within: float | None = None
    ) -> list[Any]:
        """Run a script, in time or not at all.

        Args:
            script: What to run.
            keys: All keys that it touches; in a cluster they share a tag.
            args: What it gets after the prologue's arguments.
            within: Seconds; by default the setting's.

        Returns:
            Its reply: the store's time in ms, and what follows.

        Raises:
            StoreAwayError: It did not answer in time, or not as it should.
        """
        if self.is_away:
            raise StoreAwayError("away")
        end = asyncio.get_running_loop().time() + (self._timeout if within is None else within)
        try:
            with self._bounds.until(end):
                reply = await self._evaluate(script, keys, args, end)
        except Exception as error:
            raise self._failed(error, keys[0]) from error
        self._failed_in_a_row = 0
        return reply

    async def command(self, *words: Word) -> Any:
        """Give a plain command, for which no request waits.

        Raises:
            StoreAwayError: It did not answer in time, or not as it should.
        """
        if self.is_away:
            raise StoreAwayError("away")
        key = next((word for word in words if isinstance(word, str) and "{" in word), TAG)
        try:
            async with asyncio.timeout(_PATIENCE):
                reply = await self._command(key, packed(*words))
        except Exception as error:
            raise self._failed(error, key) from error
        self._failed_in_a_row = 0
        return reply

    def listen(self, channel: str, told: Callable[[bytes], None]) -> None:
        """Be told what is announced. An announcement may be lost; it must only make things quicker."""
        listener = Listener(lambda: self._where.lines(TAG), channel, told)
        self._listeners[listener] = asyncio.create_task(listener.run())

    async def flaws(self) -> list[str]:
        """What is wrong with the store, in words that say what to do; empty where it is as it should be."""
        if self._away_for is not None:
            return [WORDS[self._away_for]]
        try:
            info = [await self.command("INFO", section) for section in ("server", "memory", "replication")]
        except StoreAwayError as error:
            return [WORDS[error.reason]]
        return list(flaws_in(facts_of(b"".join(info))))

    async def probe(self, within: float) -> None:
        """Look where it is, and whether it can be written to in time.

        Raises:
            Exception: It cannot; `reason_of` knows why.
        """
        async with asyncio.timeout(_PATIENCE):
            self._where = await self._where.find()
            lines = self._where.lines(self._probed)
            await lines.forget()  # what one of them did not do the others would not either
            await lines.warm()
        end = asyncio.get_running_loop().time() + within
        with self._bounds.until(end):
            await self._evaluate(_PROBE, [self._probed], (), end)

    async def _evaluate(
        self, script: Script, keys: Sequence[str], args: Sequence[Word], end: float
    ) -> list[Any]:
        lines = self._where.lines(keys[0])
        ask: _Ask = lines.ask
        call, reason = ("EVALSHA", script.sha), _MOVED
        for _ in range(_TRIES):
            late_after = lines.clock.at(end)
            if late_after is None:
                late_after = await self._time_there(lines, end)
            bounded = self.clock_offset, late_after - _EARLIER + self.clock_offset, *args
            command = packed_call(call, keys, bounded)
            asked = monotonic()
            try:
                reply = await ask(command)
            except exceptions.NoScriptError:  # the server was restarted, or never knew it
                call = "EVAL", script.text
                continue
            except exceptions.AskError as error:
                lines, ask = self._follow(error)
                continue
            lines.clock.heard(reply[0] - self.clock_offset, asked, monotonic())
            if len(reply) != 2 or reply[1] != b"late":
                return list(reply)
            reason = _LATE  # it is later there than was known, which the reply has told
        raise StoreAwayError(reason)

    async def _time_there(self, lines: Lines, end: float) -> int:
        """What an end is by the clock of a server that has not told the time yet."""
        asked = monotonic()
        seconds, micros = await lines.ask(_TIME)
        lines.clock.heard(int(seconds) * 1000 + int(micros) // 1000, asked, monotonic())
        return lines.clock.at(end) or 0

    async def _command(self, key: str, command: bytes) -> Any:
        ask: _Ask = self._where.lines(key).ask
        for _ in range(_TRIES):
            try:
                return await ask(command)
            except exceptions.AskError as error:
                _lines, ask = self._follow(error)
        raise StoreAwayError("moved")

    def _follow(self, error: exceptions.AskError) -> tuple[Lines, _Ask]:
        """Another server of the cluster has the key: ask that, and soon who has what."""
        lines = self._where.moved(error)
        if not isinstance(error, exceptions.MovedError):
            return lines, lines.ask_as_asking
        if self._finding is None or self._finding.done():
            self._finding = asyncio.create_task(self._find())
        return lines, lines.ask

    async def _find(self) -> None:
        with suppress(Exception):
            self._where = await self._where.find()

    def _failed(self, error: Exception, key: str) -> StoreAwayError:
        reason = reason_of(error)
        if reason in _OPENS_IN_A_ROW:
            self._failed_in_a_row += 1
        if reason in _OPENS_AT_ONCE or self._failed_in_a_row >= _A_ROW:
            self._probed = _beside(key)
            self._went_away(reason, error)
        else:
            self._note(reason)
            self._log(reason, error)
        return StoreAwayError(reason)

    def _note(self, reason: Reason) -> None:
        self.failures[reason] = self.failures.get(reason, 0) + 1

    def _log(self, reason: Reason, error: Exception) -> None:
        now = monotonic()
        if now >= self._may_log_at:
            self._may_log_at = now + _LOG_PAUSE
            _logger.warning("Store: %s (%s).", WORDS[reason], _first_line(error))

    def _went_away(self, reason: Reason, error: Exception) -> None:
        self._note(reason)
        if self.is_away:
            return
        self.is_away, self._away_for = True, reason
        _logger.warning(
            "Store: %s (%s). Until it answers each limit goes by its 'away' setting.",
            WORDS[reason],
            _first_line(error),
        )
        self._probing = asyncio.create_task(self._look_for_it())
        for told in self._when_away:
            told()

    async def _look_for_it(self) -> None:
        wait = _FIRST_PROBE
        while self.is_away:
            await asyncio.sleep(wait * random.uniform(0.7, 1.3))  # noqa: S311 - only spreads the probes
            wait = min(_LAST_PROBE, wait * 1.5)
            try:
                await self.probe(max(self._timeout, _FIRST_PROBE))
            except Exception as error:  # noqa: BLE001 - whatever it is, the store is away
                self._away_for = reason_of(error)
            else:
                self.is_away, self._away_for = False, None
        self._failed_in_a_row = 0
        _logger.warning("Store: it answers again.")
        for told in self._when_back:  # before anybody else asks it
            told()
        for listener in self._listeners:
            await listener.renew()


class NoStore:
    """No store at all: what needs one is refused, as in an outage of one that was never there."""

    is_away: Final = True

    def now(self) -> None:
        """Nobody has ever told."""

    async def run(
        self,
        _script: Script,
        _keys: Sequence[str],
        _args: Sequence[Word] = (),
        _within: float | None = None,
    ) -> list[Any]:
        """Refuse.

        Raises:
            StoreAwayError: Always.
        """
        raise StoreAwayError("away")


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0][:200] or type(error).__name__


def _beside(key: str) -> str:
    """A key of ours on the same shard."""
    _, opened, rest = key.partition("{")
    return f"{{{rest.partition('}')[0]}}}:probe" if opened else f"{TAG}:probe"


_TIME: Final = packed("TIME")
