"""What it costs to know whose key a request has: `python -m tests.bench.keys`.

CPU of this process for a look at one request's headers, with as many callers known as are kept at most. Each
figure is the least of several rounds. The status is 1 where the budget is not kept to.
"""

import sys
import time
from collections.abc import Callable
from itertools import cycle
from typing import Final

from gateway.keys import Caller, Key, Keys, Register, Team
from gateway.keys.known import MOST
from gateway.keys.secrets import is_well_formed, new_secret
from gateway.keys.verdicts import Held
from gateway.store import Store

_BUDGET: Final = 6.0  # us
_CALLS: Final = 100_000
_ROUNDS: Final = 7
_PEPPER: Final = b"pepper of the bench"
_MASTER: Final = "sk-ps-master-of-the-bench"
_HERE: Final = "127.0.0.1"

Headers = dict[bytes, bytes]


def main() -> int:
    """Measure."""
    keys = Keys(_MASTER, Register(Store("redis://127.0.0.1:1", 0.1), _PEPPER), _PEPPER, stale=600)
    given = [_given(_known(keys, number)) for number in range(MOST)]
    in_turn = cycle(given[1:])
    restricted = _given(_known(keys, MOST, allowed_ips=("10.0.0.0/8", "127.0.0.0/8")))
    master = _given(_MASTER)
    looks = {
        "the same key": lambda: keys.known(given[MOST // 2], _HERE),
        "ten thousand keys in turn": lambda: keys.known(next(in_turn), _HERE),
        "a key with allowed_ips": lambda: keys.known(restricted, _HERE),
        "the master key": lambda: keys.known(master, _HERE),
    }
    costs = {name: _us(look) for name, look in looks.items()}
    garbage = b"sk-ps-" + b"x" * 46
    beside = {"garbage is told": _us(lambda: is_well_formed(garbage))}
    for name, cost in {**costs, **beside}.items():
        sys.stdout.write(f"{name}: {cost:.2f} us\n")
    return 0 if max(costs.values()) <= _BUDGET else 1


def _known(keys: Keys, number: int, allowed_ips: tuple[str, ...] | None = None) -> str:
    """The secret of a new key that is known to a worker."""
    secret = new_secret("inference")
    key = Key(
        id=f"key_{number}", name="k", redacted="", created=0.0, models=("@cf/*",), allowed_ips=allowed_ips
    )
    team = Team(id=f"team_{number % 100}", name="t", created=0.0)
    keys._known.put(Caller(Held(key, team, None), keys._shown(secret.encode())))
    return secret


def _given(secret: str) -> Headers:
    return {b"host": b"localhost", b"authorization": f"Bearer {secret}".encode()}


def _us(look: Callable[[], object]) -> float:
    def one_round() -> float:
        began = time.process_time()
        for _ in range(_CALLS):
            look()
        return (time.process_time() - began) / _CALLS * 1e6

    return min(one_round() for _ in range(_ROUNDS))


if __name__ == "__main__":
    sys.exit(main())
