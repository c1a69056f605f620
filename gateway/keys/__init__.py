"""Who may call: the operator with the master key, and whoever holds a key that was issued.

`master` keeps the gateway's own secrets, `secrets` is the form of issued keys, `records` what is known of
them, `register` keeps and changes that in the store, and `callers` is what a request needs of it. Here a
request's key is looked at: first without asking anybody, and in the store where it is not known.
"""

import asyncio
import hashlib
import hmac
from collections import OrderedDict
from collections.abc import Mapping
from functools import partial
from time import monotonic
from typing import Final, TypeVar

from gateway.errors import store_away, unauthorized
from gateway.keys.callers import Caller
from gateway.keys.master import KeptKeyError, MasterKey, NoPepperError, master_key, pepper
from gateway.keys.records import Key, Team
from gateway.keys.register import CHANGES, Actor, ConflictError, Register, UnknownRecordError
from gateway.keys.secrets import PREFIX, foreign_digest, is_well_formed
from gateway.store import StoreAwayError

__all__ = [
    "CHANGES",
    "Actor",
    "Caller",
    "ConflictError",
    "KeptKeyError",
    "Key",
    "Keys",
    "MasterKey",
    "NoPepperError",
    "Register",
    "Team",
    "UnknownRecordError",
    "master_key",
    "pepper",
]

Headers = Mapping[bytes, bytes]

_Value = TypeVar("_Value")

_MOST_KNOWN: Final = 10_000
_MOST_UNKNOWN: Final = 10_000
_SHORT: Final = 1.0  # seconds that an answer of the store is believed without asking again


class Keys:
    """Checks the keys of requests.

    Args:
        master: The operator's key.
        register: The issued keys; None where there is no store.
        secret: What digests are made under.
        stale: Seconds for which a key holds that the store cannot confirm.
    """

    def __init__(
        self, master: str, register: Register | None = None, secret: bytes = b"", stale: float = 0.0
    ) -> None:
        self._master = hashlib.sha256(master.encode()).digest()
        self._operator: Final = Caller()
        self.register: Final = register
        self._secret = secret
        self._stale = stale
        self._known: OrderedDict[bytes, Caller] = OrderedDict()
        self._unknown: OrderedDict[bytes, float] = OrderedDict()  # digest -> until when
        self._asking: dict[bytes, asyncio.Task[Caller | None]] = {}
        self._foreign = (False, float("-inf"))  # whether there are keys without our checksum; as of when

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
        caller = self._known.get(self._digest(given)) if self._known else None
        if caller is not None:
            if is_away:
                self.check_unconfirmed(caller)
            caller.check(address)
            return caller
        if hmac.compare_digest(hashlib.sha256(given).digest(), self._master):
            return self._operator
        if self.register is None:
            raise unauthorized(given=True)
        return None

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
        caller = await self._look_up(given) if given is not None else None
        if caller is None:
            raise unauthorized(given=given is not None)
        caller.check(address)
        return caller

    async def refresh(self, caller: Caller, address: str) -> Caller:
        """The same caller as the store has it now.

        Raises:
            ApiError: 401 where the key does not hold any more; 503 where the store does not answer.
        """
        for digest, known in list(self._known.items()):
            if known is caller:
                del self._known[digest]
        if caller.key is None or self.register is None:
            return caller
        try:
            anew = await _read(self.register, caller.key.id, caller.until if caller.key.old_until else None)
        except StoreAwayError:
            raise store_away() from None
        if anew is None:
            raise unauthorized(given=True)
        anew.check(address)
        return anew

    async def fresh(self, caller: Caller, address: str) -> Caller:
        """The caller, as of a moment ago at most: for what is not admitted, where versions are compared."""
        if caller.key is None or monotonic() - caller.confirmed < _SHORT:
            return caller
        return await self.refresh(caller, address)

    def changed(self, record_id: bytes) -> None:
        """A key or team has changed: forget what is known of it."""
        name = record_id.decode(errors="replace")
        for digest, caller in list(self._known.items()):
            if name in {caller.id, caller.team.id if caller.team else ""}:
                del self._known[digest]
        self._unknown.clear()

    def _digest(self, given: bytes) -> bytes:
        return hmac.digest(self._secret, given, "sha256")

    async def _look_up(self, given: bytes) -> Caller | None:
        digest, now = self._digest(given), monotonic()
        if self.register is None or self._unknown.get(digest, now) > now:
            return None
        try:
            if not await self._may_be_one(self.register, given):
                return None
            # Those who ask for the same key at the same time ask once.
            task = self._asking.get(digest)
            if task is None:
                task = self._asking[digest] = asyncio.create_task(self._find(self.register, given, digest))
                task.add_done_callback(partial(self._asked, digest))
            return await asyncio.shield(task)
        except StoreAwayError:
            raise store_away() from None

    def _asked(self, digest: bytes, task: asyncio.Task[Caller | None]) -> None:
        del self._asking[digest]
        if not task.cancelled():
            task.exception()  # retrieved, also where all who asked have left

    async def _may_be_one(self, register: Register, given: bytes) -> bool:
        """Whether the store need be asked: most garbage shows at once."""
        if given.startswith(PREFIX.encode()):
            return is_well_formed(given)
        known, asked = self._foreign
        if not known and monotonic() - asked > _SHORT:
            self._foreign = known, _asked = await register.has_foreign(), monotonic()
        return known

    async def _find(self, register: Register, given: bytes, digest: bytes) -> Caller | None:
        digests = [digest.hex()]
        if not given.startswith(PREFIX.encode()):
            digests.append(foreign_digest(given))
        found = await register.find(*digests)
        caller = None if found is None else await _read(register, *found)
        if caller is None:
            _put(self._unknown, digest, monotonic() + _SHORT, _MOST_UNKNOWN)
        else:
            _put(self._known, digest, caller, _MOST_KNOWN)
        return caller


async def _read(register: Register, key_id: str, until: float | None) -> Caller | None:
    try:
        key, version = await register.read_key(key_id)
        if key.team is None:
            return Caller(key, version, until=until)
        team, team_version = await register.read_team(key.team)
    except UnknownRecordError:
        return None
    return Caller(key, version, team, team_version, until)


def _put(known: OrderedDict[bytes, _Value], digest: bytes, value: _Value, most: int) -> None:
    known[digest] = value
    if len(known) > most:
        known.popitem(last=False)


def _given_key(headers: Headers) -> bytes | None:
    scheme, _, credential = headers.get(b"authorization", b"").partition(b" ")
    if scheme.lower() == b"bearer" and credential.strip():
        return credential.strip()
    return headers.get(b"x-api-key") or headers.get(b"api-key") or None
