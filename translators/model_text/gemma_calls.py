"""Reads calls as Gemma 4 writes them: `<|tool_call>call:f{city:<|"|>Paris<|"|>,days:2}<tool_call|>`.

Keys stand bare and strings between marks. These are special tokens, which some servers strip with the
others: `call:f{city:Paris, France,days:2}`. Where a bare string ends, then, only the names of the tool's own
parameters can tell, and what a bare value is, only its schema: `2` may be a number or a string. What may be
read in more than one way is not read at all.
"""

import re
from collections.abc import Iterator
from typing import Final

import msgspec

from translators.model_text.almost_json import decoded
from translators.model_text.json_scan import MAX_DEPTH
from translators.model_text.offered import NONE, Offered, object_of
from translators.model_text.source import Reading, Source, beginning, blanks, expect, one_of
from translators.model_text.stated_calls import NoCallError, SpelledCall, made

GEMMA: Final = "<|tool_call>call:"
BARE_GEMMA: Final = "call:"  # what is left of it

_END: Final = "<tool_call|>"
_QUOTE: Final = '<|"|>'
_LONGEST: Final = 65_536  # characters of arguments; nobody else is served meanwhile
_BRACE: Final = re.compile(r'<\|"\|>|[{}]')
_QUOTED: Final = re.compile(r'<\|"\|>((?:(?!<\|"\|>).)*)<\|"\|>', re.DOTALL)
_MARK: Final = re.compile(r'<\|"\|>(?:(?!<\|"\|>).)*<\|"\|>|[{}\[\],]', re.DOTALL)
_KEY: Final = re.compile(r'\s*(<\|"\|>|"|)([A-Za-z_$][\w$.-]*)\1\s*:')
_LITERAL: Final = re.compile(r"true|false|null|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")


class _TooDeepError(Exception):
    """Brackets stand deeper in one another than in any arguments."""


def read_gemma(source: Source, offered: Offered) -> Reading[list[SpelledCall]]:
    """The calls that stand behind `call:`.

    Raises:
        NoCallError: There is none.
    """
    calls: list[SpelledCall] = []
    while True:
        opening = yield from expect(source, *(f"{name}{{" for name in offered.names))
        name, source.rest = opening[:-1], "{" + source.rest
        calls.append(made(offered, name, (yield from read_arguments(source, offered, name))))
        yield from one_of(source, (_END,))
        yield from blanks(source)
        if (yield from one_of(source, (GEMMA, BARE_GEMMA))) is None:
            return calls


def read_arguments(source: Source, offered: Offered, name: str) -> Reading[str]:
    """Take the arguments of a tool, and give them as the JSON of an object.

    Raises:
        NoCallError: They are none, or may mean more than one thing.
    """
    text = yield from _braced(source)
    if len(text) > _LONGEST:
        raise NoCallError
    members: dict[str, str] = {}
    try:
        for key, value in _members(text[1:-1], frozenset(offered.parameters(name))):
            meanings = _meanings(value, 1)
            members[key] = next((each for each in meanings if offered.suits(name, key, each)), meanings[0])
    except _TooDeepError:
        raise NoCallError from None
    return object_of(members) if members else NONE


def _braced(source: Source) -> Reading[str]:
    """Take what stands between two braces, and these; braces in marked strings do not count."""
    pieces: list[str] = []
    depth, is_quoted = 0, False
    while True:
        for found in _BRACE.finditer(source.rest):
            if found[0] == _QUOTE:
                is_quoted = not is_quoted
            elif not is_quoted:
                depth += 1 if found[0] == "{" else -1
                if not depth:
                    pieces.append(source.rest[: found.end()])
                    source.rest = source.rest[found.end() :]
                    return "".join(pieces)
        free = len(source.rest) - beginning(source.rest, (_QUOTE,))
        pieces.append(source.rest[:free])
        source.rest = source.rest[free:]
        if source.ended:
            raise NoCallError
        yield


def _members(text: str, known: frozenset[str]) -> Iterator[tuple[str, str]]:
    """Each key of an object with the text of its value; a comma before what is no key belongs to the value.

    Args:
        text: What stands between the braces.
        known: The keys that there may be; all, where there are none.
    """
    key, value = "", ""
    seen: set[str] = set()
    for piece in _pieces(text):
        found = _KEY.match(piece)
        if found is None and key:
            value += f",{piece}"
            continue
        if found is None or found[2] in seen or not (found[2] in known or not known):
            raise NoCallError
        if key:
            yield key, value
        key, value = found[2], piece[found.end() :]
        seen.add(key)
    if key:
        yield key, value


def _pieces(text: str) -> list[str]:
    """What stands between the commas that are in no brackets."""
    pieces: list[str] = []
    begin = depth = 0
    for found in _MARK.finditer(text):
        if found[0] in "{[":
            depth += 1
        elif found[0] in "}]":
            depth -= 1
        elif found[0] == "," and not depth:
            pieces.append(text[begin : found.start()])
            begin = found.end()
        if depth < 0:
            raise NoCallError
    last = text[begin:]
    if depth or (pieces and not last.strip()):
        raise NoCallError
    return [*pieces, last] if last.strip() else []


def _meanings(text: str, depth: int) -> list[str]:
    """The JSON that the text of a value may mean, the likeliest first."""
    text = text.strip()
    quoted = _QUOTED.fullmatch(text)
    if quoted:
        return [_json(quoted[1])]
    if isinstance(decoded(text), str):
        return [text]
    try:
        meant = [text] if _LITERAL.fullmatch(text) else _container(text, depth)
    except NoCallError:
        meant = []
    if _QUOTE not in text and text.count('"') % 2 == 0:
        meant.append(_json(text))
    if not meant:
        raise NoCallError
    return meant


def _container(text: str, depth: int) -> list[str]:
    """The JSON of an object or array, if the text is one."""
    if text[:1] not in ("{", "["):
        return []
    if depth >= MAX_DEPTH:
        raise _TooDeepError
    inner = text[1:-1]
    if text[0] == "{" and text[-1] == "}":
        members = {key: _meanings(value, depth + 1)[0] for key, value in _members(inner, frozenset())}
        return [object_of(members) if members else NONE]
    if text[0] == "[" and text[-1] == "]":
        return [f"[{', '.join(_meanings(piece, depth + 1)[0] for piece in _pieces(inner))}]"]
    return []


def _json(text: str) -> str:
    return msgspec.json.encode(text).decode()
