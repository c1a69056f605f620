"""OpenAI's chat request, read into the common request."""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final

import msgspec

from translators.chat import AUTO, SCHEMA_PLACE, ChatRequest, ResponseFormat, Tool, ToolChoice
from translators.clients import body
from translators.clients.body import Object
from translators.clients.openai_chat.messages import left_out, read_messages
from translators.clients.openai_chat.parameters import COMMON_NAMES, OPENAI, PLAIN, Reader
from translators.clients.openai_chat.tools import (
    check_choice,
    read_as,
    read_choice,
    read_function_call,
    read_functions,
    read_tools,
)
from translators.errors import invalid
from translators.report import Entry, Fate

_CHOICES: Final = body.IntegerIn(1, 128)  # OpenAI's bounds of `n`
_MOST_TOKENS: Final = 2**31 - 1  # JSON knows numbers of any length; what counts tokens does not


def read(raw: bytes) -> ChatRequest:
    """The common request of a body.

    Raises:
        ApiError: 400 naming the parameter at fault.
    """
    return read_fields(body.decode(raw))


def read_fields(fields: Object) -> ChatRequest:
    """The common request of a decoded body."""
    model = body.filled(body.required(fields, "model"), "model")
    nulls = [name for name, value in fields.items() if value is None] if None in fields.values() else []
    given = {name: value for name, value in fields.items() if value is not None} if nulls else fields
    tools, choice, embedded = _tools_and_choice(given)
    turns = read_messages(body.required(given, "messages"))
    limit, longest = _max_tokens(given)
    form = _response_format(given["response_format"]) if "response_format" in given else None
    has_text_format = form is None and "response_format" in given
    names = _names_of(given, embedded=embedded is not None, has_text_format=has_text_format)
    return ChatRequest(
        model=model,
        turns=turns,
        tools=tools,
        tool_choice=choice,
        parallel_calls=_parallel_calls(given, tools),
        response_format=form,
        max_tokens=limit,
        choices=_CHOICES(given["n"], "n") if "n" in given else 1,
        stop=body.stops(given["stop"], "stop") if "stop" in given else (),
        stream=body.boolean(given["stream"], "stream") if "stream" in given else False,
        include_usage=include_usage(given),
        parameters={name: read_value(given[name], name) for name, read_value in names.plain},
        extra=_extra(given, embedded),
        sent=names.sent,
        settled={**_kept(nulls), **names.settled} if nulls else names.settled,
        left_out=_left_out(given, form, longest),
    )


def wants_functions(request: ChatRequest) -> bool:
    """Whether the client speaks the deprecated `functions`, and so expects `function_call` back."""
    return request.sent.get("functions") == "tools"


class _Names(msgspec.Struct, frozen=True):
    """What follows from the names of a request's parameters.

    Attributes:
        plain: Those that are read each by itself, and by what.
        sent: The client's name -> the common name of each parameter whose fate the backend decides.
        settled: Fates that need no backend: what another name outranks, what the gateway does itself.
    """

    plain: tuple[tuple[str, Reader], ...]
    sent: Mapping[str, str]
    settled: Mapping[str, Entry]


def _names_of(given: Object, *, embedded: bool, has_text_format: bool) -> _Names:
    names = tuple(given)
    if embedded or has_text_format or not OPENAI.issuperset(names):
        return _read_names(names, embedded=embedded, has_text_format=has_text_format)
    return _usual_names(names)


@lru_cache(1024)
def _usual_names(names: tuple[str, ...]) -> _Names:
    """Most clients send the same few names again and again; others than OpenAI's may be of any length."""
    return _read_names(names, embedded=False, has_text_format=False)


def _read_names(names: tuple[str, ...], *, embedded: bool, has_text_format: bool) -> _Names:
    settled = _settled(names, embedded=embedded)
    if has_text_format:
        settled |= _kept(["response_format"])
    sent = {name: COMMON_NAMES.get(name, name) for name in names if name not in settled}
    if embedded and "functions" in sent:
        sent["functions"] = "functions"
    return _Names(tuple((name, PLAIN[name]) for name in names if name in PLAIN), sent, settled)


def _extra(given: Object, embedded: list[Any] | None) -> Object:
    """The fields that OpenAI has no name for, and functions that are not what OpenAI means by them."""
    if embedded is None and OPENAI.issuperset(given):
        return {}
    extra = {name: value for name, value in given.items() if name not in OPENAI}
    if embedded is not None:
        extra["functions"] = embedded
    return extra


def _left_out(given: Object, form: ResponseFormat | None, longest: str) -> dict[str, str]:
    """What the common request has no place for, by the parameter's common name."""
    changed: dict[str, str] = {}
    if in_messages := left_out(given["messages"]):
        changed["messages"] = in_messages
    if "tool_choice" in given and (choice := read_as(given["tool_choice"])):
        changed["tool_choice"] = choice
    if form is not None and (other_format := _format_read_as(form)):
        changed["response_format"] = other_format
    if longest:
        changed["max_tokens"] = longest
    return changed


def _settled(names: tuple[str, ...], *, embedded: bool) -> dict[str, Entry]:
    entries = {
        old: Entry(old, Fate.DROPPED, f"'{new}' is sent beside it and counts")
        for old, new in _OUTRANKED.items()
        if old in names and new in names and not (old == "functions" and embedded)
    }
    return entries | _kept(name for name in _OURS if name in names)


def _kept(names: Iterable[str]) -> dict[str, Entry]:
    return {name: Entry(name, Fate.KEPT) for name in names}


# What the gateway does itself.
_OURS: Final = ("model", "stream", "stream_options")

# Deprecated name -> today's, which counts where both are sent.
_OUTRANKED: Final = {
    "max_tokens": "max_completion_tokens",
    "functions": "tools",
    "function_call": "tool_choice",
}


# All that is said of tools.
_TOOLING: Final = frozenset({"function_call", "functions", "tool_choice", "tools"})


def _tools_and_choice(given: Object) -> tuple[tuple[Tool, ...], ToolChoice, list[Any] | None]:
    """The tools, which of them are to be called, and Workers AI's own `functions`."""
    if _TOOLING.isdisjoint(given):
        return (), AUTO, None
    tools, embedded = _tools(given)
    choice = _tool_choice(given)
    check_choice(choice, tools, "tool_choice" if "tool_choice" in given else "function_call")
    return tools, choice, embedded


def _tools(given: Object) -> tuple[tuple[Tool, ...], list[Any] | None]:
    """The tools, and Workers AI's own `functions` with embedded code where they are meant."""
    functions = given.get("functions")
    embedded = None
    if isinstance(functions, list) and any(isinstance(each, dict) and "code" in each for each in functions):
        functions, embedded = None, functions
    if given.get("tools") is not None:
        return read_tools(given["tools"]), embedded
    return (read_functions(functions) if functions is not None else ()), embedded


def _tool_choice(given: Object) -> ToolChoice:
    if "tool_choice" in given:
        return read_choice(given["tool_choice"])
    if "function_call" in given:
        return read_function_call(given["function_call"])
    return AUTO


def _parallel_calls(given: Object, tools: tuple[Tool, ...]) -> bool:
    """The deprecated `function_call` of an answer has room for one call only."""
    if tools and "tools" not in given:
        return False
    if "parallel_tool_calls" not in given:
        return True
    return body.boolean(given["parallel_tool_calls"], "parallel_tool_calls")


def _max_tokens(given: Object) -> tuple[int | None, str]:
    """The most tokens of an answer, and in words where these are not all that were asked for."""
    for name in ("max_completion_tokens", "max_tokens"):
        if name in given:
            limit = body.integer(given[name], name)
            if limit < 1:
                raise invalid(f"'{name}' must be at least 1, but it is {limit}.", name, "invalid_value")
            if limit > _MOST_TOKENS:
                return _MOST_TOKENS, f"it became {_MOST_TOKENS}, which is more than any answer has"
            return limit, ""
    return None, ""


def include_usage(given: Object) -> bool:
    """Whether `stream_options` ask for the usage at the end of a stream."""
    if "stream_options" not in given:
        return False
    place = "stream_options"
    options = body.obj(given[place], place)
    if given.get("stream") is not True:
        raise invalid(f"'{place}' is only allowed when 'stream' is true.", place, "invalid_value")
    flags = {
        name: body.boolean(options[name], f"{place}.{name}")
        for name in ("include_usage", "include_obfuscation")
        if options.get(name) is not None
    }
    return flags.get("include_usage", False)


def _response_format(value: Any) -> ResponseFormat | None:
    place = "response_format"
    form = body.obj(value, place)
    kind = body.one_of("text", "json_object", "json_schema")(
        body.required(form, "type", place), f"{place}.type"
    )
    if kind == "text":
        return None
    if kind == "json_object":
        bare = form.get("schema")
        return ResponseFormat("json_object") if bare is None else _bare(bare, f"{place}.schema")
    where = f"{place}.json_schema"
    envelope = body.obj(body.required(form, "json_schema", place), where)
    if _ENVELOPE.isdisjoint(envelope) and not _KEYWORDS.isdisjoint(envelope):
        return _bare(envelope, where)
    schema, description = envelope.get("schema"), envelope.get("description")
    return ResponseFormat(
        "json_schema",
        schema=None if schema is None else body.obj(schema, f"{where}.schema"),
        name=body.filled(body.required(envelope, "name", where), f"{where}.name"),
        strict=bool(envelope.get("strict")),
        description=None if description is None else body.text(description, f"{where}.description"),
    )


# What OpenAI's envelope has, and what a JSON Schema begins with. Workers AI takes the bare schema in place of
# the envelope; llama.cpp, Together and Fireworks take it beside `json_object`.
_ENVELOPE: Final = frozenset({"name", "schema", "strict"})
_KEYWORDS: Final = frozenset({"$ref", "anyOf", "properties", "type"})


def _bare(schema: Any, place: str) -> ResponseFormat:
    """The format of a schema without an envelope, which those who read it keep to."""
    return ResponseFormat("json_schema", body.obj(schema, place), "answer", strict=True, place=place)


def _format_read_as(form: ResponseFormat) -> str:
    """What a format in another API's form is read as; nothing of one in OpenAI's."""
    is_bare = form.place != SCHEMA_PLACE
    return "its bare schema is read as that of OpenAI's 'json_schema'" if is_bare else ""
