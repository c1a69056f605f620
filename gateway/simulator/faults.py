"""The fault menu: what can be made to go wrong, and how a request chooses it.

A request chooses by the header `x-simulator-fault: name` or `name:argument`, or by a model of the name
`@cf/simulator/name` or `@cf/simulator/name.argument`. Such a model answers otherwise as the seed model, or
as one of the family that the fault is known from.
"""

import re
from typing import Final, NamedTuple

from gateway.simulator import codes

_SEED: Final = "@cf/meta/llama-3.1-8b-instruct-fast"
_GLM: Final = "@cf/zai-org/glm-4.7-flash"
_LLAMA: Final = "@cf/meta/llama-3.3-70b-instruct-fp8-fast"
_GPT_OSS: Final = "@cf/openai/gpt-oss-20b"
_MODEL: Final = re.compile(r"@cf/simulator/([a-z-]+)(?:\.(\d{1,9}))?")
_HEADER: Final = re.compile(r"([a-z-]+)(?::(\d{1,9}))?")


class Kind(NamedTuple):
    """One fault of the menu."""

    says: str
    argument: int | None = None  # where the request states none; None: the fault has no argument
    like: str = _SEED  # the model that answers under the fault's name


MENU: Final[dict[str, Kind]] = {
    "code": Kind("refused with this error code", 3040),
    "rate-limit": Kind("refused with 3021 after so many requests in a minute", 20),
    "busy": Kind(
        "so many milliseconds of waiting for a place; refused with 3040 where `options.rejectIfBusy` says so",
        2000,
    ),
    "slow-first-byte": Kind("so many milliseconds before the answer begins", 2000),
    "slow-chunks": Kind("so many milliseconds after each piece", 200),
    "stall": Kind("nothing more after so many bytes, the connection stays open", 200),
    "cut": Kind("a regular end after so many bytes", 200),
    "reset": Kind("the connection breaks after so many bytes", 200),
    "json-for-stream": Kind("a stream is answered with an empty JSON result", like=_GPT_OSS),
    "error-event": Kind("an error inside the stream after a few events (no capture shows one)"),
    "finish-error": Kind("the finish reason is `error`", like=_GLM),
    "numeric-response": Kind("a text that is a number is sent as a number"),
    "object-response": Kind("the text stands inside an object"),
    "string-arguments": Kind("a call's arguments are a string in the legacy form"),
    "slipped-arguments": Kind(
        "a call's arguments are strings where the tool wants something else", like=_GLM
    ),
    "broken-arguments": Kind("a call's arguments are not quite JSON", like=_GLM),
    "fenced-json": Kind("JSON stands in a code fence, after a sentence", like=_GLM),
    "quoted-json": Kind("JSON stands in a JSON string", like=_GLM),
    "broken-json": Kind("JSON lacks its end, until the model is shown its attempt", like=_GLM),
    "wrong-json": Kind("JSON does not satisfy its schema, until the model is shown its attempt", like=_GLM),
    "stubborn-json": Kind("JSON does not satisfy its schema, however often it is asked for", like=_GLM),
    "no-json": Kind("JSON is asked for in vain", like=_GLM),
    "unmet-json": Kind("JSON mode gives up; an instruction in words is obeyed", like=_LLAMA),
    "ignored-force": Kind("a tool that has to be called is not, until the model is reminded"),
    "ignored-force-always": Kind("a tool that has to be called never is"),
    "ignored-tools": Kind("`tools` is not looked at, as by a model without function calling"),
    "arguments-first": Kind("a streamed call's arguments begin before its name"),
    "split-surrogates": Kind("characters beyond the first 65,536 come half in one event, half in the next"),
    "streamed-data": Kind("several events come as one, in a list"),
    "duplicate-ids": Kind("calls have the same ids in every turn", like="@cf/moonshotai/kimi-k2.6"),
    "leaked-call": Kind("a call stands as JSON in the text", like=_GPT_OSS),
    "leaked-tag": Kind("a call stands in the text, behind the tag of Llama's template"),
    "null-content": Kind("thinking has used up the answer", like=_GLM),
    "no-final-newline": Kind("the blank line after the last event is missing"),
}


class Fault(NamedTuple):
    """A fault that a request chose."""

    name: str
    argument: int = 0


class UnknownFaultError(ValueError):
    """The menu has no such fault."""


def of_header(text: str) -> Fault:
    """Read the header's value."""
    found = _HEADER.fullmatch(text.strip())
    fault = _chosen(found) if found else None
    if fault is None:
        known = ", ".join(name if kind.argument is None else f"{name}:N" for name, kind in MENU.items())
        raise UnknownFaultError(f"x-simulator-fault: there is no fault '{text}'. There are: {known}.")
    return fault


def of_model(name: str) -> Fault | None:
    """Read a model's name; None where it names no fault."""
    found = _MODEL.fullmatch(name)
    return _chosen(found) if found else None


def _chosen(found: re.Match[str]) -> Fault | None:
    name, stated = found.groups()
    kind = MENU.get(name)
    if kind is None or (stated is not None and kind.argument is None):
        return None
    argument = int(stated) if stated is not None else kind.argument or 0
    return None if name == "code" and argument not in codes.KNOWN else Fault(name, argument)
