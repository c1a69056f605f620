"""Tools across dialects: call ids that hold (law 6), and custom tools as functions.

Ids that backends mint may repeat from turn to turn (Kimi), or be missing (Workers AI's legacy answers).
Ours are unique by the exchange's stamp and carry the backend's id, so any replica restores it without
state: `call_ps` + stamp + number, then `-` and the backend's id in base64url where there was one. They
keep to the characters that clients accept in ids.

A backend without custom tools is offered a function with one string; a custom tool's free input travels
as that function's arguments.
"""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from translators.call import Stamp
from translators.chat import ChatRequest, Tool

CUSTOM_INPUT: Final = "input"

_OURS: Final = re.compile(r"call_ps[0-9A-Za-z]{12}x[0-9]+x[0-9]+(?:-([0-9A-Za-z_-]*))?")


def mint_call_id(stamp: Stamp, choice: int, index: int, backend_id: str | None) -> str:
    """An id for the `index`th call of a choice."""
    own = f"call_ps{stamp.token[:12]}x{choice}x{index}"
    if not backend_id:
        return own
    carried = urlsafe_b64encode(backend_id.encode("utf-8", "surrogatepass")).rstrip(b"=").decode("ascii")
    return f"{own}-{carried}"


def restore_call_id(call_id: str) -> str:
    """The backend's id that one of ours carries; any other id as it is."""
    match = _OURS.fullmatch(call_id)
    carried = match.group(1) if match else None
    if not carried:
        return call_id
    try:
        return urlsafe_b64decode(carried + "=" * (-len(carried) % 4)).decode("utf-8", "surrogatepass")
    except ValueError:
        return call_id


def wrap_custom(text: str) -> str:
    """A custom tool's input as JSON arguments."""
    return msgspec.json.encode({CUSTOM_INPUT: text}).decode()


def unwrap_custom(arguments: str) -> str:
    """The input that JSON arguments carry; arguments of another form as they are."""
    value = _decoded(arguments)
    text = value.get(CUSTOM_INPUT) if isinstance(value, dict) else None
    return text if isinstance(text, str) else arguments


def _decoded(arguments: str) -> Any:
    try:
        return msgspec.json.decode(arguments)
    except (msgspec.DecodeError, RecursionError):
        return None


def offered_tools(chat: ChatRequest) -> tuple[Tool, ...]:
    """The tools that the model may call."""
    choice = chat.tool_choice
    if choice.mode == "none":
        return ()
    if choice.mode == "named":
        return tuple(tool for tool in chat.tools if tool.name == choice.named)
    return tuple(tool for tool in chat.tools if choice.allowed is None or tool.name in choice.allowed)


def forced_names(chat: ChatRequest) -> tuple[str, ...]:
    """The names of the tools of which one has to be called; none where no call is asked for."""
    is_forced = chat.tool_choice.mode in ("required", "named")
    return tuple(tool.name for tool in offered_tools(chat)) if is_forced else ()


def named_form(name: str) -> dict[str, Any]:
    """`tool_choice` that asks for one tool by its name."""
    return {"type": "function", "function": {"name": name}}


def as_function(tool: Tool) -> dict[str, Any]:
    """A custom tool as a function with one string."""
    hint = f" Its format: {tool.format}" if tool.format else ""
    text = {"type": "string", "description": f"The whole input of the tool, as plain text.{hint}"}
    return {
        "name": tool.name,
        "description": tool.description or in_words(tool.name),
        "parameters": {"type": "object", "properties": {CUSTOM_INPUT: text}, "required": [CUSTOM_INPUT]},
    }


def in_words(name: str) -> str:
    """A name as a description: `search_papers` -> 'search papers'."""
    words = "".join(f" {c.lower()}" if c.isupper() else c for c in name)
    return " ".join(words.replace("_", " ").replace("-", " ").split()) or name


def offered_custom_names(tools: Iterable[Tool]) -> frozenset[str]:
    """The names of custom tools, whose calls are turned back."""
    return frozenset(tool.name for tool in tools if tool.kind == "custom")
