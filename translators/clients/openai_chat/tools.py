"""OpenAI's tools and tool choices, today's and the deprecated `functions`, read into the common form."""

from typing import Any, Final

from translators.chat import AUTO, Tool, ToolChoice
from translators.clients import body
from translators.clients.body import Object
from translators.errors import invalid

MOST_TOOLS: Final = 128  # OpenAI's specification

_MODES: Final = ("none", "auto", "required")
_OTHERS: Final = {
    "any": "required",
    "tool": "function",
}  # Anthropic's and Mistral's words, which clients send too


def read_tools(value: Any) -> tuple[Tool, ...]:
    """`tools`: functions and custom tools; also the flat form that the Responses API uses.

    Raises:
        ApiError: 400 naming the tool at fault.
    """
    tools = body.at_most(body.array(value, "tools"), "tools", MOST_TOOLS)
    return tuple(_read_tool(each, f"tools[{k}]") for k, each in enumerate(tools))


def read_functions(value: Any) -> tuple[Tool, ...]:
    """The deprecated `functions`."""
    functions = body.at_most(body.array(value, "functions"), "functions", MOST_TOOLS)
    return tuple(_read_function(each, f"functions[{k}]") for k, each in enumerate(functions))


def read_choice(value: Any) -> ToolChoice:
    """`tool_choice` in all its forms, also in Anthropic's: `any`, and `tool` with a name."""
    place = "tool_choice"
    if isinstance(value, str):
        return _mode(value, place)
    choice = body.obj(value, place)
    kind = body.text(body.required(choice, "type", place), f"{place}.type")
    if kind in (*_MODES, "any"):
        return _mode(kind, place)
    kind = body.one_of("function", "custom", "allowed_tools")(_OTHERS.get(kind, kind), f"{place}.type")
    where = f"{place}.{kind}"
    if kind == "allowed_tools":
        return _read_allowed(body.obj(body.required(choice, kind, place), where), where)
    # The Responses API has the name beside the type; some clients send that form to chat as well.
    named = choice if "name" in choice else body.obj(body.required(choice, kind, place), where)
    return ToolChoice("named", body.filled(body.required(named, "name", where), f"{where}.name"))


def _mode(word: str, place: str) -> ToolChoice:
    mode = body.one_of(*_MODES)(_OTHERS.get(word, word), place)
    return ToolChoice(mode=mode)  # type: ignore[arg-type]  # checked by `one_of`


def read_as(value: Any) -> str:
    """What a choice in another API's words is read as; nothing of one in OpenAI's."""
    kind = value.get("type") if isinstance(value, dict) else value
    return f"'{kind}' is read as OpenAI's '{_OTHERS[kind]}'" if kind in _OTHERS else ""


def read_function_call(value: Any) -> ToolChoice:
    """The deprecated `function_call`."""
    if isinstance(value, str):
        return ToolChoice(mode=body.one_of("none", "auto")(value, "function_call"))  # type: ignore[arg-type]  # checked
    call = body.obj(value, "function_call")
    name = body.filled(body.required(call, "name", "function_call"), "function_call.name")
    return ToolChoice("named", name)


def check_choice(choice: ToolChoice, tools: tuple[Tool, ...], place: str) -> None:
    """Refuse a choice that cannot be met by the tools at hand, as OpenAI does."""
    if choice == AUTO or choice.mode == "none":
        return
    if not tools:
        raise invalid(f"'{place}' is only allowed when 'tools' are given.", place, "invalid_value")
    names = {tool.name for tool in tools}
    asked = ({choice.named} if choice.named else set()) | (choice.allowed or frozenset())
    for name in sorted(asked - names):
        raise invalid(f"'{place}' names the tool '{name}', which is not in 'tools'.", place, "invalid_value")


def _read_tool(value: Any, place: str) -> Tool:
    tool = body.obj(value, place)
    kind = tool.get("type", "function")
    if kind == "custom":
        return _read_custom(body.obj(body.required(tool, "custom", place), f"{place}.custom"), place)
    if kind != "function":
        raise invalid(f"'{place}.type' must be 'function' or 'custom'.", f"{place}.type", "invalid_value")
    flat = "function" not in tool and "name" in tool
    where = place if flat else f"{place}.function"
    return _read_function(tool if flat else body.required(tool, "function", place), where)


def _read_function(value: Any, place: str) -> Tool:
    function = body.obj(value, place)
    parameters = function.get("parameters")
    return Tool(
        name=body.filled(body.required(function, "name", place), f"{place}.name"),
        description=_description(function, place),
        parameters=None if parameters is None else body.obj(parameters, f"{place}.parameters"),
        strict=function.get("strict") is True,
        place=place,
    )


def _read_custom(custom: Object, place: str) -> Tool:
    form = custom.get("format")
    return Tool(
        name=body.filled(body.required(custom, "name", f"{place}.custom"), f"{place}.custom.name"),
        description=_description(custom, f"{place}.custom"),
        kind="custom",
        format=None if form is None else body.obj(form, f"{place}.custom.format"),
        place=place,
    )


def _description(fields: Object, place: str) -> str | None:
    description = fields.get("description")
    return None if description is None else body.text(description, f"{place}.description")


def _read_allowed(allowed: Object, place: str) -> ToolChoice:
    mode = body.one_of("auto", "required")(body.required(allowed, "mode", place), f"{place}.mode")
    names = []
    for k, value in enumerate(body.array(body.required(allowed, "tools", place), f"{place}.tools")):
        where = f"{place}.tools[{k}]"
        tool = body.obj(value, where)
        inner = tool.get("function") or tool.get("custom") or tool
        names.append(body.filled(body.required(body.obj(inner, where), "name", where), f"{where}.name"))
    return ToolChoice(mode=mode, allowed=frozenset(names))  # type: ignore[arg-type]  # checked by `one_of`
