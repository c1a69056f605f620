"""Whether a key holds, wherever it is used and for whatever; and if not, why."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

from gateway.keys.records import Key, Team

Why = Literal["malformed", "unknown", "revoked", "disabled", "team_disabled", "expired"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a secret is good. `why` says why not; `key` whose it is, where it is somebody's."""

    why: Why | None
    key: Key | None = None

    @property
    def is_valid(self) -> bool:
        """Whether requests with it are taken."""
        return self.why is None


class Held(NamedTuple):
    """Who holds a secret: the key with its team, and when this secret of it ends."""

    key: Key
    team: Team | None
    until: float | None


def flaw(held: Held, now: float) -> Why | None:
    """Why a key is refused; None: it holds."""
    key, team, until = held
    if key.revoked is not None:
        return "revoked"
    if key.disabled:
        return "disabled"
    if team is not None and (team.disabled or team.revoked is not None):
        return "team_disabled"
    is_over = (until is not None and now >= until) or (key.expires is not None and now >= key.expires)
    return "expired" if is_over else None
