"""What an answer may be, in the words of inference servers: vLLM's `structured_outputs` and `guided_...`.

JSON after a schema is what `response_format` asks for, and is read as that wherever a backend does not take
these words themselves. Regular expressions, choices and grammars can be had of some servers alone.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, get_args

import msgspec

from translators.asking.names import own_name, said_otherwise, says_any
from translators.chat import ChatRequest, ResponseFormat
from translators.errors import invalid, wrong_type
from translators.report import Fate, Report

GUIDED: Final = "guided_json"
STRUCTURED: Final = "structured_outputs"
FORMAT: Final = "response_format"

Kind = Literal["json", "json_object", "regex", "choice", "grammar", "structural_tag"]
_KINDS: Final[tuple[Kind, ...]] = get_args(Kind)

# The older names, each of one kind.
_OLDER: Final[Mapping[str, Kind]] = {
    GUIDED: "json",
    "guided_regex": "regex",
    "guided_choice": "choice",
    "guided_grammar": "grammar",
}
_NAMES: Final = (STRUCTURED, *_OLDER)
ANY_NAME: Final = frozenset(_NAMES)
# Those of single products, which take them as they are.
_ANY_AT_ALL: Final = ANY_NAME | {"regex", "ebnf", "grammar", "json_schema"}


class Constraint(msgspec.Struct, frozen=True):
    """What an answer may be, and under which name the client said so."""

    kind: Kind
    value: Any
    name: str

    @property
    def place(self) -> str:
        """Where the client wrote it, for errors."""
        return f"{STRUCTURED}.{self.kind}" if self.name == STRUCTURED else self.name


def is_constrained(chat: ChatRequest) -> bool:
    """Whether an answer is asked for that is no free text."""
    return chat.response_format is not None or says_any(chat, _ANY_AT_ALL)


def take_constraint(
    chat: ChatRequest, takes: Callable[[str], bool], report: Report
) -> tuple[ChatRequest, Constraint | None]:
    """The request without these words, and what they ask for.

    Args:
        chat: What the client asked for.
        takes: Whether the backend takes a parameter itself; then it stays.
        report: Told what becomes of those that do not count.

    Raises:
        ApiError: 400 where `structured_outputs` is no object.
    """
    if not says_any(chat, ANY_NAME):
        return chat, None
    names = [name for name in _NAMES if name in chat.extra or name in chat.parameters]
    counts = FORMAT if chat.response_format is not None else next(filter(takes, names), "")
    first: Constraint | None = None
    for name in names:
        if takes(name):
            continue
        value = chat.extra.get(name, chat.parameters.get(name))
        chat = said_otherwise(chat, without=name)
        if counts:
            report.note(name, Fate.DROPPED, f"'{counts}' is sent beside it and counts")
            continue
        first = _read(name, value, report)
        if first is None:
            report.note(name, Fate.DROPPED, f"it has to hold one of {', '.join(_KINDS)}")
        else:
            counts = name
    return chat, first


def with_format(chat: ChatRequest, constraint: Constraint) -> ChatRequest:
    """The request with JSON asked for by `response_format`; errors name it as the client did.

    Raises:
        ApiError: 400 where there is no schema.
    """
    if constraint.kind == "json_object":
        form = ResponseFormat("json_object")
    else:
        form = ResponseFormat("json_schema", _schema(constraint), "answer", strict=True)
    return msgspec.structs.replace(chat, response_format=form, sent={**chat.sent, constraint.name: FORMAT})


def schema_place(chat: ChatRequest, form: ResponseFormat) -> str:
    """Where the client wrote the schema of `response_format`."""
    match own_name(chat, FORMAT):
        case "response_format":
            return form.place
        case "structured_outputs":
            return f"{STRUCTURED}.json"
        case name:
            return name


def _read(name: str, value: Any, report: Report) -> Constraint | None:
    if name != STRUCTURED:
        return Constraint(_OLDER[name], value, name)
    if not isinstance(value, dict):
        raise wrong_type(name, "an object", value)
    said = {key: each for key, each in value.items() if each is not None and each is not False}
    kinds = [kind for kind in _KINDS if kind in said]
    if len(kinds) != 1:
        return None
    if len(said) > 1:
        report.note(name, Fate.TRANSFORMED, f"of it '{kinds[0]}' alone is sent on")
    return Constraint(kinds[0], said[kinds[0]], name)


def _schema(constraint: Constraint) -> dict[str, Any]:
    """The schema, which vLLM also takes as text."""
    value, place = constraint.value, constraint.place
    if isinstance(value, str):
        try:
            value = msgspec.json.decode(value)
        except (msgspec.DecodeError, RecursionError):
            value = None
    if not isinstance(value, dict):
        raise invalid(f"'{place}' must be a JSON Schema, as an object or as its text.", place, "invalid_type")
    return value
