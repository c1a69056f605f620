"""Sets right the arguments of calls where they almost fit the tool's schema (model_text/arguments.py).

What is no object becomes one where it is sure which (model_text/offered.py).

A repair needs the whole, and clients like arguments as they come. So they pass at once for as long as they
are the beginning of valid JSON whose values begin as the schema asks: `"` is no number. From the first
character that is neither, the rest of that call's arguments is held until the call is over; the repair begins
with what has passed. Most arguments are never held, and where a backend sends them whole nothing is lost.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from translators.chat import Tool
from translators.deltas import Arguments, Call, Delta, Failed, Finish, Usage
from translators.model_text.arguments import ToolSchema, Walk, repaired
from translators.model_text.json_scan import Scanner
from translators.model_text.offered import as_object


@dataclass(slots=True)
class _Open:
    """One call's arguments in progress."""

    schema: ToolSchema
    walk: Walk
    scanner: Scanner = field(default_factory=Scanner)
    pieces: list[str] = field(default_factory=list)
    held: str = ""  # what of them was not given out
    passed: int = 0  # how much of them was
    doubtful: bool = False  # whether the rest is held

    def take(self, piece: str) -> str:
        """Take the next piece, and give out what may pass."""
        self.pieces.append(piece)
        if self.doubtful:
            return ""
        text = self.held + piece
        free = self._settled(piece, text) - self.passed
        self.held = text[free:]
        self.passed += free
        return text[:free]

    def _settled(self, piece: str, text: str) -> int:
        """How many characters are right, whatever comes."""
        for event in self.scanner.feed(piece):
            expected = self.walk.take(event, text, self.passed)
            if expected is None or event.kind != "value":
                continue
            character = text[event.end - self.passed]
            if not expected.suits(character) and expected.can_be_set_right(character):
                self.doubtful = True
                return event.start
        behind = text[self.scanner.position - self.passed :] if self.scanner.closed else ""
        self.doubtful = self.scanner.broken or bool(behind.strip())
        return self.scanner.settled

    def rest(self, *, whole: bool) -> str:
        """What is still to be given out, repaired where the arguments are whole."""
        text = "".join(self.pieces)
        is_due = whole and (self.passed < len(text) or not self.scanner.closed)
        meant = (as_object(text, self.schema) if is_due and not self.passed else None) or text
        fitting = repaired(meant, self.schema) if is_due else text
        return (fitting if fitting.startswith(text[: self.passed]) else text)[self.passed :]


class RepairedArguments:
    """Repairs the arguments of calls to the given tools, each call by itself."""

    satisfied = False

    def __init__(self, tools: Mapping[str, Tool]) -> None:
        self._tools = tools
        self._open: dict[tuple[int, int], _Open] = {}

    def feed(self, delta: Delta) -> Iterator[Delta]:
        """Pass on arguments as far as they are right; a call is over where its choice goes on otherwise."""
        match delta:
            case Arguments() if (delta.choice, delta.index) in self._open:
                yield from self._arguments(delta)
                return
            case Arguments() | Usage():
                pass
            case Failed():
                for choice in sorted({choice for choice, _ in self._open}):
                    yield from self._close(choice, whole=False)
            case Finish():
                yield from self._close(delta.choice, whole=delta.reason != "length")
            case _:
                yield from self._close(delta.choice, whole=True)
        yield delta
        if isinstance(delta, Call) and delta.name in self._tools:
            schema = ToolSchema(self._tools[delta.name])
            self._open[delta.choice, delta.index] = _Open(schema, Walk(schema.shape))

    def _arguments(self, delta: Arguments) -> Iterator[Delta]:
        text = self._open[delta.choice, delta.index].take(delta.text)
        if text:
            yield delta if text == delta.text else Arguments(delta.choice, delta.index, text)

    def _close(self, choice: int, *, whole: bool) -> Iterator[Delta]:
        for key in [key for key in self._open if key[0] == choice]:
            rest = self._open.pop(key).rest(whole=whole)
            if rest:
                yield Arguments(*key, rest)
