"""One exchange without a network: a client's body in, a backend's bytes in, the client's bytes out.

It does what the gateway's pipeline does between its two sockets, one step after the other.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

import translators
from translators.backends.openai_server.request import translate as ask_server
from translators.backends.openai_server.servers import SERVERS, Served
from translators.backends.workers_ai.catalogue import Facts, read_catalogue
from translators.backends.workers_ai.request import translate
from translators.backends.workers_ai.response import Reader
from translators.call import AnswerReader, BackendCall, Stamp
from translators.chat import ChatRequest
from translators.clients import OPENAI_CHAT, OPENAI_COMPLETIONS, Dialect
from translators.deltas import Delta, Failed, Usage, fold
from translators.dialogue import Dialogue
from translators.errors import ApiError
from translators.report import Entry, Report

STAMP: Final = Stamp(created=1_700_000_000, token="0123456789abcdefABCDEFGH")
CATALOGUE: Final = read_catalogue(
    (Path(translators.__file__).parent / "backends/workers_ai/catalogue.json").read_bytes()
)
SEED: Final = "@cf/meta/llama-3.1-8b-instruct-fast"
NEWER: Final = "@cf/meta/llama-3.1-8b-instruct-fp8"
EVENTS: Final = {"content-type": "text/event-stream"}
JSON: Final = {"content-type": "application/json"}


@dataclass(frozen=True)
class Translated:
    """A request on its way to the backend."""

    dialect: Dialect
    request: ChatRequest
    dialogue: Dialogue
    entries: tuple[Entry, ...]

    @property
    def bodies(self) -> list[dict[str, Any]]:
        """The body of each call."""
        return [msgspec.json.decode(call.body) for call in self.dialogue.first()]

    def fates(self) -> dict[str, str]:
        """Parameter -> fate."""
        return {entry.parameter: entry.fate.word for entry in self.entries}


def translated(
    body: Mapping[str, Any], model: str = SEED, stamp: Stamp = STAMP, facts: Facts | None = None
) -> Translated:
    """Translate a client's body; completions are told by their prompt."""
    found = facts or CATALOGUE.facts(model)
    return _translated(body, lambda request, report: translate(request, model, found, stamp, report))


def put_to(body: Mapping[str, Any], product: str) -> Translated:
    """Translate a client's body for a self-hosted server."""
    facts, model = Served(SERVERS[product]), str(body["model"])
    return _translated(body, lambda request, report: ask_server(request, model, facts, STAMP, report))


def _translated(body: Mapping[str, Any], write: Callable[[ChatRequest, Report], Dialogue]) -> Translated:
    dialect = OPENAI_CHAT if "messages" in body else OPENAI_COMPLETIONS
    request = dialect.read(msgspec.json.encode(body))
    report = Report()
    dialogue = write(request, report)
    return Translated(dialect, request, dialogue, report.entries(request.sent, request.settled))


@dataclass(frozen=True)
class Answer:
    """What a backend sends."""

    body: bytes
    headers: Mapping[str, str]
    status: int = 200

    def cut(self, pieces: Iterable[bytes]) -> "Cut":
        """The same answer in pieces."""
        return Cut(self, tuple(pieces))


@dataclass(frozen=True)
class Cut:
    """An answer in the pieces in which it comes."""

    answer: Answer
    pieces: tuple[bytes, ...]

    def read(self, reader: AnswerReader) -> list[list[Delta]]:
        """What a reader makes of it, one batch per piece and one at the end."""
        reader.start(self.answer.status, self.answer.headers)
        return [*(reader.feed(piece) for piece in self.pieces), reader.close()]


def new_reader(stamp: Stamp = STAMP, max_tokens: int = 1000) -> Reader:
    """A reader with nothing special about it."""
    return Reader(stamp, 0, max_tokens, 10)


def read(answer: Answer, pieces: Sequence[bytes] | None = None, reader: Reader | None = None) -> list[Delta]:
    """All deltas of an answer."""
    cut = answer.cut([answer.body] if pieces is None else pieces)
    return [delta for batch in cut.read(reader or new_reader()) for delta in batch]


def deltas_of(exchange: Translated, answers: Sequence[Answer], size: int = 40) -> list[Delta]:
    """What the client is to see, the calls' batches taken in turn; a call that asks again gets the same.

    The answers come in pieces of so many bytes.
    """
    calls = exchange.dialogue.first()
    assert len(calls) == len(answers)
    out: list[Delta] = []
    while calls and not (out and isinstance(out[-1], Failed)):
        out += _round(exchange.dialogue, calls, answers[: len(calls)], size)
        calls = exchange.dialogue.next()
    return out


def _round(
    dialogue: Dialogue, calls: Sequence[BackendCall], answers: Sequence[Answer], size: int
) -> list[Delta]:
    batches: list[Iterator[tuple[int, list[Delta]]]] = []
    readers = [call.reader() for call in calls]
    for number, (reader, answer) in enumerate(zip(readers, answers, strict=True)):
        whole = answer.cut([answer.body[at : at + size] for at in range(0, len(answer.body), size)])
        batches.append(iter([(number, batch) for batch in whole.read(reader)]))
    out: list[Delta] = []
    ended: set[int] = set()
    while batches:
        for source in list(batches):
            number, batch = next(source, (-1, []))
            if number < 0:
                batches.remove(source)
                continue
            if batch and isinstance(batch[-1], Usage | Failed):
                ended.add(number)
            out += dialogue.take(number, batch)
            if out and isinstance(out[-1], Failed):
                return out
            if dialogue.satisfied:
                for rest in set(range(len(calls))) - ended:
                    out += dialogue.take(rest, [readers[rest].usage()])
                return out
    return out


def streamed(exchange: Translated, deltas: Iterable[Delta], stamp: Stamp = STAMP) -> bytes:
    """The client's stream."""
    writer = exchange.dialect.writer(exchange.request, stamp)
    return writer.stream(deltas) + writer.end()


def whole(exchange: Translated, deltas: Iterable[Delta], stamp: Stamp = STAMP) -> dict[str, Any]:
    """The client's whole answer."""
    writer = exchange.dialect.writer(exchange.request, stamp)
    answer: dict[str, Any] = msgspec.json.decode(writer.whole(fold(deltas)))
    return answer


def refusal(body: Mapping[str, Any], model: str = SEED, facts: Facts | None = None) -> ApiError | None:
    """The error that a body meets, or None."""
    try:
        translated(body, model, facts=facts)
    except ApiError as error:
        return error
    return None
