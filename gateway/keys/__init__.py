"""Who may call: the operator with the master key, and whoever holds a key that was issued.

`secrets` is the form of issued keys, `records` what is known of them, `verdicts` whether that is good.
`archive` is how the store has it, `register` how it is read, changed (with `entries` in the audit log) and
listed in `pages`. `callers` is what a request needs of it, `known` those of late, and `together` asks for one
only once. `pepper` and `master` are the gateway's own secrets, `mark` tells whether others have the same,
`bootstrap` makes the first key of all.

Here a request's key is looked at: first without asking anybody, and in the store where it is not known.
"""

import asyncio
import hmac
import logging
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from hashlib import blake2b, sha256
from time import monotonic, time
from typing import Final

from gateway.errors import keys_unreadable, store_away, unauthorized
from gateway.keys import mark
from gateway.keys.archive import CHANGES, LIMITS, UnknownRecordError
from gateway.keys.bootstrap import FirstKey
from gateway.keys.callers import Caller
from gateway.keys.entries import Actor
from gateway.keys.known import Known
from gateway.keys.master import MasterKey, master_key
from gateway.keys.pages import Page
from gateway.keys.pepper import KeptKeyError, NoPepperError, pepper
from gateway.keys.records import AuditEntry, Key, Role, Rotated, SetLimits, Status, Team
from gateway.keys.register import ConflictError, Register
from gateway.keys.secrets import is_ours, is_well_formed, quoted_id, stored_digest
from gateway.keys.together import Together
from gateway.keys.verdicts import Verdict
from gateway.store import StoreAwayError
from translators.errors import ApiError

__all__ = [
    "CHANGES",
    "LIMITS",
    "Actor",
    "AuditEntry",
    "Caller",
    "ConflictError",
    "FirstKey",
    "KeptKeyError",
    "Key",
    "Keys",
    "MasterKey",
    "NoPepperError",
    "Page",
    "Register",
    "Role",
    "Rotated",
    "SetLimits",
    "Status",
    "Team",
    "UnknownRecordError",
    "Verdict",
    "master_key",
    "pepper",
    "quoted_id",
]

Headers = Mapping[bytes, bytes]

_logger: Final = logging.getLogger("penstock")

_MOST_UNKNOWN: Final = 10_000
_SHORT: Final = 1.0  # seconds that an answer of the store is believed without asking again
_LONGEST: Final = 512  # bytes of a key; nobody issues longer ones
_NOTES: Final = 10.0  # seconds between two notes of who has called
_FOREIGN: Final = b""  # what is asked together beside secrets: whether there are keys made elsewhere


class Keys:
    """Checks the keys of requests.

    Args:
        master: The operator's key, where there is one.
        register: The issued keys; None where there is no store.
        secret: What digests are made under.
        stale: Seconds for which a key holds that the store cannot confirm.
    """

    def __init__(
        self,
        master: str | None,
        register: Register | None = None,
        secret: bytes = b"",
        stale: float = 0.0,
    ) -> None:
        self._secret = secret
        self._mark = sha256(secret).digest()  # what `_shown` is made under
        self._master = self._shown(master.encode()) if master is not None else None
        self._longest = max(_LONGEST, len(master or ""))
        self._operator: Final = Caller()
        self.register: Final = register
        self._stale = stale
        self._known: Final = Known()
        self._unknown: OrderedDict[bytes, float] = OrderedDict()  # what is kept of a secret -> until when
        self._looking: Together[Caller | None] = Together()
        self._asking_foreign: Together[bool] = Together()
        self._foreign = (False, float("-inf"))  # whether there are keys made elsewhere; as of when
        self._used: dict[str, float] = {}  # key -> when; not noted in the store yet
        self._is_compared = False
        self.flaw = ""  # why no issued key can be known here, in words for the operator

    def known(self, headers: Headers, address: str = "", *, is_away: bool = False) -> Caller | None:
        """Whose key a request has, where nobody need be asked; None where only the store can tell.

        Args:
            headers: Lower-case name -> value. `Authorization: Bearer`, `x-api-key` and `api-key` count.
            address: Whence it comes.
            is_away: Whether the store is known not to answer.

        Raises:
            ApiError: 401; 503 where the store has not been heard for too long.
        """
        given = _given_key(headers)
        if given is None:
            raise unauthorized(given=False)
        if len(given) > self._longest:
            raise unauthorized(given=True)
        shown = self._shown(given)
        caller = self._known.get(shown)
        if caller is None:
            if self._master is not None and hmac.compare_digest(shown, self._master):
                return self._operator
            if self.register is None:
                raise unauthorized(given=True)
            return None
        if is_away:
            self.check_unconfirmed(caller)
        try:
            caller.check(address)
        except ApiError:
            if is_away or monotonic() - caller.confirmed < _SHORT:
                raise
            return None  # it may hold again, and the word of that be lost
        self._used[caller.id] = time()
        return caller

    def check_unconfirmed(self, caller: Caller) -> None:
        """Let in whom the store cannot confirm now, if it did not long ago.

        Raises:
            ApiError: 503.
        """
        if caller.key is not None and monotonic() - caller.confirmed > self._stale:
            raise store_away()

    async def look_up(self, headers: Headers, address: str = "") -> Caller:
        """Whose key a request has, which is not known here.

        Raises:
            ApiError: 401; 503 where the store does not answer.
        """
        given = _given_key(headers)
        try:
            caller = await self._look_up(given) if given is not None else None
        except StoreAwayError:
            raise store_away() from None
        if caller is None:
            if self.flaw:
                raise keys_unreadable()
            raise unauthorized(given=given is not None)
        caller.check(address)
        self._used[caller.id] = time()
        return caller

    async def refresh(self, caller: Caller, address: str) -> Caller:
        """The same caller as the store has it now.

        Raises:
            ApiError: 401 where the key, or the secret that was given, does not hold any more; 503 where the
                store does not answer.
        """
        try:
            return await self._refresh(caller, address)
        except StoreAwayError:
            raise store_away() from None

    async def fresh(self, caller: Caller, address: str) -> Caller:
        """The caller, as of a moment ago at most: for what is not admitted, where versions are compared.

        Raises:
            ApiError: As for `refresh`, but where the store does not answer what is known holds for its time.
        """
        if caller.key is None or monotonic() - caller.confirmed < _SHORT:
            return caller
        try:
            return await self._refresh(caller, address)
        except StoreAwayError:
            self.check_unconfirmed(caller)
            return caller

    def changed(self, record_id: bytes) -> None:
        """A key or team has changed: forget what is known of it."""
        self._known.drop_all_of(record_id.decode(errors="replace"))
        self._unknown.clear()
        self._foreign = (self._foreign[0], float("-inf"))

    async def run(self) -> None:
        """Note in the store who has called, until cancelled."""
        while True:
            await self.compare()
            await asyncio.sleep(_NOTES)
            await self.note()

    async def compare(self) -> None:
        """See once whether all others at the store keep keys under the same secret."""
        if self.register is None or self._is_compared:
            return
        with suppress(StoreAwayError):
            if not await mark.is_shared(self.register.archive.store, self._secret):
                self.flaw = mark.FLAW
                _logger.error("Keys: %s.", self.flaw)
            self._is_compared = True

    async def note(self) -> None:
        """Note who has called since the last time; where the store is away, with the next ones."""
        if self.register is None or not self._used:
            return
        used, self._used = self._used, {}
        try:
            await self.register.archive.note_used(used)
        except StoreAwayError:
            self._used = {**used, **self._used}

    def _shown(self, given: bytes) -> bytes:
        """What is kept of a secret here, which nobody can make without the pepper."""
        return blake2b(given, key=self._mark, digest_size=32).digest()  # a third of what HMAC costs

    async def _look_up(self, given: bytes) -> Caller | None:
        shown, now = self._shown(given), monotonic()
        if self.register is None or self._unknown.get(shown, now) > now:
            return None
        if not await self._may_be_one(self.register, given):
            return None
        stored = stored_digest(self._secret, given)
        return await self._looking.ask(shown, partial(self._find, self.register, shown, stored))

    async def _refresh(self, caller: Caller, address: str) -> Caller:
        if caller.key is None or self.register is None:
            return caller
        ask = partial(self._find, self.register, caller.shown, caller.stored)
        anew = await self._looking.ask(caller.shown, ask)
        if anew is None:
            raise unauthorized(given=True)
        anew.check(address)
        return anew

    async def _may_be_one(self, register: Register, given: bytes) -> bool:
        """Whether the store need be asked: most garbage shows at once."""
        if is_ours(given):
            return is_well_formed(given)
        known, asked = self._foreign
        if not known and monotonic() - asked > _SHORT:
            known = await self._asking_foreign.ask(_FOREIGN, register.archive.has_foreign)
            self._foreign = known, monotonic()
        return known

    async def _find(self, register: Register, shown: bytes, stored: str) -> Caller | None:
        asked = monotonic()
        held = await register.held(stored)
        if held is None:
            self._known.drop(shown)
            self._unknown[shown] = asked + _SHORT
            if len(self._unknown) > _MOST_UNKNOWN:
                self._unknown.popitem(last=False)
            return None
        caller = Caller(held, shown, stored)
        caller.confirmed = asked
        self._known.put(caller)
        return caller


def _given_key(headers: Headers) -> bytes | None:
    scheme, _, credential = headers.get(b"authorization", b"").partition(b" ")
    if scheme.lower() == b"bearer" and (given := credential.strip()):
        return given
    return headers.get(b"x-api-key") or headers.get(b"api-key") or None
