"""OpenAI's messages, read into turns."""

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

from translators import chat
from translators.chat import Part, Turn
from translators.clients import body
from translators.clients.body import Object
from translators.errors import invalid, wrong_type

_MESSAGE_FIELDS: Final = frozenset({
    "content", "function_call", "name", "reasoning", "reasoning_content", "refusal", "role", "tool_call_id",
    "tool_calls",
})  # fmt: skip
_PART_FIELDS: Final = frozenset({"file", "image_url", "input_audio", "refusal", "text", "type"})
_SPEAKERS: Final = ("user", "system", "developer")
_NOTHING: Final[tuple[Any, ...]] = (None, "", [], {})
_SHOWN: Final = 100  # characters of names that a client may have made up

ROLES: Final = ("system", "developer", "user", "assistant", "tool", "function")

_role: Final = body.one_of(*ROLES)


def read_messages(value: Any) -> tuple[Turn, ...]:
    """All turns of a request.

    Raises:
        ApiError: 400 naming the message or the part at fault.
    """
    messages = body.array(value, "messages")
    if not messages:
        raise invalid("'messages' must have at least one message.", "messages", "empty_array")
    return tuple([_read_message(each, _place(k)) for k, each in enumerate(messages)])


@lru_cache(1024)
def _place(number: int) -> str:
    return f"messages[{number}]"


def left_out(messages: Any) -> str:
    """What the messages of a read request hold beyond the common request, in words; else nothing.

    Hints for a cache, an id of spoken audio, fields of other products. What is null or empty says nothing:
    clients send answers back as they got them, with `annotations: []` in each.
    """
    names: set[str] = set()
    for message in messages:
        if not _MESSAGE_FIELDS.issuperset(message):
            names |= _saying(message, _MESSAGE_FIELDS)
        content = message.get("content")
        if isinstance(content, list):
            for part in content:
                if not _PART_FIELDS.issuperset(part):
                    names |= _saying(part, _PART_FIELDS)
    return f"left out: {', '.join(sorted(names))[:_SHOWN]}" if names else ""


def _saying(fields: Object, known: frozenset[str]) -> set[str]:
    """The names of further fields that say something."""
    return {name for name in fields.keys() - known if fields[name] not in _NOTHING}


def _read_message(value: Any, place: str) -> Turn:
    message = body.obj(value, place)
    role, content, name = message.get("role"), message.get("content"), message.get("name")
    if role in _SPEAKERS and isinstance(content, str) and name is None:  # nearly all turns are this simple
        return Turn(role, (chat.Text(content),), None, place)
    role = _role(body.required(message, "role", place), f"{place}.role")
    if name is not None:
        name = body.text(name, f"{place}.name")
    match role:
        case "tool" | "function":
            return Turn("tool", (_read_result(message, role, name, place),), None, place)
        case "assistant":
            return Turn("assistant", tuple(_assistant_parts(message, place)), name, place)
        case "system" | "developer" | "user":
            parts = _read_content(body.required(message, "content", place), f"{place}.content")
            return Turn(role, parts, name, place)
    raise AssertionError(role)  # pragma: no cover - `one_of` has let nothing else through


def _read_result(message: Object, role: str, name: str | None, place: str) -> chat.Result:
    content = message.get("content")
    parts = () if content is None else _read_content(content, f"{place}.content")
    texts = []
    for k, part in enumerate(parts):
        if not isinstance(part, chat.Text):
            where = f"{place}.content[{k}]"
            raise invalid(f"'{where}': a tool's answer holds text parts only.", where, "invalid_value")
        texts.append(part.text)
    if role == "function":
        return chat.Result(
            "".join(texts), None, body.text(body.required(message, "name", place), f"{place}.name")
        )
    call_id = body.filled(body.required(message, "tool_call_id", place), f"{place}.tool_call_id")
    return chat.Result("".join(texts), call_id, name)


def _assistant_parts(message: Object, place: str) -> Iterator[Part]:
    thinking = _thinking(message.get("reasoning_content") or message.get("reasoning"))
    if thinking:
        yield chat.Reasoning(thinking)
    if message.get("content") is not None:
        yield from _read_content(message["content"], f"{place}.content")
    if message.get("refusal") is not None:
        yield chat.Refusal(body.text(message["refusal"], f"{place}.refusal"))
    if message.get("tool_calls") is not None:
        where = f"{place}.tool_calls"
        for k, call in enumerate(body.array(message["tool_calls"], where)):
            yield _read_call(call, f"{where}[{k}]")
    if message.get("function_call") is not None:
        where = f"{place}.function_call"
        call = body.obj(message["function_call"], where)
        yield chat.Call("", *_name_and_arguments(call, where, "arguments"))


def _thinking(value: Any) -> str:
    """Replayed thinking: a text, or parts with texts, as some clients keep it; what is neither is none."""
    if isinstance(value, list):
        texts = (part.get("text") for part in value if isinstance(part, dict))
        return "".join(text for text in texts if isinstance(text, str))
    return value if isinstance(value, str) else ""


def _read_call(value: Any, place: str) -> chat.Call:
    call = body.obj(value, place)
    call_id = body.filled(body.required(call, "id", place), f"{place}.id")
    if call.get("type") == "custom":
        custom = body.obj(body.required(call, "custom", place), f"{place}.custom")
        return chat.Call(call_id, *_name_and_arguments(custom, f"{place}.custom", "input"), "custom")
    function = body.obj(body.required(call, "function", place), f"{place}.function")
    return chat.Call(call_id, *_name_and_arguments(function, f"{place}.function", "arguments"))


def _name_and_arguments(fields: Object, place: str, key: str) -> tuple[str, str]:
    name = body.filled(body.required(fields, "name", place), f"{place}.name")
    arguments = fields.get(key)
    return name, "" if arguments is None else body.text(arguments, f"{place}.{key}")


def _read_content(value: Any, place: str) -> tuple[Part, ...]:
    if isinstance(value, str):
        return (chat.Text(value),)
    if not isinstance(value, list):
        raise wrong_type(place, "a string or an array of parts", value)
    parts = value
    return tuple(_read_part(each, f"{place}[{k}]") for k, each in enumerate(parts))


def _read_part(value: Any, place: str) -> Part:
    part = body.obj(value, place)
    kind = body.text(body.required(part, "type", place), f"{place}.type")
    read = _PARTS.get(kind)
    if read is None:
        kinds = ", ".join(f"'{name}'" for name in _PARTS)
        raise invalid(f"'{place}.type' must be one of {kinds}.", f"{place}.type", "invalid_value")
    return read(part, place)


def _text(part: Object, place: str) -> Part:
    return chat.Text(body.text(body.required(part, "text", place), f"{place}.text"))


def _refusal(part: Object, place: str) -> Part:
    return chat.Refusal(body.text(body.required(part, "refusal", place), f"{place}.refusal"))


def _image(part: Object, place: str) -> Part:
    where = f"{place}.image_url"
    image = body.required(part, "image_url", place)
    if isinstance(image, str):  # so the first clients sent it, and some still do
        return chat.Image(body.filled(image, where))
    image = body.obj(image, where)
    detail = image.get("detail")
    return chat.Image(
        body.filled(body.required(image, "url", where), f"{where}.url"),
        None if detail is None else body.text(detail, f"{where}.detail"),
    )


def _audio(part: Object, place: str) -> Part:
    where = f"{place}.input_audio"
    audio = body.obj(body.required(part, "input_audio", place), where)
    return chat.Audio(
        body.filled(body.required(audio, "data", where), f"{where}.data"),
        body.filled(body.required(audio, "format", where), f"{where}.format"),
    )


def _file(part: Object, place: str) -> Part:
    where = f"{place}.file"
    file = body.obj(body.required(part, "file", place), where)
    names = ("filename", "file_data", "file_id")
    return chat.File(
        *(None if file.get(name) is None else body.text(file[name], f"{where}.{name}") for name in names)
    )


_PARTS: Final[Mapping[str, Callable[[Object, str], Part]]] = {
    "text": _text,
    "image_url": _image,
    "input_audio": _audio,
    "file": _file,
    "refusal": _refusal,
}
