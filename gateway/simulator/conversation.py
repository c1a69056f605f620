"""What a request asks for, freed from its wire form: turns, tools and the few parameters that matter.

Reads bodies that already passed the validator, which lets odd ones through (`messages` as an object, items
that are strings, half-written tools); they are read as far as they make sense.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

# Llama 3 prompt format: how a raw prompt marks its turns.
_TEMPLATE_TURN = re.compile(
    r"<\|start_header_id\|>(\w+)<\|end_header_id\|>\s*(.*?)\s*(?:<\|eot_id\|>|(?=<\|start_header_id\|>)|\Z)",
    re.DOTALL,
)

_MOST_TOKENS = 10**12  # more than any window

ToolChoice = Literal["auto", "none", "required"]


@dataclass(frozen=True, slots=True)
class Turn:
    """One message."""

    role: str
    text: str
    name: str | None = None  # the tool whose result this is


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool that the model may call, whichever of the two forms declared it."""

    name: str
    description: str
    parameters: Mapping[str, Any]


class Defaults(NamedTuple):
    """What holds where a body does not say. Legacy: model page of the seed, Parameters."""

    max_tokens: int = 256
    temperature: float = 0.6


@dataclass(frozen=True, slots=True)
class Conversation:
    """One request, as a model sees it."""

    turns: tuple[Turn, ...]
    tools: tuple[Tool, ...] = ()
    choice: ToolChoice = "auto"
    forced: Tool | None = None
    call_form: str | None = None  # how a call is written where tools stand in the instructions alone
    is_reminded: bool = False  # the last turn only says that a tool has to be called
    raw: bool = False  # no chat template: the prompt is continued
    image: int | None = None  # size of the image, in bytes or characters
    max_tokens: int = 256
    stops: tuple[str, ...] = ()
    temperature: float = 0.6
    overhead: tuple[str, ...] = ()  # what the model reads beside the turns, as text: the tools
    effort: str = "none"  # how long to think
    is_completion: bool = False  # a prompt was sent, not messages
    schema: Mapping[str, Any] | None = None  # of the JSON that the answer has to be; empty: any object
    choices: int = 1  # how many answers are wanted
    states_usage: bool = False  # a stream is to state its usage in a chunk of its own
    written: str = ""  # how the answer begins: it is there already and not said again
    alternatives: int | None = None  # log probabilities are wanted, with so many other tokens each

    @property
    def asked(self) -> str:
        """The last thing that the user said, but for a reminder."""
        said = [turn.text for turn in self.turns if turn.role == "user"]
        return next(iter(said[-2:]) if self.is_reminded else reversed(said), "")


def read(body: Mapping[str, Any], *, as_prompt: bool, unless_told: Defaults) -> Conversation:
    """Read a body, `as_prompt` where its prompt form matched."""
    tools = () if as_prompt else tuple(_tools(body.get("tools")))
    choice, forced = _tool_choice(body.get("tool_choice"), tools)
    raw = as_prompt and body.get("raw") is True
    most = body.get("max_completion_tokens") or body.get("max_tokens") or unless_told.max_tokens
    return Conversation(
        turns=tuple(_prompt_turns(body["prompt"], raw=raw) if as_prompt else turns_of(body.get("messages"))),
        tools=tools,
        choice=choice,
        forced=forced,
        raw=raw,
        image=_image_size(body.get("image")) or _shown_size(body.get("messages")),
        # The schema sets no bounds; what a live model makes of zero or less is not known.
        max_tokens=int(max(1, min(most, _MOST_TOKENS))),
        stops=_stops(body.get("stop")),
        temperature=_temperature(body.get("temperature"), unless_told),
        overhead=tuple(f"{tool.name} {tool.description} {tool.parameters}" for tool in tools),
        is_completion=as_prompt,
        schema=_wanted_schema(body),
        choices=int(body.get("n") or 1),
        states_usage=_states_usage(body.get("stream_options")),
        alternatives=int(body.get("top_logprobs") or 0) if body.get("logprobs") is True else None,
    )


def _states_usage(options: Any) -> bool:
    return isinstance(options, dict) and options.get("include_usage") is True


def _temperature(stated: Any, unless_told: Defaults) -> float:
    return float(unless_told.temperature if stated is None else stated)


def _wanted_schema(body: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Read JSON mode: a bare schema, OpenAI's envelope around one, or `guided_json`."""
    if isinstance(guided := body.get("guided_json"), dict):
        return guided
    wanted = body.get("response_format")
    if not isinstance(wanted, dict):
        return None
    match wanted.get("type"):
        case "json_object":
            return {}
        case "json_schema":
            stated = wanted.get("json_schema")
            if isinstance(stated, dict) and isinstance(stated.get("schema"), dict):
                stated = stated["schema"]
            return stated if isinstance(stated, dict) else {}
        case _:
            return None


def _prompt_turns(prompt: str, *, raw: bool) -> list[Turn]:
    marked = [Turn(role, text) for role, text in _TEMPLATE_TURN.findall(prompt)] if raw else []
    spoken = [turn for turn in marked if turn.text]
    return spoken or [Turn("user", prompt)]


def turns_of(messages: Any) -> Iterator[Turn]:
    """Read messages; an object in their place holds them as its values, as the validator allows."""
    listed = list(messages.values()) if isinstance(messages, dict) else messages
    called: dict[str, str] = {}
    for message in listed if isinstance(listed, list) else []:
        if isinstance(message, str):
            yield Turn("user", message)
        elif isinstance(message, dict):
            called |= dict(_called(message.get("tool_calls")))
            name = message.get("name") or called.get(str(message.get("tool_call_id")))
            text = _content_text(message.get("content"))
            yield Turn(str(message.get("role")), text, name if isinstance(name, str) else None)


def _called(calls: Any) -> Iterator[tuple[str, str]]:
    """Pair the ids of an assistant's calls with the names of the tools."""
    for call in calls if isinstance(calls, list) else []:
        if isinstance(call, dict) and "id" in call:
            function = call.get("function")
            name = function.get("name") if isinstance(function, dict) else call.get("name")
            if isinstance(name, str):
                yield str(call["id"]), name


def _content_text(content: Any) -> str:
    """Read a string, or the text of content parts."""
    if isinstance(content, str):
        return content
    parts = [content] if isinstance(content, dict) else content if isinstance(content, list) else []
    texts = [part.get("text") if isinstance(part, dict) else part for part in parts]
    return "\n".join(text for text in texts if isinstance(text, str))


def _tools(entries: Any) -> Iterator[Tool]:
    """Read both forms of a tool: `{name, ...}` and `{type, function: {name, ...}}`."""
    listed = list(entries.values()) if isinstance(entries, dict) else entries
    for entry in listed if isinstance(listed, list) else []:
        if not isinstance(entry, dict):
            continue
        stated = entry["function"] if isinstance(entry.get("function"), dict) else entry
        name, parameters = stated.get("name"), stated.get("parameters")
        if isinstance(name, str) and name:
            description = stated.get("description")
            yield Tool(
                name,
                description if isinstance(description, str) else "",
                parameters if isinstance(parameters, dict) else {},
            )


def _tool_choice(choice: Any, tools: tuple[Tool, ...]) -> tuple[ToolChoice, Tool | None]:
    """Read `tool_choice`, which is in no legacy schema but is passed on to the model."""
    if isinstance(choice, dict):
        function = choice.get("function")
        name = function.get("name") if isinstance(function, dict) else choice.get("name")
        if isinstance(allowed := choice.get("allowed_tools"), dict):
            return ("required" if allowed.get("mode") == "required" else "auto"), None
        return "auto", next((tool for tool in tools if tool.name == name), None)
    if choice == "none":
        return "none", None
    return ("required", None) if choice in ("required", "any") else ("auto", None)


def _stops(stop: Any) -> tuple[str, ...]:
    listed = [stop] if isinstance(stop, str) else stop
    return (
        tuple(text for text in listed if isinstance(text, str) and text) if isinstance(listed, list) else ()
    )


def _image_size(image: Any) -> int | None:
    return len(image) if isinstance(image, list | str) and image else None


def _shown_size(messages: Any) -> int | None:
    """Add up the pictures that content parts show, by the length of their URLs."""
    contents = [message.get("content") for message in _of_dicts(messages)]
    urls = [
        part["image_url"].get("url")
        for content in contents
        for part in _of_dicts([content] if isinstance(content, dict) else content)
        if isinstance(part.get("image_url"), dict)
    ]
    return sum(len(url) for url in urls if isinstance(url, str)) or None


def _of_dicts(entries: Any) -> list[dict[str, Any]]:
    return [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
