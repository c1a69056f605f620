"""The shared state: a real Valkey or Redis, 7.0 or newer, and what happens when it is away.

`store` asks it, within a bound of time, and knows when asking is in vain; `scripts` are the Lua files that
decide there; `links` makes the connections that an address means; `failures` says why it did not answer;
`server` runs one of our own where no address is given. The one home of redis-py.
"""

from gateway.store.failures import Reason, StoreAwayError
from gateway.store.scripts import Script
from gateway.store.server import EmbeddedError, embedded
from gateway.store.store import TAG, NoStore, Store

__all__ = ["TAG", "EmbeddedError", "NoStore", "Reason", "Script", "Store", "StoreAwayError", "embedded"]
