"""How the backends are doing, and what is therefore asked of them.

`condition` is what one worker knows of a backend or of a model there, `conditions` has all of them, `breaker`
keeps requests away from what fails, `asides` shares with all workers what was set aside or drained, and
`probes` looks by itself at servers of one's own, `reach` at Workers AI.
"""

from gateway.health.asides import CHANGES, Aside, Asides, Logged, place_of
from gateway.health.breaker import Breaker
from gateway.health.condition import Condition, Sign, Told
from gateway.health.conditions import LOOK, Attempted, Health

__all__ = [
    "CHANGES", "LOOK", "Aside", "Asides", "Attempted", "Breaker", "Condition", "Health", "Logged", "Sign",
    "Told", "place_of",
]  # fmt: skip
