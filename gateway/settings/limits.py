"""Limits as people write them, for the gateway, its models and backends; and for keys, in the admin API."""

from typing import Annotated, Literal

from pydantic import Field

from gateway.settings.section import Section

# The store's scripts count in doubles, and add.
_MOST = 10**15

Count = Annotated[int, Field(ge=0, le=_MOST)]


class Burst(Section):
    """A second, shorter window beside the minute's and the day's."""

    seconds: Annotated[float, Field(ge=0.1, le=3600)] = Field(
        default=1.0, description="How long the window is."
    )
    requests: Count | None = Field(default=None, description="Most requests in any such window.")
    tokens: Count | None = Field(default=None, description="Most tokens in any such window.")


class Limits(Section):
    """How much may be asked for. What is not set is not limited; 0 allows nothing."""

    rpm: Count | None = Field(default=None, description="Most requests in any 60 seconds.")
    rpd: Count | None = Field(default=None, description="Most requests in any 24 hours.")
    tpm: Count | None = Field(default=None, description="Most tokens, asked and answered, in any 60 seconds.")
    tpd: Count | None = Field(default=None, description="Most tokens, asked and answered, in any 24 hours.")
    concurrency: Count | None = Field(default=None, description="Most requests in flight at once.")
    burst: Burst | None = Field(default=None, description="A second, shorter window.")
    away: Literal["share", "open", "closed"] = Field(
        default="share",
        description="What holds while the store is away: 'share' lets each worker admit its part of the "
        "limit, 'open' admits all, 'closed' refuses all with 503.",
    )
