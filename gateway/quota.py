"""How much somebody may ask for: the values of limits, as records keep them and admission reads them.

People write them as `settings.Limits`; the two have the same fields.
"""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

Away = Literal["share", "open", "closed"]


class Burst(msgspec.Struct, frozen=True, omit_defaults=True):
    """A second, shorter window: its length in seconds, the most requests and tokens in any such window."""

    seconds: float = 1.0
    requests: int | None = None
    tokens: int | None = None


class Quota(msgspec.Struct, frozen=True, omit_defaults=True):
    """The limits of one subject. None: not limited; 0: nothing is allowed.

    Attributes:
        rpm: Requests in any 60 seconds.
        rpd: Requests in any 24 hours.
        tpm: Tokens, of prompt and answer together, in any 60 seconds.
        tpd: The same in any 24 hours.
        concurrency: Requests in flight at once.
        burst: A second, shorter window.
        away: What holds while the store is away.
    """

    rpm: int | None = None
    rpd: int | None = None
    tpm: int | None = None
    tpd: int | None = None
    concurrency: int | None = None
    burst: Burst | None = None
    away: Away = "share"


UNLIMITED = Quota()


def quota_of(fields: Mapping[str, Any]) -> Quota:
    """The values of limits that people wrote, field by field."""
    return msgspec.convert(fields, Quota)
