"""Golden recordings: one folder per case, each file as it goes over the wire.

    ABOUT                   where the case comes from: recorded, documented or inferred
    request.openai.json     what the client sends (a completions request where it has a `prompt`)
    server                  the product of a self-hosted server that is asked
    request.<dialect>.json  what the backend gets; `request.<dialect>.<k>.json` where there are several calls
    report.txt              the fate of every parameter
    answer.sse, answer.json what the backend answers; `answer.<k>.sse` where there are several calls
    answer.status           its status, where that is not 200
    out.sse, out.json       what the client gets
    out.status              the status that the client gets, where that is not 200

The folder around a case is named after the backend's dialect. A request that is refused has no backend's
files.
"""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tests.laws.exchange import (
    EVENTS,
    JSON,
    SEED,
    Answer,
    Translated,
    deltas_of,
    put_to,
    streamed,
    translated,
    whole,
)
from translators.clients import openai_error
from translators.deltas import Failed
from translators.errors import ApiError

ROOT = Path(__file__).parent
_TYPES = {".sse": EVENTS, ".json": JSON}


@dataclass(frozen=True)
class Case:
    """One recorded exchange."""

    folder: Path

    @property
    def name(self) -> str:
        """`<dialect>/<case>`."""
        return f"{self.dialect}/{self.folder.name}"

    @property
    def dialect(self) -> str:
        """The backend's."""
        return self.folder.parent.name

    @cached_property
    def request(self) -> dict[str, Any]:
        """The client's body."""
        body: dict[str, Any] = json.loads((self.folder / "request.openai.json").read_text())
        return body

    @cached_property
    def answers(self) -> list[Answer]:
        """What the backend sends, call by call."""
        status = self.folder / "answer.status"
        code = int(status.read_text()) if status.exists() else 200
        files = sorted(each for each in self.folder.glob("answer*") if each.suffix in _TYPES)
        return [Answer(each.read_bytes(), _TYPES[each.suffix], code) for each in files]

    def outputs(self) -> dict[str, bytes]:
        """What our side of the exchange is: file -> content."""
        try:
            exchange = self._translated()
            return {**_sent(exchange, self.dialect), **_received(exchange, self.answers)}
        except ApiError as error:
            return _refused(error)

    def _translated(self) -> Translated:
        server = self.folder / "server"
        if server.exists():
            return put_to(self.request, server.read_text().strip())
        return translated(self.request, self.request.get("model", SEED))


def all_cases() -> list[Case]:
    """Every recording, in order."""
    return [Case(about.parent) for about in sorted(ROOT.glob("*/*/ABOUT"))]


def _sent(exchange: Translated, dialect: str) -> dict[str, bytes]:
    bodies = exchange.bodies
    names = [f"request.{dialect}.json"] if len(bodies) == 1 else []
    names = names or [f"request.{dialect}.{k}.json" for k in range(len(bodies))]
    files = {name: pretty(body) for name, body in zip(names, bodies, strict=True)}
    lines = [
        f"{entry.parameter:<22} {entry.fate.word:<12} {entry.detail}".rstrip() for entry in exchange.entries
    ]
    return {**files, "report.txt": "".join(f"{line}\n" for line in lines).encode()}


def _received(exchange: Translated, answers: list[Answer]) -> dict[str, bytes]:
    deltas = deltas_of(exchange, answers)
    if isinstance(deltas[0], Failed):
        return _refused(deltas[0].error)
    if exchange.request.stream:
        return {"out.sse": streamed(exchange, deltas)}
    try:
        return {"out.json": pretty(whole(exchange, deltas))}
    except ApiError as error:
        return _refused(error)


def _refused(error: ApiError) -> dict[str, bytes]:
    files = {
        "out.json": pretty(json.loads(openai_error.envelope(error))),
        "out.status": f"{error.status}\n".encode(),
    }
    if error.retry_after is not None:
        files["out.retry-after"] = f"{error.retry_after:g}\n".encode()
    return files


def pretty(value: Any) -> bytes:
    """JSON as people read it."""
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()


# The cases with one streamed answer, for whatever is tried at every byte of one.
STREAMED = [case for case in all_cases() if (case.folder / "answer.sse").exists()]
