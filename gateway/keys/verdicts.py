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
    """Who holds a secret: the key with its team, and until when it is this key's."""

    key: Key
    team: Team | None
    until: float | None

    @property
    def ends(self) -> float | None:
        """When the secret or the key ends, whichever is first."""
        return min((each for each in (self.until, self.key.expires) if each is not None), default=None)


def flaw(held: Held, now: float) -> Why | None:
    """Why a key is refused; None: it holds."""
    key, team, _until = held
    if key.revoked is not None:
        return "revoked"
    if key.disabled:
        return "disabled"
    if team is not None and team.disabled:
        return "team_disabled"
    return "expired" if held.ends is not None and now >= held.ends else None
