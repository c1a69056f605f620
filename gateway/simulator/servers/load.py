"""A server's load: places for requests, those that wait for one, and the prefixes that it still knows."""

import asyncio
import hashlib
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from gateway.simulator.conversation import Turn


class Slots:
    """Places in the batch; who comes when all are taken waits, in order."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._waiting: deque[asyncio.Future[None]] = deque()
        self.running = 0
        self.served = 0

    @property
    def number(self) -> int:
        """How many there are."""
        return self._number

    @number.setter
    def number(self, number: int) -> None:
        self._number = number
        self._admit()

    @property
    def waiting(self) -> int:
        """How many requests wait for a place."""
        return len(self._waiting)

    @asynccontextmanager
    async def taken(self, left: asyncio.Future[None]) -> AsyncIterator[bool]:
        """Hold a place inside the block; False where the client has left before there was one."""
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        self._admit()
        try:
            await asyncio.wait([turn, left], return_when=asyncio.FIRST_COMPLETED)
            yield turn.done() and not left.done()
        finally:
            if turn.done():
                self.running -= 1
                self.served += 1
                self._admit()
            else:
                self._waiting.remove(turn)

    def _admit(self) -> None:
        while self._waiting and self.running < self._number:
            self.running += 1
            self._waiting.popleft().set_result(None)


class Prefixes:
    """What a server keeps of earlier prompts: how they began; the least used is forgotten first."""

    def __init__(self, most: int) -> None:
        self._known: OrderedDict[bytes, None] = OrderedDict()
        self._most = most
        self.queries = self.hits = 0
        self.queried_tokens = self.hit_tokens = 0

    def look(self, turns: Sequence[Turn], tokens: Sequence[int]) -> int:
        """Count a prompt, given the tokens of each turn; says how many tokens of it are known from before.

        It hits where a conversation is known up to its first question at least.
        """
        digest, known, so_far, is_question, is_hit = hashlib.blake2b(digest_size=16), 0, 0, False, False
        for turn, cost in zip(turns, tokens, strict=True):
            said = f"{turn.role}\0{turn.text}\0"
            digest.update(said.encode("utf-8", "surrogatepass"))
            so_far += cost
            is_question = is_question or turn.role == "user"
            if digest.digest() in self._known:
                known, is_hit = so_far, is_question
            self._remember(digest.digest())
        self.queries += 1
        self.hits += is_hit
        self.queried_tokens += so_far
        self.hit_tokens += known
        return known

    def _remember(self, digest: bytes) -> None:
        self._known[digest] = None
        self._known.move_to_end(digest)
        while len(self._known) > self._most:
            self._known.popitem(last=False)
