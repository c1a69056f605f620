"""Strategies for what Workers AI answers, whole and streamed, in every shape in which it does.

What is said (said.py) and how a shape spells it (legacy.py, openai.py, responses.py) are drawn apart, so that
one answer can be had streamed, whole and in another spelling. The framing of a stream is the same for all.
A new shape is one row in `SHAPES`.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import pytest
from hypothesis import settings
from hypothesis import strategies as st

from tests.laws.answers import legacy, openai, responses
from tests.laws.answers.said import ARGUMENTS, Object, Said, compact
from tests.laws.exchange import EVENTS, JSON, Answer

__all__ = [
    "ARGUMENTS",
    "SHAPES",
    "Framing",
    "Said",
    "Shape",
    "Spoken",
    "Test",
    "answered",
    "each_shape",
    "one_of",
    "parametrized",
    "spoken",
    "stream",
    "whole",
]

PADDING: Final = "abdefghijklmnoprstuvxyz1234567890"


@dataclass(frozen=True, repr=False)
class Shape:
    """One form of answers.

    Attributes:
        said: What can be said in it.
        spellings: How it can be spelt.
        result: Writes a whole answer.
        events: Writes the events of a stream; None where it never streams.
    """

    name: str
    said: st.SearchStrategy[Said]
    spellings: st.SearchStrategy[Any]
    result: Callable[[Said, Any], Object]
    events: Callable[[Said, Any], list[Object]] | None

    def __repr__(self) -> str:
        return self.name


SHAPES: Final[Mapping[str, Shape]] = {
    shape.name: shape
    for shape in (
        Shape("legacy", legacy.SAID, legacy.SPELLINGS, legacy.result, legacy.events),
        Shape("thinking", legacy.THOUGHT, legacy.SPELLINGS, legacy.result, legacy.events),
        Shape("guard", legacy.JUDGED, legacy.SPELLINGS, legacy.result, legacy.events),
        Shape("openai", openai.SAID, openai.spellings(), openai.result, openai.events),
        Shape("scored", openai.SAID, openai.spellings(scored=True), openai.result, openai.events),
        Shape("completion", openai.COMPLETED, openai.spellings(as_prompt=True), openai.result, openai.events),
        Shape("responses", responses.SAID, responses.SPELLINGS, responses.result, None),
    )
}


Test = Callable[..., None]


def parametrized(name: str, values: Collection[Any], *, one_in: int = 4) -> Callable[[Test], Test]:
    """Hold a property for each of some values, on a share of the examples: together they are many."""
    share = settings(max_examples=max(10, settings().max_examples // one_in))
    each = pytest.mark.parametrize(name, values, ids=repr)
    return lambda test: each(share(test))


def each_shape(test: Test) -> Test:
    """Hold a property for each shape, on its share of the examples."""
    return parametrized("shape", SHAPES.values())(test)


@dataclass(frozen=True)
class Framing:
    """How a stream's events are written."""

    newline: str = "\n"
    space: str = " "
    padded: bool = True
    done: bool = True
    last_newline: bool = True
    comments: bool = False


FRAMINGS: Final = st.builds(
    Framing,
    newline=st.sampled_from(["\n", "\r\n", "\r"]),
    space=st.sampled_from([" ", ""]),
    padded=st.booleans(),
    done=st.booleans(),
    last_newline=st.booleans(),
    comments=st.booleans(),
)


@dataclass(frozen=True)
class Spoken:
    """Something said, and how: the same in a whole answer and in a stream."""

    shape: Shape
    said: Said
    spelling: Any
    framing: Framing = Framing()

    @property
    def preface(self) -> str:
        """What stands before the text in the text itself."""
        return legacy.preface(self.said) if self.shape.name == "thinking" else ""

    def whole(self) -> Answer:
        """The answer in one piece of JSON."""
        return whole(self.shape.result(self.said, self.spelling))

    def streamed(self) -> Answer:
        """The answer to a request for a stream, which some models answer whole."""
        if self.shape.events is None:
            return self.whole()
        return stream(self.shape.events(self.said, self.spelling), self.framing)

    def failing(self, at: int, failure: Object | str) -> Answer:
        """The same answer, in which the backend fails before the event of this number, and goes on."""
        events: list[Object | str] = [*(self.shape.events or _one_event)(self.said, self.spelling)]
        events.insert(at % (len(events) + 1), failure)
        return stream(events, self.framing)

    def done(self) -> "Spoken":
        """The same, with the mark that ends a stream."""
        return replace(self, framing=replace(self.framing, done=True))

    def saying(self, **changes: Any) -> "Spoken":
        """The same but for something that is said."""
        return replace(self, said=self.said.saying(**changes))


def whole(result: Object) -> Answer:
    """A whole answer in REST's envelope."""
    envelope = {"result": result, "success": True, "errors": [], "messages": []}
    return Answer(compact(envelope).encode(), JSON)


def _one_event(_said: Said, _spelling: Any) -> list[Object]:
    """What a shape that never streams has before a failure in a stream."""
    return [{"response": "a"}]


def stream(events: Sequence[Object | str], framing: Framing = Framing()) -> Answer:
    """A stream of some events; a string is the bare data of one."""
    lines = [f"data:{framing.space}{_data(event, at, framing)}" for at, event in enumerate(events)]
    if framing.comments:
        lines.insert(len(lines) // 2, ": keep-alive")
    if framing.done:
        lines.append(f"data:{framing.space}[DONE]")
    blank = framing.newline * 2
    text = blank.join(lines) + (blank if framing.last_newline else "")
    return Answer(text.encode(), EVENTS)


def _data(event: Object | str, at: int, framing: Framing) -> str:
    if isinstance(event, str):
        return event
    return compact({**event, "p": PADDING[: at % len(PADDING)]} if framing.padded else event)


def _data(event: Object | str, at: int, framing: Framing) -> str:
    if isinstance(event, str):
        return event
    return compact({**event, "p": PADDING[: at % len(PADDING)]} if framing.padded else event)


_USAGE: Final[Object] = {"prompt_tokens": 7, "completion_tokens": 3}


@st.composite
def spoken(draw: st.DrawFn, shape: Shape) -> Spoken:
    """An answer of which a stream says in one way or another that it is whole."""
    said = draw(shape.said)
    made = Spoken(shape, said, draw(shape.spellings), draw(FRAMINGS))
    if made.framing.done or said.usage is not None or said.finish_reason is not None:
        return made
    return made.saying(usage=_USAGE)


def one_of(names: tuple[str, ...]) -> st.SearchStrategy[Spoken]:
    """Answers in one of some shapes."""
    return st.one_of([spoken(SHAPES[name]) for name in names])


@st.composite
def answered(draw: st.DrawFn, shape: Shape) -> Answer:
    """The bytes of an answer, streamed or whole."""
    made = draw(spoken(shape))
    return made.streamed() if draw(st.booleans()) else made.whole()
