"""What calls to backends need, the same for all requests of a worker; and what one round asks of its way."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from gateway.balance import Balancer
from gateway.dispatch.outcomes import is_busy
from gateway.dispatch.shadows import Shadows
from gateway.exchange import Batch
from gateway.health import Asides
from gateway.metrics import Metrics
from gateway.routing import Routes, Target
from gateway.upstream import Upstream
from translators.asking.seam import Seam
from translators.call import BackendCall
from translators.deltas import Usage
from translators.errors import ApiError, CredentialError
from translators.overflow import WindowError


@dataclass(frozen=True, slots=True)
class Means:
    """Everything that answering needs."""

    upstreams: Mapping[str, Upstream]
    metrics: Metrics
    routes: Routes
    balancer: Balancer
    asides: Asides
    shadows: Shadows
    quote_backends: bool = True

    def learn(self, target: Target, error: ApiError, credential: str) -> bool:
        """Keep what an attempt's failure tells of its target, for all who come after.

        Returns:
            Whether the backend gave us another credential, which may do better.
        """
        if isinstance(error, WindowError) and error.window is not None:
            self.routes.learn(target, error.window)
        has_other = isinstance(error, CredentialError) and self._puts_aside(target, error, credential)
        if is_busy(error) and not has_other:
            self.asides.note(target.backend, target.model, error)
        return has_other

    def _puts_aside(self, target: Target, error: CredentialError, credential: str) -> bool:
        """Leave a credential alone that was refused; whether there is another one."""
        credentials = self.upstreams[target.backend].credentials
        if is_busy(error):
            return credentials.busy(credential, error.retry_after)
        return credentials.refused(credential)


class Way(Protocol):
    """A request's way from target to target."""

    def may_leave(self, target: Target, failure: Batch) -> bool:
        """Whether another target is asked after this failure."""

    def answers(self) -> None:
        """Whoever was asked has begun to answer."""

    def last_word(self, failure: Batch) -> Batch:
        """What the client is told of a failure after which nobody else is asked."""

    async def go_on(self, seam: Seam, usage: Usage) -> tuple[Target, BackendCall] | None:
        """Who goes on with an answer that broke off, and how it is asked; None where nobody can."""
