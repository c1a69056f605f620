"""A request of an OpenAI client, written for a server."""

from dataclasses import dataclass
from typing import Any

import msgspec

from tests.laws.exchange import STAMP
from translators.backends.openai_server.request import translate
from translators.backends.openai_server.servers import SERVERS, Served
from translators.clients import OPENAI_CHAT, OPENAI_COMPLETIONS
from translators.deltas import Delta
from translators.dialogue import Dialogue
from translators.report import Report

Json = dict[str, Any]


@dataclass
class Written:
    """What was written, and what became of each parameter."""

    dialogue: Dialogue
    fates: dict[str, tuple[str, str]]

    @property
    def bodies(self) -> list[Json]:
        return [msgspec.json.decode(call.body) for call in self.dialogue.first()]

    @property
    def body(self) -> Json:
        (body,) = self.bodies
        return body


def written(
    product: str = "vllm", /, served: Json | None = None, also: Json | None = None, **fields: Any
) -> Written:
    """A chat for a product, or a completion where there is a prompt; `also` is what the gateway adds."""
    facts = msgspec.structs.replace(Served(SERVERS[product]), **(served or {}))
    body = {"model": "m", **fields}
    if "prompt" not in body:
        body = {"messages": [{"role": "user", "content": "Hi"}], **body}
    dialect = OPENAI_COMPLETIONS if "prompt" in body else OPENAI_CHAT
    request, report = dialect.read(msgspec.json.encode(body)), Report()
    request = msgspec.structs.replace(request, **(also or {}))
    dialogue = translate(request, "name-there", facts, STAMP, report)
    entries = report.entries(request.sent, request.settled)
    return Written(dialogue, {entry.parameter: (entry.fate.word, entry.detail) for entry in entries})


def read(exchange: Written, *pieces: bytes, status: int = 200) -> list[Delta]:
    """The deltas of an answer to the first call."""
    reader = exchange.dialogue.first()[0].reader()
    reader.start(status, {})
    return [delta for piece in pieces for delta in reader.feed(piece)] + reader.close()
