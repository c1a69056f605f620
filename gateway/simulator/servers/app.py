"""A self-hosted server as an ASGI application: it reads requests, queues them, and answers at its pace."""

import asyncio
import contextlib
import hashlib
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import msgspec

from gateway.simulator.asgi import Receive, Scope, disconnected, read_body, serve
from gateway.simulator.delivery import Send
from gateway.simulator.model import Generation
from gateway.simulator.servers import (
    composition,
    faults,
    listing,
    metrics,
    refusals,
    request,
    stream,
    whole,
)
from gateway.simulator.servers.faults import Fault
from gateway.simulator.servers.load import Prefixes, Slots
from gateway.simulator.servers.products import PRODUCTS
from gateway.simulator.servers.refusals import Refusal
from gateway.simulator.servers.request import Question
from gateway.simulator.servers.sending import JSON, STREAM, Sending, pause, send_refusal
from gateway.simulator.servers.wire import Wire
from gateway.simulator.vocabulary import Vocabulary

_LARGEST_BODY: Final = 64 * 1024 * 1024
_CHAT, _COMPLETIONS, _MODELS = "/v1/chat/completions", "/v1/completions", "/v1/models"
_REMEMBERED_BODIES: Final = 1000
_PASSED_ON: Final = frozenset({"ignored-format", "leaked-call", "null-content"})  # to the simulated model
_GARBAGE: Final = b"<html><body>It works!</body></html>\n\n"


class SimulatedServer:
    """One server of a product, which `PRODUCTS` names.

    `slots` requests are worked on at once, within a context `window` of tokens; `takes_tools=False` is vLLM
    without a tool parser or llama.cpp without `--jinja`, `shows_metrics=False` llama.cpp without `--metrics`.
    `heartbeat` and `health_seconds` replace the product's own, `prefixes` says how many are remembered.

    What may be set while it runs: `fault` (see `faults`), `is_loading`, `slots`, and its pace in seconds:
    `first_token`, `per_token`, and `per_prompt_token` for what the prefix cache does not spare. What can be
    read: `running`, `waiting`, `served`, `abandoned`, `prefix_queries`, `prefix_hits`, `generated_tokens`,
    and `bodies`, the latest that it was sent.
    """

    def __init__(  # noqa: PLR0913 - each is a setting of its own
        self,
        product: str,
        *,
        models: Sequence[str] = ("simulated",),
        api_key: str | None = None,
        slots: int = 8,
        seed: int = 0,
        window: int = 32_768,
        first_token: float = 0.0,
        per_token: float = 0.0,
        per_prompt_token: float = 0.0,
        takes_tools: bool = True,
        shows_metrics: bool = True,
        heartbeat: float | None = None,
        health_seconds: float | None = None,
        prefixes: int = 10_000,
        clock: Callable[[], float] = time.time,
    ) -> None:
        row = PRODUCTS[product]
        self.product = row
        self.models = tuple(models)
        self.first_token, self.per_token, self.per_prompt_token = first_token, per_token, per_prompt_token
        self.is_loading = False
        self.abandoned = self.generated_tokens = self.prompt_tokens = 0
        self.bodies: deque[dict[str, Any]] = deque(maxlen=_REMEMBERED_BODIES)
        self._api_key = api_key
        self._slots = Slots(slots)
        self._seed = seed
        self._window = window
        self._takes_tools = takes_tools
        self._shows_metrics = shows_metrics
        self._heartbeat = row.heartbeat
        if row.heartbeat and heartbeat is not None:
            self._heartbeat = (row.heartbeat[0], heartbeat)
        self._health_seconds = row.health_seconds if health_seconds is None else health_seconds
        self._prefixes = Prefixes(prefixes)
        self._clock = clock
        self._vocabulary = Vocabulary(seed)
        self._fault: Fault | None = None
        self._fault_text: str | None = None

    @property
    def fault(self) -> str | None:
        """What is wrong with the whole server, as it was set; None: nothing."""
        return self._fault_text

    @fault.setter
    def fault(self, text: str | None) -> None:
        self._fault = faults.read(text) if text else None
        self._fault_text = text or None

    @property
    def slots(self) -> int:
        """How many requests are worked on at once; others wait."""
        return self._slots.number

    @slots.setter
    def slots(self, number: int) -> None:
        self._slots.number = number

    @property
    def running(self) -> int:
        """How many requests are worked on."""
        return self._slots.running

    @property
    def waiting(self) -> int:
        """How many requests wait."""
        return self._slots.waiting

    @property
    def served(self) -> int:
        """How many requests have held a slot and are over."""
        return self._slots.served

    @property
    def prefix_queries(self) -> int:
        """How many prompts were looked up in the prefix cache."""
        return self._prefixes.queries

    @property
    def prefix_hits(self) -> int:
        """How many of them began as an earlier one did, up to its first question at least."""
        return self._prefixes.hits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection of any kind that ASGI knows."""
        await serve(scope, receive, send, self._serve)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await read_body(receive, _LARGEST_BODY)
        if body is None:
            return
        headers = {
            name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]
        }
        left = asyncio.ensure_future(disconnected(receive))
        try:
            call = _Call(scope["method"], scope["path"], headers, body, send, left)
            refused = await self._answer(call)
            if refused is not None and not left.done():
                await send_refusal(send, refused)
        finally:
            left.cancel()
            await asyncio.wait([left])

    async def _answer(self, call: "_Call") -> Refusal | None:
        """Answer, or say what is to be answered."""
        if self._fault and (self._fault.name == "hang" or self._fault == Fault("reset")):
            await self._be_stuck(self._fault, call)
            return None
        if not self._is_let_in(call):
            return refusals.unauthorized(self.product)
        if call.method == "GET":
            return await self._tell(call)
        if call.method == "POST" and call.path in {_CHAT, _COMPLETIONS}:
            return await self._generate(call)
        return refusals.no_such_path(self.product, call.method, call.path)

    def _is_let_in(self, call: "_Call") -> bool:
        guarded = call.path.startswith(self.product.guards) and call.path not in self.product.open_paths
        if self._api_key is None or not guarded:
            return True
        given = call.headers.get("authorization", "")
        if self.product.name == "llama_cpp" and not given:
            given = f"Bearer {call.headers.get('x-api-key', '')}"
        return given == f"Bearer {self._api_key}"

    async def _be_stuck(self, fault: Fault, call: "_Call") -> None:
        if fault.name == "hang":
            await call.left
        else:
            await Sending(call.send, call.left, fault, STREAM).write(b" ")

    async def _tell(self, call: "_Call") -> Refusal:
        """Tell of the server itself."""
        if call.path in self.product.health:
            return await self._tell_health(call)
        if self.is_loading and self.product.name == "llama_cpp":
            return refusals.loading(self.product)
        if call.path == _MODELS:
            return Refusal(200, listing.models(self.product, self.models, self._window))
        if call.path.startswith(f"{_MODELS}/") and listing.shows_one(self.product):
            name = call.path.removeprefix(f"{_MODELS}/")
            found = listing.model(self.product, name, self.models, self._window)
            return Refusal(200, found) if found else refusals.no_such_model(self.product, name)
        found = listing.load(self.product, call.path, self._figures(), self.models, self._window)
        if found is not None:
            return Refusal(200, found)
        return self._tell_metrics(call) or refusals.no_such_path(self.product, call.method, call.path)

    def _tell_metrics(self, call: "_Call") -> Refusal | None:
        text = metrics.written(self.product.name, self.models[0], self._figures())
        if text is None or call.path not in metrics.PATHS:
            return None
        if not self._shows_metrics and self.product.name == "llama_cpp":
            return refusals.refuse(self.product, 501, "This server does not support metrics endpoint.")
        return Refusal(200, text) if self._shows_metrics else None

    async def _tell_health(self, call: "_Call") -> Refusal:
        if self.is_loading:
            is_told = self.product.name == "llama_cpp"
            return refusals.loading(self.product) if is_told else Refusal(503, None)
        if self._fault and self._fault.status is not None and self._fault.status >= 500:
            return Refusal(503, None)
        if self.product.name == "sglang" and call.path != "/ready":
            async with self._slots.taken(call.left):
                await pause(call.left, max(self._health_seconds, self.first_token))
                self.generated_tokens += 1
        return listing.well(self.product, call.path)

    def _figures(self) -> metrics.Figures:
        return metrics.Figures(
            slots=self.slots,
            running=self.running,
            waiting=self.waiting,
            prompt_tokens=self.prompt_tokens,
            generated_tokens=self.generated_tokens,
            prefix_tokens_queried=self._prefixes.queried_tokens,
            prefix_tokens_hit=self._prefixes.hit_tokens,
        )

    async def _generate(self, call: "_Call") -> Refusal | None:
        """Refuse, or wait for a slot and answer."""
        if self.is_loading:
            return refusals.loading(self.product)
        question = self._understood(call)
        if isinstance(question, Refusal):
            return question
        try:
            fault = self._chosen(call, question)
        except faults.UnknownFaultError as error:
            return refusals.refuse(self.product, 400, str(error))
        if refused := self._refused(question, fault):
            return refused
        name = fault.name if fault else ""
        try:
            generations = composition.compose(
                question, self._vocabulary, self._seed, self._window, _PASSED_ON & {name}
            )
        except composition.OverWindowError as error:
            return refusals.too_long(self.product, self._window, error.prompt, error.answer)
        await self._deliver(call, question, generations, fault)
        return None

    def _understood(self, call: "_Call") -> Question | Refusal:
        with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            self.bodies.append(msgspec.json.decode(call.body, type=dict[str, Any]))
        if call.path == _CHAT:
            question = request.read_chat(self.product, call.body, takes_tools=self._takes_tools)
        else:
            question = request.read_completion(self.product, call.body)
        if isinstance(question, Question) and question.model in {"", "tgi"}:
            return replace(question, model=self.models[0])
        return question

    def _chosen(self, call: "_Call", question: Question) -> Fault | None:
        if stated := call.headers.get("x-simulator-fault"):
            return faults.read(stated)
        return faults.of_model(question.model) or self._fault

    def _refused(self, question: Question, fault: Fault | None) -> Refusal | None:
        if fault and fault.name == "loading":
            return refusals.loading(self.product)
        if fault and fault.status is not None:
            return refusals.refuse(self.product, fault.status, "The server is made to refuse this.")
        known = question.model in self.models or faults.is_model(question.model)
        if self.product.knows_models and not known:
            return refusals.no_such_model(self.product, question.model)
        return None

    async def _deliver(
        self, call: "_Call", question: Question, generations: tuple[Generation, ...], fault: Fault | None
    ) -> None:
        sending = Sending(call.send, call.left, fault, STREAM if question.is_streamed else JSON)
        try:
            if fault and fault.name == "slow-first-byte":
                await pause(call.left, fault.argument / 1000)
            is_hung = fault is not None and fault.name == "hang"
            if question.is_streamed and self.product.early and not is_hung:
                await sending.start(self._heartbeat)
            async with self._slots.taken(call.left) as is_there:
                if is_hung:
                    await call.left
                elif is_there:
                    await self._speak(call, question, generations, fault, sending)
        finally:
            sending.close()
            self.generated_tokens += sum(each.completion_tokens for each in generations)
            self.abandoned += call.left.done()

    async def _speak(
        self,
        call: "_Call",
        question: Question,
        generations: tuple[Generation, ...],
        fault: Fault | None,
        sending: Sending,
    ) -> None:
        prompt, cached = self._read_prompt(generations)
        wire = Wire(
            self.product, question, self._fingerprint(call), self._clock, int(self._clock()), cached,
            frozenset({fault.name} if fault else ()),
        )  # fmt: skip
        per_token = fault.argument / 1000 if fault and fault.name == "slow-chunks" else self.per_token
        before = self.first_token + (prompt - cached) * self.per_prompt_token
        is_chat = call.path == _CHAT
        if not question.is_streamed:
            written = msgspec.json.encode((whole.chat if is_chat else whole.completion)(generations, wire))
            before += per_token * sum(each.completion_tokens for each in generations)
            pieces = iter([_GARBAGE if "garbage" in wire.faults else written])
            per_token = 0.0
        else:
            pieces = (stream.chat if is_chat else stream.completion)(generations, wire)
            if "garbage" in wire.faults:
                pieces = iter([next(pieces), b"data: " + _GARBAGE])
        if await pause(call.left, before) and await _write_all(pieces, sending, call.left, per_token):
            await sending.end()

    def _read_prompt(self, generations: tuple[Generation, ...]) -> tuple[int, int]:
        """Count the prompt, and how much of it is known."""
        turns = generations[0].conversation.turns
        prompt = generations[0].prompt_tokens
        known = self._prefixes.look(turns, [self._vocabulary.count([turn.text]) for turn in turns])
        self.prompt_tokens += prompt
        return prompt, min(known, prompt - 1)

    def _fingerprint(self, call: "_Call") -> bytes:
        return hashlib.blake2b(b"%d\0%b" % (self._seed, call.body), digest_size=16).digest()


@dataclass(frozen=True, slots=True)
class _Call:
    """One request, and the client at its other end."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    send: Send
    left: asyncio.Future[None]


async def _write_all(
    pieces: Iterator[bytes], sending: Sending, left: asyncio.Future[None], per_token: float
) -> bool:
    for piece in pieces:
        if not await sending.write(piece) or not await pause(left, per_token):
            return False
    return True
