"""The common answer: a sequence of deltas. Order is meaning.

A backend dialect reads its answer, whole or streamed, into deltas; a client dialect writes deltas in its
own form. A block of text or a call ends where the kind, the call or the choice changes. `Usage` comes
once, after the last `Finish`; `Failed` ends everything.

`fold` makes a whole answer of deltas, `unfold` deltas of a whole answer (law 4): so a JSON answer becomes
a stream for a client that asked for one, and a stream a JSON answer.

Deltas are msgspec structs and not dataclasses: one is made per token, at a third of the cost.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from translators.chat import CallKind
from translators.errors import ApiError, bad_answer

Reason = Literal["stop", "length", "tool_calls", "content_filter"]


class Text(msgspec.Struct, frozen=True, gc=False):
    """More text of the answer."""

    choice: int
    text: str
    logprobs: msgspec.Raw | None = None


class Refusal(msgspec.Struct, frozen=True, gc=False):
    """More text of a refusal."""

    choice: int
    text: str


class Reasoning(msgspec.Struct, frozen=True, gc=False):
    """More of the model's thinking."""

    choice: int
    text: str
    signature: str | None = None


class Call(msgspec.Struct, frozen=True, gc=False):
    """A tool call begins. `index` counts the calls of its choice from 0."""

    choice: int
    index: int
    id: str
    name: str
    kind: CallKind = "function"


class Arguments(msgspec.Struct, frozen=True, gc=False):
    """More of a call's arguments: JSON text (free text where the call is custom)."""

    choice: int
    index: int
    text: str


class Finish(msgspec.Struct, frozen=True, gc=False):
    """A choice ends."""

    choice: int
    reason: Reason


class Usage(msgspec.Struct, frozen=True, gc=False):
    """Tokens of the exchange; `neurons` is Cloudflare's unit of cost.

    `estimated` says that the gateway counted because the backend did not report.
    """

    prompt: int
    completion: int
    cached: int | None = None
    reasoning: int | None = None
    neurons: float | None = None
    estimated: bool = False


class Failed(msgspec.Struct, frozen=True):
    """The answer broke. Nothing comes after this."""

    error: ApiError


Delta = Text | Refusal | Reasoning | Call | Arguments | Finish | Usage | Failed


class Block(msgspec.Struct, frozen=True, gc=False):
    """A run of text, refusal or reasoning."""

    kind: Literal["text", "refusal", "reasoning"]
    text: str
    signature: str | None = None
    logprobs: tuple[msgspec.Raw, ...] = ()


class WholeCall(msgspec.Struct, frozen=True):
    """A complete tool call."""

    index: int
    id: str
    name: str
    arguments: str
    kind: CallKind = "function"


class Choice(msgspec.Struct, frozen=True, gc=False):
    """One whole answer: its blocks and calls in order, and why it ended."""

    index: int
    items: tuple[Block | WholeCall, ...]
    reason: Reason

    def text_of(self, kind: Literal["text", "refusal", "reasoning"]) -> str | None:
        """All text of one kind, or None where there is none."""
        texts = [item.text for item in self.items if isinstance(item, Block) and item.kind == kind]
        return "".join(texts) if texts else None

    @property
    def calls(self) -> tuple[WholeCall, ...]:
        """The tool calls in order."""
        return tuple(item for item in self.items if isinstance(item, WholeCall))


class Completion(msgspec.Struct, frozen=True, gc=False):
    """A whole answer: choices by index, and what it used."""

    choices: tuple[Choice, ...]
    usage: Usage | None = None


@dataclass(slots=True)
class _OpenBlock:
    kind: Literal["text", "refusal", "reasoning"]
    texts: list[str] = field(default_factory=list)
    signature: str | None = None
    logprobs: list[msgspec.Raw] = field(default_factory=list)

    def close(self) -> Block:
        return Block(self.kind, "".join(self.texts), self.signature, tuple(self.logprobs))


@dataclass(slots=True)
class _OpenCall:
    call: Call
    texts: list[str] = field(default_factory=list)

    def close(self) -> WholeCall:
        call = self.call
        return WholeCall(call.index, call.id, call.name, "".join(self.texts), call.kind)


@dataclass(slots=True)
class _OpenChoice:
    items: list[_OpenBlock | _OpenCall] = field(default_factory=list)
    calls: dict[int, _OpenCall] = field(default_factory=dict)
    reason: Reason | None = None

    def close(self, index: int) -> Choice:
        if self.reason is None:
            raise bad_answer("The backend's answer ended before it was whole. Ask again.")
        return Choice(index, tuple(item.close() for item in self.items), self.reason)

    def block(self, kind: Literal["text", "refusal", "reasoning"]) -> _OpenBlock:
        last = self.items[-1] if self.items else None
        if isinstance(last, _OpenBlock) and last.kind == kind:
            return last
        block = _OpenBlock(kind)
        self.items.append(block)
        return block


def fold(deltas: Iterable[Delta]) -> Completion:
    """Make a whole answer of a complete sequence of deltas.

    Raises:
        ApiError: The answer failed, or a choice has no end.
    """
    if isinstance(deltas, list) and len(deltas) == 3:
        text, finish, used = deltas
        if (
            isinstance(text, Text)
            and isinstance(finish, Finish)
            and isinstance(used, Usage)
            and text.choice == finish.choice
            and text.logprobs is None
        ):
            block = Block("text", text.text)
            return Completion((Choice(text.choice, (block,), finish.reason),), used)  # as nearly all are
    choices: dict[int, _OpenChoice] = {}
    usage: Usage | None = None
    for delta in deltas:
        match delta:
            case Usage():
                usage = delta
            case Failed(error):
                raise error
            case _:
                choice = choices.get(delta.choice)
                if choice is None:
                    choice = choices[delta.choice] = _OpenChoice()
                _fold_one(choice, delta)
    return Completion(tuple(choice.close(index) for index, choice in sorted(choices.items())), usage)


def _fold_one(choice: _OpenChoice, delta: Text | Refusal | Reasoning | Call | Arguments | Finish) -> None:
    match delta:
        case Text():
            block = choice.block("text")
            block.texts.append(delta.text)
            if delta.logprobs is not None:
                block.logprobs.append(delta.logprobs)
        case Refusal():
            choice.block("refusal").texts.append(delta.text)
        case Reasoning():
            block = choice.block("reasoning")
            block.texts.append(delta.text)
            block.signature = delta.signature or block.signature
        case Call():
            call = _OpenCall(delta)
            choice.items.append(call)
            choice.calls[delta.index] = call
        case Arguments():
            choice.calls[delta.index].texts.append(delta.text)
        case _:
            choice.reason = delta.reason


def unfold(completion: Completion) -> Iterator[Delta]:
    """The deltas of a whole answer; `fold` of them is that answer again."""
    for choice in completion.choices:
        for item in choice.items:
            yield from _unfold_item(choice.index, item)
        # Here and not behind all choices: one without items begins with its end, and choices begin in order.
        yield Finish(choice.index, choice.reason)
    if completion.usage is not None:
        yield completion.usage


def _unfold_item(choice: int, item: Block | WholeCall) -> Iterator[Delta]:
    match item:
        case WholeCall():
            yield Call(choice, item.index, item.id, item.name, item.kind)
            yield Arguments(choice, item.index, item.arguments)
        case Block(kind="text"):
            yield Text(choice, item.text, item.logprobs[0] if item.logprobs else None)
            yield from (Text(choice, "", logprobs) for logprobs in item.logprobs[1:])
        case Block(kind="refusal"):
            yield Refusal(choice, item.text)
        case _:
            yield Reasoning(choice, item.text, item.signature)
