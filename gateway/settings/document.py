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
MERGE = YAML_TAGS + "merge"  # `<<`, unless it is in quotes
TOO_MANY = "unfolds into too many values: use fewer aliases"
# What a syntax error usually means, by a sign in PyYAML's sentence.
HINTS = {
    r"\t": "; indent with spaces, not tabs",
    "alias": "; text that starts with '*' needs quotes",
    "anchor": "; text that starts with '&' needs quotes",
    "mapping values": "; text with ': ' needs quotes",
    "'{'": "; inside {...} a value with ${...} needs quotes",
    "<block end>": "; indent what belongs together alike",
}
# Of these it says more where what is not whole began than where that shows.
UNFINISHED = ("end of stream", "<stream end>", "could not find expected ':'")
VARIABLE = re.compile(r"\$?\$\{")
BRACE = re.compile(r"\$\{|\}")
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


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
    is_key: bool = False  # whether it is the name of what stands at `loc`


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
            raise BrokenError(Flaw((), position, TOO_MANY))
        self.document.starts[loc] = position
        if isinstance(node, yaml.ScalarNode):
            self._note_scalar(node, loc)
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
        for part in self._parts(node, loc):
            self._add(part, loc, values)
        return values

    def _parts(self, node: yaml.MappingNode, loc: Loc, depth: int = 0) -> Iterator[yaml.MappingNode]:
        """A mapping, and behind it those that it merges: each key counts where it comes first."""
        self.nodes_left -= 1
        if self.nodes_left < 0 or depth > MAX_DEPTH:
            raise BrokenError(Flaw((), _position(node.start_mark), TOO_MANY))
        yield node
        for key_node, value_node in node.value:
            if key_node.tag != MERGE:
                continue
            here = (*loc, "<<")
            self._note_scalar(key_node, here, is_key=True)
            several = isinstance(value_node, yaml.SequenceNode)
            for each in value_node.value if several else [value_node]:
                if isinstance(each, yaml.MappingNode):
                    yield from self._parts(each, loc, depth + 1)
                else:
                    self._flaw(here, _position(each.start_mark), "should name a mapping: `<<: *name`")
                    self._hide(each, here)

    def _add(self, node: yaml.MappingNode, loc: Loc, values: Values) -> None:
        """Add what a mapping has to say that is not said yet."""
        lines: dict[str, int] = {}
        for key_node, value_node in node.value:
            if key_node.tag == MERGE:
                continue
            position = _position(key_node.start_mark)
            if not isinstance(key_node, yaml.ScalarNode):
                self._flaw(
                    (*loc, "?"), position, "is a key that is no text; a value with '{' or '[' needs quotes"
                )
                self._hide(key_node, (*loc, "?"))
                self._hide(value_node, (*loc, "?"))
                continue
            key = key_node.value
            here = (*loc, key)
            self._note_scalar(key_node, here, is_key=True)
            if key in lines:
                self._flaw(here, position, f"is set twice, first on line {lines[key]}: keep one of them")
            lines.setdefault(key, position.line)
            if key in values:
                self._hide(value_node, here)
                continue
            self.document.keys[here] = position
            values[key] = self.value(value_node, here)

    def _note_scalar(self, node: yaml.ScalarNode, loc: Loc, *, is_key: bool = False) -> None:
        written = self.document.text[node.start_mark.index : node.end_mark.index]
        start, end = _position(node.start_mark), _position(node.end_mark)
        self.document.scalars.append(Scalar(loc, start, end, written, is_key))

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

    def _pieces(self, text: str, node: yaml.Node, loc: Loc, depth: int = 0) -> Iterator[str]:
        at = 0
        while match := VARIABLE.search(text, at):
            yield text[at : match.start()]
            at = match.end()
            if match[0] == "$${":
                yield "${"
                continue
            end = _end_of(text, at)
            name, mark, default = text[at:end].partition(":-")
            if end < 0 or depth > MAX_DEPTH or not NAME.fullmatch(name):
                message = "has a '${' that is neither ${NAME} nor ${NAME:-default}: write '$${' for the text"
                self._flaw(loc, self._within(node, text[match.start() : end + 1] or "${"), message)
                continue
            value = self.environ.get(name)
            if value is None and not mark:
                message = f"the environment variable {name} is not set: set it, or write ${{{name}:-default}}"
                self._flaw(loc, self._within(node, match[0] + name + "}"), message)
            # As in a shell, ':-' also stands in for a variable that is set but empty.
            yield value or "".join(self._pieces(default, node, loc, depth + 1))
            at = end + 1
        yield text[at:]

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


def _end_of(text: str, start: int) -> int:
    """Where the `}` stands that belongs to the `${` before `start`; -1 where there is none.

    A default may hold other variables, each with a `}` of its own.
    """
    depth = 1
    for match in BRACE.finditer(text, start):
        depth += -1 if match[0] == "}" else 1
        if depth == 0:
            return match.start()
    return -1


def _position(mark: yaml.Mark) -> Position:
    return Position(mark.line + 1, mark.column + 1)


def _syntax_flaw(error: yaml.MarkedYAMLError) -> Flaw:
    problem = re.sub(r"'[^']*'", _unless_long, str(error.problem or error.context)).removeprefix("but ")
    mark = error.problem_mark or error.context_mark
    if any(sign in problem for sign in UNFINISHED):
        mark = error.context_mark or mark
    hint = next((hint for sign, hint in HINTS.items() if sign in problem), "")
    position = _position(mark) if mark else Position(1, 1)
    return Flaw((), position, f"is not valid YAML: {problem}{hint}")


def _unless_long(quoted: re.Match[str]) -> str:
    """Keep PyYAML's quoted signs; longer words come from the file, such as the start of a password."""
    return quoted[0] if quoted[0].startswith("'<") or len(quoted[0]) <= len(r"'\t'") else "'...'"
