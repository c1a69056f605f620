"""Tool calls as models write them into their text, read while the text comes.

A model that was offered tools may answer with a call in the spelling that it was trained on, which the
server did not recognise: a JSON object (gpt-oss, Llama 3), or one between marks of its chat template
(Hermes and Qwen, Llama's tags, Mistral, Kimi, and the channels of gpt-oss). Each spelling is a generator
that yields where it needs more text and raises `NoCallError` as soon as the text cannot be a call in it; so
nobody is kept waiting for text that is just text.

It is a call only where the whole text is, the name is one of the tools that were offered, and the arguments
are a JSON object. Which spellings count depends on what else the text may be: marks of a chat template are
nothing else, an object is an answer where JSON was asked for, and a list, a code fence or Python are what
people use as well.
"""

from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Final, Literal, NamedTuple, TypeVar

import msgspec

from translators.model_text.almost_json import decoded, mend
from translators.model_text.json_scan import Scanner
from translators.model_text.python_calls import read_python

_LONGEST_PYTHON: Final = 10_000  # characters that are read as Python
_LONGEST_LOOK: Final = 4_096  # characters of an object in which its name is looked for before it is whole

_HERMES: Final = "<tool_call>"
_PYTHON_TAG: Final = "<|python_tag|>"
_FUNCTION: Final = "<function="
_MISTRAL: Final = "[TOOL_CALLS]"
_KIMI: Final = "<|tool_calls_section_begin|>"
_KIMI_CALL: Final = "<|tool_call_begin|>"
_HARMONY: Final = "<|channel|>commentary to=functions."
_FENCE: Final = "```"
# How a call may begin, in spellings that are nothing else, that mostly are calls, and that may be one.
TEMPLATES: Final = (
    _HERMES, _PYTHON_TAG, _FUNCTION, _MISTRAL, _KIMI, _HARMONY, f"<|start|>assistant{_HARMONY}",
)  # fmt: skip
USUAL: Final = (*TEMPLATES, "{")
LOOSE: Final = (*USUAL, "[", _FENCE)

_T = TypeVar("_T")
Reading = Generator[None, None, _T]


class NoCallError(ValueError):
    """The text is no call, whatever may follow."""


class SpelledCall(NamedTuple):
    """A call, with its arguments as JSON text as the model wrote it."""

    name: str
    arguments: str
    id: str | None = None


class Source:
    """The text that has come and was not read yet."""

    def __init__(self) -> None:
        self.rest = ""
        self.ended = False  # whether nothing more comes
        self.cut = False  # whether more would have come, had there been room


class _Spelled(msgspec.Struct, forbid_unknown_fields=True):
    """A call as a JSON object. OpenAI says `arguments`, Llama `parameters`."""

    name: str
    arguments: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    parameters: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    type: Literal["function"] | msgspec.UnsetType = msgspec.UNSET
    id: str | msgspec.UnsetType | None = msgspec.UNSET


_KEYS: Final = frozenset(_Spelled.__struct_fields__)
_one = msgspec.json.Decoder(_Spelled)
_many = msgspec.json.Decoder(list[_Spelled])


def read_calls(source: Source, names: frozenset[str], marks: tuple[str, ...]) -> Reading[list[SpelledCall]]:
    """The calls that the whole text is.

    Args:
        source: The text.
        names: The tools that were offered.
        marks: How a call may begin: `TEMPLATES`, `USUAL` or `LOOSE`.

    Raises:
        NoCallError: As soon as it is none.
    """
    yield from _space(source)
    mark = yield from _one_of(source, marks)
    if mark is None:
        raise NoCallError
    read = _SPELLINGS.get(mark, _read_objects)
    if mark in ("{", "["):
        source.rest = mark + source.rest
    calls = yield from read(source, names)
    yield from _nothing_more(source)
    return calls


def _read_objects(source: Source, names: frozenset[str]) -> Reading[list[SpelledCall]]:
    """One object or several, as Llama separates them."""
    calls: list[SpelledCall] = []
    while True:
        text = yield from _json(source, names)
        calls += _spelled([text], names)
        yield from _space(source)
        yield from _one_of(source, (";",))
        yield from _space(source)
        if source.rest[:1] != "{":
            return calls


def _read_hermes(source: Source, names: frozenset[str]) -> Reading[list[SpelledCall]]:
    calls: list[SpelledCall] = []
    while True:
        yield from _space(source)
        text = yield from _json(source, names)
        calls += _spelled([text], names)
        yield from _space(source)
        yield from _one_of(source, ("</tool_call>",))
        yield from _space(source)
        if (yield from _one_of(source, (_HERMES,))) is None:
            return calls


def _read_functions(source: Source, names: frozenset[str]) -> Reading[list[SpelledCall]]:
    calls: list[SpelledCall] = []
    while True:
        name = yield from _name(source, names, (">",))
        arguments = yield from _arguments(source)
        calls.append(SpelledCall(name, arguments))
        yield from _space(source)
        yield from _one_of(source, ("</function>",))
        yield from _space(source)
        if (yield from _one_of(source, (_FUNCTION,))) is None:
            return calls


def _read_mistral(source: Source, names: frozenset[str]) -> Reading[list[SpelledCall]]:
    """A list of objects, or a name before its arguments (the newer form)."""
    yield from _space(source)
    if source.rest.startswith("["):
        return (yield from _read_list(source, names))
    calls: list[SpelledCall] = []
    while True:
        name = yield from _name(source, names, ("[ARGS]", "{"))
        arguments = yield from _arguments(source)
        calls.append(SpelledCall(name, arguments))
        yield from _space(source)
        if (yield from _one_of(source, (_MISTRAL,))) is None:
            return calls


def _read_kimi(source: Source, names: frozenset[str]) -> Reading[list[SpelledCall]]:
    calls: list[SpelledCall] = []
    while True:
        yield from _space(source)
        mark = yield from _one_of(source, (_KIMI_CALL, "<|tool_calls_section_end|>"))
        if mark != _KIMI_CALL:
            if mark is None or not calls:
                raise NoCallError
            return calls
        yield from _expect(source, "functions.")
        name = yield from _name(source, names, (":",))
        number = yield from _until(source, "<|tool_call_argument_begin|>", 4)
        arguments = yield from _arguments(source)
        calls.append(SpelledCall(name, arguments, f"functions.{name}:{number.strip()}"))
        yield from _space(source)
        yield from _expect(source, "<|tool_call_end|>")


def _read_harmony(source: Source, names: frozenset[str]) -> Reading[list[SpelledCall]]:
    name = yield from _name(source, names, (" ", "<"))
    kind = yield from _until(source, "<|message|>", len("<|constrain|>json "))
    if kind.strip() not in ("", "json", "<|constrain|>json"):
        raise NoCallError
    arguments = yield from _arguments(source)
    yield from _space(source)
    yield from _one_of(source, ("<|call|>",))
    return [SpelledCall(name, arguments)]


def _read_brackets(source: Source, names: frozenset[str]) -> Reading[list[SpelledCall]]:
    """A list of objects, or of calls as Python writes them."""
    opened, source.rest = source.rest[0], source.rest[1:]
    yield from _space(source)
    is_list = source.rest.startswith("{")
    source.rest = opened + source.rest
    return (yield from _read_list(source, names) if is_list else _read_python(source, names))


def _read_list(source: Source, names: frozenset[str]) -> Reading[list[SpelledCall]]:
    text = yield from _json(source, names, depth=1)
    return list(_spelled([text], names, listed=True))


def _read_python(source: Source, names: frozenset[str]) -> Reading[list[SpelledCall]]:
    openings = tuple(f"[{name}(" for name in names)
    opening = yield from _one_of(source, openings)
    if opening is None:
        raise NoCallError
    source.rest = opening + source.rest
    while not source.ended:
        if len(source.rest) > _LONGEST_PYTHON:
            raise NoCallError
        yield
    text, source.rest = source.rest, ""
    calls = read_python(text) or []
    if not calls or any(name not in names for name, _ in calls):
        raise NoCallError
    return [SpelledCall(name, arguments) for name, arguments in calls]


def _read_fenced(source: Source, names: frozenset[str]) -> Reading[list[SpelledCall]]:
    yield from _until(source, "\n", len("tool_call"))
    yield from _space(source)
    if source.rest.startswith("["):
        calls = yield from _read_list(source, names)
    else:
        calls = yield from _read_objects(source, names)
    yield from _space(source)
    yield from _expect(source, _FENCE)
    return calls


_SPELLINGS: Final[dict[str, Callable[[Source, frozenset[str]], Reading[list[SpelledCall]]]]] = {
    _HERMES: _read_hermes,
    _FUNCTION: _read_functions,
    _MISTRAL: _read_mistral,
    _KIMI: _read_kimi,
    _HARMONY: _read_harmony,
    f"<|start|>assistant{_HARMONY}": _read_harmony,
    "[": _read_brackets,
    _FENCE: _read_fenced,
}


def _space(source: Source) -> Reading[None]:
    """Leave out white space, until something else or the end comes."""
    while True:
        source.rest = source.rest.lstrip()
        if source.rest or source.ended:
            return
        yield


def _one_of(source: Source, options: Iterable[str]) -> Reading[str | None]:
    """Take the longest of these that comes next; None where it is none of them."""
    while True:
        may_come = [each for each in options if each.startswith(source.rest) and each != source.rest]
        if not may_come or source.ended:
            found = max((each for each in options if source.rest.startswith(each)), key=len, default=None)
            source.rest = source.rest[len(found or "") :]
            return found
        yield


def _expect(source: Source, literal: str) -> Reading[None]:
    if (yield from _one_of(source, (literal,))) is None:
        raise NoCallError


def _until(source: Source, mark: str, most: int) -> Reading[str]:
    """Take what stands before a mark, and the mark."""
    while mark not in source.rest:
        if source.ended or len(source.rest) > most + len(mark):
            raise NoCallError
        yield
    before, _, source.rest = source.rest.partition(mark)
    if len(before) > most:
        raise NoCallError
    return before


def _name(source: Source, names: frozenset[str], ends: tuple[str, ...]) -> Reading[str]:
    """Take a tool's name and one of the marks that may follow it, of which `{` and `<` are left."""
    yield from _space(source)
    whole = {f"{name}{end}": name for name in names for end in ends}
    found = yield from _one_of(source, whole)
    if found is None:
        raise NoCallError
    if found[-1] in "{<":
        source.rest = found[-1] + source.rest
    return whole[found]


def _nothing_more(source: Source) -> Reading[None]:
    yield from _space(source)
    if source.rest:
        raise NoCallError


def _arguments(source: Source) -> Reading[str]:
    yield from _space(source)
    if source.rest[:1] != "{":
        raise NoCallError
    return (yield from _json(source, None))


def _json(source: Source, names: frozenset[str] | None, depth: int = 0) -> Reading[str]:
    """Take a JSON object or list; where names are given, calls of these stand at that depth in it.

    Closing brackets may be missing at the very end of a whole answer.
    """
    scanner = Scanner()
    look = _Look(names or frozenset(), depth + 1)
    pieces: list[str] = []
    while True:
        begin = scanner.position
        events = scanner.feed(source.rest)
        taken = scanner.position - begin
        pieces.append(source.rest[:taken])
        source.rest = source.rest[taken:]
        if names is not None and begin < _LONGEST_LOOK:
            text = "".join(pieces)
            for event in events:
                look.at(event.kind, event.depth, text[event.start : event.end])
        if scanner.closed:
            return "".join(pieces)
        if scanner.broken:
            raise NoCallError
        if source.ended:
            text = mend("".join(pieces)) or ""
            if source.cut or not text:
                raise NoCallError
            return text
        yield


class _Look:
    """Sees at the first key or name that an object is no call."""

    def __init__(self, names: frozenset[str], depth: int) -> None:
        self._names = names
        self._depth = depth
        self._key: object = None

    def at(self, kind: str, depth: int, text: str) -> None:
        if depth != self._depth:
            return
        if kind == "key":
            self._key = decoded(text)
            if self._key not in _KEYS:
                raise NoCallError
        elif kind == "end" and self._key == "name":
            name = decoded(text)
            if not isinstance(name, str) or name not in self._names:
                raise NoCallError


def _spelled(texts: Iterable[str], names: frozenset[str], *, listed: bool = False) -> Iterator[SpelledCall]:
    for text in texts:
        try:
            found = _many.decode(text) if listed else [_one.decode(text)]
        except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
            raise NoCallError from None
        if not found:
            raise NoCallError
        for each in found:
            yield _checked(each, names)


def _checked(spelled: _Spelled, names: frozenset[str]) -> SpelledCall:
    raw = spelled.arguments if spelled.arguments is not msgspec.UNSET else spelled.parameters
    if raw is msgspec.UNSET or spelled.name not in names:
        raise NoCallError
    text = bytes(raw).decode()
    value = decoded(text)
    if isinstance(value, str):
        text, value = value, decoded(value)
    if not isinstance(value, dict):
        raise NoCallError
    return SpelledCall(spelled.name, text)
