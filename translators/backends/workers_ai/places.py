"""Where a field of the body that was sent stands in the client's own request.

What is written for the backend has other names and numbers here and there: a limit renamed, tools narrowed
to those allowed, a prompt that became a message. An error has to name what the client wrote.
"""

from functools import cached_property
from typing import Any, Final

import msgspec

from translators.backends.workers_ai.refusals import Path
from translators.chat import ChatRequest
from translators.quotes import is_field

_LONGEST: Final = 64  # characters of a name that are shown; clients choose the names of properties

# A field of Workers AI's schemas -> the common name of the parameter that it is written from.
_WRITTEN_FROM: Final = {
    "max_completion_tokens": "max_tokens",
    "guided_json": "response_format",
    "chat_template_kwargs": "reasoning_effort",
    "image": "messages",
}

ABSENT: Final = object()  # no such field; null is something else


class Sent(msgspec.Struct, frozen=True, dict=True):
    """A body that was sent, and the request that it was written from."""

    body: bytes
    chat: ChatRequest

    @cached_property
    def fields(self) -> Any:
        """The body, decoded."""
        return msgspec.json.decode(self.body)

    def name_of(self, path: Path) -> str | None:
        """The client's name of a place in the body."""
        match path:
            case ("messages", *rest):
                return self._message(rest)
            case ("prompt", *_):
                return self._prompt()
            case ("tools", number, *rest):
                return self._tool(number, rest)
            case (name, *rest):
                return self._parameter(name, rest)
            case _:
                return None

    def _message(self, rest: list[str]) -> str:
        if self.chat.prompts:
            return self._prompt()
        turns = self.chat.turns
        # Where one of the messages is ours, their numbers are not the client's.
        if not rest or not rest[0].isdecimal() or len(self.fields["messages"]) != len(turns):
            return "messages"
        number, *more = rest
        return _joined(turns[int(number)].place, more) if int(number) < len(turns) else "messages"

    def _prompt(self) -> str:
        prompts = self.chat.prompts
        prompt = self.fields.get("prompt")
        return f"prompt[{prompts.index(prompt)}]" if len(prompts) > 1 and prompt in prompts else "prompt"

    def _tool(self, number: str, rest: list[str]) -> str | None:
        name = value_at(self.fields, ("tools", number, "function", "name"))
        place = next((tool.place for tool in self.chat.tools if tool.name == name), None)
        if place is None:
            return field_name(("tools", number, *rest))
        if rest[:1] == ["function"]:
            return _joined(place, rest[1:])
        return _joined(place.removesuffix(".function"), rest)

    def _parameter(self, name: str, rest: list[str]) -> str | None:
        own = {common: own for own, common in self.chat.sent.items()}
        if name in own:
            return _joined(own[name], rest)
        source = _WRITTEN_FROM.get(name, "")
        return own.get(source) or field_name((name, *rest))


def value_at(body: Any, path: Path) -> Any:
    """What lies at a place of a decoded body; `ABSENT` where there is nothing."""
    for key in path:
        if isinstance(body, dict):
            body = body.get(key, ABSENT)
        elif isinstance(body, list) and key.isdecimal() and int(key) < len(body):
            body = body[int(key)]
        else:
            return ABSENT
    return body


def field_name(path: Path) -> str | None:
    """A place as clients write it, `messages[0].content`; None where it is not a field of requests."""
    head, *rest = path or ("",)
    known = is_field(head) and all(key.isdecimal() or is_field(key) for key in rest)
    return _joined(head, rest) if known else None


def _joined(place: str, rest: list[str]) -> str:
    """A place and what lies below it."""
    return place + "".join(f"[{key}]" if key.isdecimal() else f".{key[:_LONGEST]}" for key in rest)
