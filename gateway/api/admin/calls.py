"""One call of the admin API as its operations see it: who calls, what was sent, and the rooms that answer."""

from collections.abc import Mapping
from typing import Any, TypeVar, cast
from urllib.parse import parse_qsl

import msgspec
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.params import SkipValidation
from litestar.types import Scope
from pydantic import BaseModel

from gateway.admission.door import Doors
from gateway.admission.used import Store
from gateway.api.admin.bodies import Nothing
from gateway.api.admin.reading import decoded, read
from gateway.keys import Actor, Register
from gateway.pipeline import Gateway
from gateway.routing import Routes

CALL = "penstock.call"

_Model = TypeVar("_Model", bound=BaseModel)


class AdminCall(msgspec.Struct, frozen=True):
    """One call.

    Attributes:
        register: The keys and teams.
        gateway: All rooms, of which operations see the backends and what is asked of them.
        actor: Who calls.
        sent: The body; empty where there is none.
        query: What stands behind the path's question mark.
    """

    register: Register
    gateway: Gateway
    actor: Actor
    sent: bytes
    query: bytes

    @property
    def store(self) -> Store:
        """Where use is counted."""
        return self.gateway.store

    @property
    def doors(self) -> Doors:
        """What holds for all keys alike."""
        return self.gateway.doors

    @property
    def routes(self) -> Routes:
        """Which models there are."""
        return self.gateway.routes

    def body(self, model: type[_Model]) -> _Model:
        """The body, read as this.

        Raises:
            ApiError: 400 with all mistakes.
        """
        return read(model, decoded(self.sent))

    def patch(self) -> Mapping[str, Any]:
        """The body, to be read when it is known what it changes."""
        return decoded(self.sent)

    def asked(self, model: type[_Model]) -> _Model:
        """The query, read as this.

        Raises:
            ApiError: 400 with all mistakes.
        """
        pairs = parse_qsl(self.query.decode("latin-1"), keep_blank_values=True)
        return read(model, dict(pairs), strict=False)

    def no_body(self) -> None:
        """See that nothing is sent where nothing can be set.

        Raises:
            ApiError: 400.
        """
        self.body(Nothing)


def given_call(scope: Scope) -> AdminCall:
    """The call of a request; the adapter has put it there."""
    return cast(AdminCall, scope["state"][CALL])


# Nothing of it came from outside unread.
Call = NamedDependency[SkipValidation[AdminCall]]


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What the document says of an operation beside its path, its method and its docstring.

    Attributes:
        answer: What it answers.
        body: What it takes.
        query: What may be asked of it.
        tag: Among which it is listed.
        example: A body that may be sent.
    """

    tag: str
    answer: type[msgspec.Struct]
    body: type[BaseModel] | None = None
    query: type[BaseModel] = Nothing
    example: Mapping[str, Any] | None = None


def told_of(handler: HTTPRouteHandler) -> Told:
    """What is told of an operation."""
    return cast(Told, handler.opt["told"])
