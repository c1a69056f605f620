"""Reads calls as Python writes them, as small Llamas do: `[f(city="Paris", n=1), g()]`.

Nothing of it is run. Values are what almost_json.py reads: strings, numbers, True, False, None, and lists and
dictionaries of these.
"""

import re
from typing import Final

from translators.model_text.almost_json import HopelessError, mend_value
from translators.model_text.offered import Offered
from translators.model_text.source import Reading, Source, expect
from translators.model_text.stated_calls import NoCallError, SpelledCall, any_of, made

_LONGEST: Final = 10_000  # characters that are read as Python

_BEGIN: Final = re.compile(r"\s*\[")
_CALL: Final = re.compile(r"\s*([\w.-]+)\(")
_KEYWORD: Final = re.compile(r"\s*([A-Za-z_]\w*)\s*=\s*")
_COMMA: Final = re.compile(r"\s*(?:,|(?=\)))")
_CLOSE: Final = re.compile(r"\s*\)")
_AFTER: Final = re.compile(r"\s*(,|\]\s*\Z)")


def python_text(source: Source, openings: list[str], end: str) -> Reading[str]:
    """Take Python that begins with a call, up to a mark or to the end.

    Raises:
        NoCallError: It begins otherwise, or is too long.
    """
    opening = yield from expect(source, *openings)
    source.rest = opening + source.rest
    # So much more that the mark behind text of the longest kind is there as a whole, however it comes.
    while not source.ended and end not in source.rest and len(source.rest) < _LONGEST + len(end):
        yield
    text, mark, rest = source.rest.partition(end)
    if len(text) > _LONGEST:
        raise NoCallError
    source.rest = mark + rest
    return text


def called_in_lines(text: str, offered: Offered) -> list[SpelledCall]:
    """Python's calls one below the other; each may be printed, which means the same.

    Raises:
        NoCallError: There is none.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    bare = [
        line[len("print(") : -1] if line.startswith("print(") and line.endswith("))") else line
        for line in lines
    ]
    return called(f"[{', '.join(bare)}]", offered)


def called(text: str, offered: Offered) -> list[SpelledCall]:
    """The calls of a Python list.

    Raises:
        NoCallError: There is none.
    """
    calls = [(offered.called(name.removesuffix(".call")), given) for name, given in read_python(text) or ()]
    return any_of([made(offered, name, given) for name, given in calls])


def read_python(text: str) -> list[tuple[str, str]] | None:
    """The name of each call and its arguments as a JSON object; None where the text is no list of calls."""
    calls: list[tuple[str, str]] = []
    found = _BEGIN.match(text)
    while found is not None and not found[0].rstrip().endswith("]"):
        call = _CALL.match(text, found.end())
        if call is None:
            return None
        try:
            arguments, at = _keywords(text, call.end())
        except HopelessError:
            return None
        calls.append((call[1], arguments))
        found = _AFTER.match(text, at)
    return None if found is None else calls


def _keywords(text: str, at: int) -> tuple[str, int]:
    """Keyword arguments as a JSON object, and where the bracket behind them ends."""
    members: list[str] = []
    closing = _CLOSE.match(text, at)
    while closing is None:
        keyword = _KEYWORD.match(text, at)
        if keyword is None:
            raise HopelessError
        value, at = mend_value(text, keyword.end())
        members.append(f'"{keyword[1]}": {value}')
        comma = _COMMA.match(text, at)
        if comma is None:
            raise HopelessError
        at = comma.end()
        closing = _CLOSE.match(text, at)
    return f"{{{', '.join(members)}}}", closing.end()
