"""What can be made to go wrong with a server, and how it is said.

A request chooses by the header `x-simulator-fault: NAME[.N]` or the model `simulator/NAME[.N]`; a test makes
a whole server sick with `server.fault = "NAME[.N]"`. A status from 400 to 599 is a fault's name as well.
"""

import re
from typing import Final, NamedTuple

_FAULT: Final = re.compile(r"([a-z-]+|[45]\d\d)(?:[.:](\d{1,9}))?")
_MODEL: Final = "simulator/"


class Kind(NamedTuple):
    """One fault of the menu."""

    says: str
    argument: int | None = None  # where nobody states one; None: the fault has none


MENU: Final[dict[str, Kind]] = {
    "hang": Kind("no answer at all, the connection stays open; of a server: on every path"),
    "slow-first-byte": Kind("so many milliseconds before the answer begins", 2000),
    "slow-chunks": Kind("so many milliseconds after each piece", 200),
    "stall": Kind("nothing more after so many bytes, the connection stays open", 200),
    "cut": Kind("a regular end after so many bytes", 200),
    "reset": Kind("the connection breaks after so many bytes; of a server, after none: on every path", 0),
    "garbage": Kind("what comes is no JSON"),
    "loading": Kind("503, for the model is being loaded"),
    "error-event": Kind("an error inside the stream after a few events, in the product's form"),
    "abort": Kind("the finish reason is `abort`, as SGLang's and LMDeploy's may be"),
    "finish-error": Kind("the finish reason is `error`, as LMDeploy's may be"),
    "finish-odd": Kind("the finish reason is a word of Ollama's own"),
    "leaked-call": Kind("a call stands as JSON in the text"),
    "null-content": Kind("the answer ends before it has said anything"),
    "ignored-format": Kind("`response_format` is not looked at; an instruction in words is obeyed"),
}


class Fault(NamedTuple):
    """A fault that was chosen; `status` where it is one."""

    name: str
    argument: int = 0
    status: int | None = None


class UnknownFaultError(ValueError):
    """The menu has no such fault."""


def read(text: str) -> Fault:
    """Read a fault as it is written."""
    found = _FAULT.fullmatch(text.strip())
    if found:
        name, stated = found.groups()
        if name.isdigit() and stated is None:
            return Fault(name, status=int(name))
        kind = MENU.get(name)
        if kind is not None and (stated is None or kind.argument is not None):
            return Fault(name, int(stated) if stated is not None else kind.argument or 0)
    known = ", ".join(name if kind.argument is None else f"{name}.N" for name, kind in MENU.items())
    raise UnknownFaultError(f"there is no fault '{text}'. There are: a status like 503, {known}.")


def is_model(name: str) -> bool:
    """Whether a model's name asks for a fault."""
    return name.startswith(_MODEL)


def of_model(name: str) -> Fault | None:
    """Read a model's name; None where it names no fault."""
    return read(name.removeprefix(_MODEL)) if is_model(name) else None
