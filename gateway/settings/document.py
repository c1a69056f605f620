"""The configuration file as text with positions: YAML nodes become plain values, and each keeps its place.

A scalar stays the text that was written (`${...}` filled in), and only null becomes None: the models decide
what a text means. So "${PORT}" serves as a number, and an account id of digits is not mangled into one.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml.composer import ComposerError

Loc = tuple[str | int, ...]
Values = dict[str, Any]

MAX_DEPTH = 32
# Aliases can unfold a small file into billions of values; a gateway's settings have some hundreds.
MAX_NODES = 20_000
YAML_TAGS = "tag:yaml.org,2002:"
# What a syntax error usually means, by a sign in PyYAML's sentence.
HINTS = {
    r"\t": "; indent with spaces, not tabs",
    "alias": "; text that starts with '*' needs quotes",
    "anchor": "; text that starts with '&' needs quotes",
    "mapping values": "; text with ': ' needs quotes",
    "'{'": "; inside {...} a value with ${...} needs quotes",
}
VARIABLE = re.compile(r"\$\$\{|\$\{(?:(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\})?")


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place in the file; lines and columns count from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Scalar:
    """A scalar as it stands in the file, quotes included; `end` is the column after its last character."""

    loc: Loc
    start: Position
    end: Position
    written: str


@dataclass(frozen=True, slots=True)
class Flaw:
    """A mistake of the file itself, found before anybody asks what its values mean."""

    loc: Loc
    position: Position
    message: str


class BrokenError(Exception):
    """The text cannot be read as YAML at all."""

    def __init__(self, flaw: Flaw) -> None:
        super().__init__(flaw.message)
        self.flaw = flaw


@dataclass(slots=True)
class Document:
    """The file's values, and where each of them was written."""

    name: str
    text: str
    values: Values = field(default_factory=dict)
    keys: dict[Loc, Position] = field(default_factory=dict)
    starts: dict[Loc, Position] = field(default_factory=dict)
    scalars: list[Scalar] = field(default_factory=list)
    flaws: list[Flaw] = field(default_factory=list)


def parse(name: str, text: str, environ: Mapping[str, str]) -> Document:
    """Read the text, or raise BrokenError where it is no YAML."""
    try:
        root = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        raise BrokenError(_syntax_flaw(error)) from None
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        position = Position(before.count("\n") + 1, error.position - (before.rfind("\n") + 1) + 1)
        raise BrokenError(Flaw((), position, "is not valid YAML: a control character")) from None
    document = Document(name, text)
    if root is None:
        return document
    values = _Walk(document, environ).value(root, ())
    if isinstance(values, dict):
        document.values = values
    elif values is not None:
        document.flaws.append(Flaw((), _position(root.start_mark), "should be a mapping of sections"))
    return document


class _Loader(yaml.SafeLoader):
    """A loader that refuses deep nesting before the interpreter's stack does."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]  # the stub says nothing
            raise ComposerError(None, None, f"values nested more than {MAX_DEPTH} deep", mark)
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


class _Walk:
    """One walk over the nodes of a document: fills in its values, places and flaws."""

    def __init__(self, document: Document, environ: Mapping[str, str]) -> None:
        self.document = document
        self.environ = environ
        self.nodes_left = MAX_NODES

    def value(self, node: yaml.Node, loc: Loc) -> Any:
        position = _position(node.start_mark)
        self.nodes_left -= 1
        if self.nodes_left < 0 or len(loc) > MAX_DEPTH:
            raise BrokenError(Flaw((), position, "unfolds into too many values: use fewer aliases"))
        self.document.starts[loc] = position
        if isinstance(node, yaml.ScalarNode):
            written = self.document.text[node.start_mark.index : node.end_mark.index]
            self.document.scalars.append(Scalar(loc, position, _position(node.end_mark), written))
        if not node.tag.startswith(YAML_TAGS):
            self._flaw(loc, position, "has a YAML tag: these are not read, and text with '!' needs quotes")
            return None
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, loc)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*loc, index)) for index, item in enumerate(node.value)]
        return self._scalar(node, loc)

    def _mapping(self, node: yaml.MappingNode, loc: Loc) -> Values:
        values: Values = {}
        for key_node, value_node in node.value:
            position = _position(key_node.start_mark)
            if not isinstance(key_node, yaml.ScalarNode):
                self._flaw(
                    (*loc, "?"), position, "is a key that is no text; a value with '{' or '[' needs quotes"
                )
                continue
            key = key_node.value
            here = (*loc, key)
            if key in values:
                first = self.document.keys[here].line
                self._flaw(here, position, f"is set twice, first on line {first}: keep one of them")
                self._hide(value_node, here)
                continue
            self.document.keys[here] = position
            values[key] = self.value(value_node, here)
        return values

    def _hide(self, node: yaml.Node, loc: Loc) -> None:
        """Note the scalars of a value that nobody reads, so that its line can be shown without secrets."""
        aside = Document(self.document.name, self.document.text)
        walk = _Walk(aside, self.environ)
        walk.nodes_left = self.nodes_left
        walk.value(node, loc)
        self.nodes_left = walk.nodes_left
        self.document.scalars.extend(aside.scalars)

    def _scalar(self, node: yaml.Node, loc: Loc) -> str | None:
        text: str = node.value
        if "${" not in text:
            return None if node.tag == YAML_TAGS + "null" else text
        # A variable that is set to nothing leaves its setting unset, as an empty line would.
        return "".join(self._pieces(text, node, loc)) or None

    def _pieces(self, text: str, node: yaml.Node, loc: Loc) -> Iterator[str]:
        at = 0
        for match in VARIABLE.finditer(text):
            yield text[at : match.start()]
            at = match.end()
            yield "${" if match[0] == "$${" else self._variable(match, node, loc)
        yield text[at:]

    def _variable(self, match: re.Match[str], node: yaml.Node, loc: Loc) -> str:
        name, default = match["name"], match["default"]
        if name is None:
            message = "has a '${' that names no variable: write '$${' for the text"
            self._flaw(loc, self._within(node, match[0]), message)
            return ""
        value = self.environ.get(name)
        # As in a shell, ':-' also stands in for a variable that is set but empty.
        if default is not None:
            return value or default
        if value is None:
            message = f"the environment variable {name} is not set: set it, or write ${{{name}:-default}}"
            self._flaw(loc, self._within(node, match[0]), message)
            return ""
        return value

    def _within(self, node: yaml.Node, written: str) -> Position:
        """Where in the node's source the piece stands; the node's start where escapes hide it."""
        text, start = self.document.text, node.start_mark
        index = text.find(written, start.index, node.end_mark.index)
        if index < 0:
            return _position(start)
        line_start = text.rfind("\n", 0, index) + 1
        return Position(text.count("\n", 0, index) + 1, index - line_start + 1)

    def _flaw(self, loc: Loc, position: Position, message: str) -> None:
        self.document.flaws.append(Flaw(loc, position, message))


def _position(mark: yaml.Mark) -> Position:
    return Position(mark.line + 1, mark.column + 1)


def _syntax_flaw(error: yaml.MarkedYAMLError) -> Flaw:
    problem = re.sub(r"'[^']*'", _unless_long, str(error.problem or error.context)).removeprefix("but ")
    mark = error.problem_mark or error.context_mark
    if "end of stream" in problem:  # what was never closed says more than where the file ends
        mark = error.context_mark or mark
    hint = next((hint for sign, hint in HINTS.items() if sign in problem), "")
    position = _position(mark) if mark else Position(1, 1)
    return Flaw((), position, f"is not valid YAML: {problem}{hint}")


def _unless_long(quoted: re.Match[str]) -> str:
    """Keep PyYAML's quoted signs; longer words come from the file, such as the start of a password."""
    return quoted[0] if quoted[0].startswith("'<") or len(quoted[0]) <= len(r"'\t'") else "'...'"
