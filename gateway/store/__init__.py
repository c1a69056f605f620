"""The shared state: a real Valkey or Redis, 7.0 or newer, and what happens when it is away.

`store` asks it, within a bound of time, and knows when asking is in vain; `scripts` are the Lua files that
decide there. `addresses` reads where it is, `places` knows which server has a key, `lines` are the
connections to one server and `line` is one of them, `clock` is what its time is and `bounds` how long one
waits. `failures` says why it did not answer, `flaws` what is wrong with one that does, and `announcements`
what others tell through it. Where no address is given, `server` runs one of our own, whose program `programs`
finds. The one home of redis-py and hiredis.
"""

from gateway.store.addresses import AddressError
from gateway.store.failures import Reason, StoreAwayError
from gateway.store.programs import EmbeddedError
from gateway.store.scripts import Script
from gateway.store.server import embedded
from gateway.store.store import TAG, NoStore, Store

__all__ = [
    "TAG",
    "AddressError",
    "EmbeddedError",
    "NoStore",
    "Reason",
    "Script",
    "Store",
    "StoreAwayError",
    "embedded",
]
