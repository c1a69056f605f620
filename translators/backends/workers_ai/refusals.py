"""The refusals of Workers AI's validator (code 5006), read into what they complain about.

A refusal is a list of complaints without a grammar of its own: texts joined by commas, some of which hold
the client's values. So the known forms are looked for, and what stands between them is passed over. The
forms are those of Cabidela 0.2.4, the package whose texts the live service sends.
"""

import re
from typing import Final, Literal, NamedTuple

Kind = Literal[
    "type",
    "required",
    "list",
    "not",
    "const",
    "enum",
    "length",
    "bound",
    "pattern",
    "size",
    "unknown",
    "schema",
]
Path = tuple[str, ...]

_AT: Final = r"'(?P<path>/[^']{0,500})'"
_FORMS: Final[dict[Kind, re.Pattern[str]]] = {
    "type": re.compile(
        rf"Type mismatch of {_AT}, '(?P<wanted>[a-z,]{{1,80}})' not in (?P<got>'[a-z]+'(?:,'[a-z]+')*)"
    ),
    "required": re.compile(rf"required properties at {_AT} are '(?P<wanted>[^']{{1,500}})'"),
    "list": re.compile(rf"(?:oneOf|anyOf) at {_AT} not met(?:, (?P<wanted>\d+) matches)?"),
    "not": re.compile(rf"\bnot at {_AT} not met"),
    "const": re.compile(rf"const .{{0,300}}? doesn't match (?P<wanted>.{{0,300}}?) at {_AT}"),
    "enum": re.compile(rf"enum .{{0,300}}? not in (?P<wanted>.{{0,500}}?) at {_AT}"),
    "length": re.compile(rf"Length of {_AT} must be (?P<wanted>[<>]= \d+)"),
    "bound": re.compile(rf"{_AT} must be (?P<wanted>(?:[<>]=?|multiple of) [-+.e\d]+)"),
    "pattern": re.compile(rf"{_AT} failed test \S+ patttern"),  # the validator's own spelling
    "size": re.compile(rf"(?P<wanted>min|max)Properties at {_AT} is \S+ got \d+"),
    "unknown": re.compile(rf"Additional or unevaluated properties {_AT} at '/[^']*' not allowed"),
    "schema": re.compile(rf"(?:No schema for path|enum should be an array at) {_AT}"),
}


class Complaint(NamedTuple):
    """One text of a refusal.

    Attributes:
        kind: Which form it has.
        path: The place in the body that was sent; the root's is empty.
        wanted: What it says should be there: type names, property names, values, a bound.
        got: For a wrong type, the first of the value's types.
    """

    kind: Kind
    path: Path
    wanted: str = ""
    got: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """What `wanted` lists."""
        return tuple(self.wanted.split(","))

    def under(self, path: Path) -> bool:
        """Whether it is about something inside the value at this place."""
        return len(self.path) > len(path) and self.path[: len(path)] == path


def read_refusal(text: str) -> list[Complaint]:
    """All complaints of a text in their order."""
    found = sorted(
        ((match.start(), kind, match) for kind, form in _FORMS.items() for match in form.finditer(text)),
        key=lambda each: each[0],
    )
    complaints: list[Complaint] = []
    end = 0
    for start, kind, match in found:
        if start >= end:  # values of the client may look like texts: what began first counts
            complaints.append(_complaint(kind, match.groupdict()))
            end = match.end()
    return complaints


def _complaint(kind: Kind, said: dict[str, str | None]) -> Complaint:
    place = said["path"] or ""
    if kind == "unknown":
        place = place.partition(", ")[0]  # several are listed in one
    path = tuple(place.split("/")[1:]) if place != "/" else ()
    got = (said.get("got") or "").partition(",")[0].strip("'")
    return Complaint(kind, path, said.get("wanted") or "", got)
