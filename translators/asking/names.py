"""One wish under several names: what a client calls it, and what it is read as."""

from collections.abc import Mapping
from typing import Any

import msgspec

from translators.chat import ChatRequest


def own_name(chat: ChatRequest, common: str) -> str:
    """The client's name of a parameter; the one that was read as it, where another has its common name."""
    return next((name for name, meant in chat.sent.items() if meant == common != name), common)


def own_names(chat: ChatRequest) -> dict[str, str]:
    """The client's name by the common one, of all parameters that it sent."""
    return {common: own_name(chat, common) for common in chat.sent.values()}


def says_any(chat: ChatRequest, names: frozenset[str]) -> bool:
    """Whether a request has any of these parameters."""
    return not (names.isdisjoint(chat.extra) and names.isdisjoint(chat.parameters))


def takes_none(_parameter: str) -> bool:
    """Of a backend that takes no other server's parameters as they are."""
    return False


def said_otherwise(
    chat: ChatRequest,
    parameters: Mapping[str, Any] = {},
    own: Mapping[str, str] = {},
    without: str = "",
) -> ChatRequest:
    """The request with some parameters more, which the client calls otherwise, and without one."""
    return msgspec.structs.replace(
        chat,
        parameters={**_without(chat.parameters, without), **parameters},
        extra=_without(chat.extra, without),
        sent={**chat.sent, **own},
    )


def _without(given: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {each: value for each, value in given.items() if each != name}
