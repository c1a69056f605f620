"""Looks at servers of one's own: whether they are well, what they have to do, and which models they have.

This is the control plane, on httpx: some requests a minute to each backend, beside those of clients. What
is left alone because it failed is looked at every second, so that it is asked again as soon as it is back.
"""

import asyncio
import random
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import httpx
import msgspec

from gateway.credentials import Credentials
from gateway.health.client import PATIENCE, client_of
from gateway.health.condition import Condition, Told
from gateway.metrics import Metrics
from gateway.settings import OpenAIBackend
from translators.backends.openai_server.servers import Server

_SOON: Final = 1.0  # seconds between two looks at what is not well
_MODELS: Final = 30.0  # seconds between two looks at the list of models
_IN_TROUBLE: Final = 500  # statuses from here on are the server's own fault
_LARGEST: Final = 4 * 1024 * 1024  # bytes of an answer
_MOST_MODELS: Final = 2000
_MOST_COUNTED: Final = 1e9  # of anything; more is no number of requests

_UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

_SAMPLE: Final = re.compile(r"^([a-zA-Z_:][\w:]*)(?:\{[^}]*\})?\s+(\S+)", re.MULTILINE)

Found = Callable[[str, Mapping[str, int | None]], None]


class _Model(msgspec.Struct):
    id: str
    max_model_len: Any = None
    meta: Any = None

    @property
    def window(self) -> int | None:
        """The context window, as vLLM and SGLang or as llama.cpp tell it."""
        meta = self.meta if isinstance(self.meta, dict) else {}
        for told in (self.max_model_len, meta.get("n_ctx")):
            if isinstance(told, int) and not isinstance(told, bool) and told > 0:
                return told
        return None


class _Models(msgspec.Struct):
    data: list[_Model] = []


@dataclass(slots=True)
class Probe:
    """Looks at one server.

    Args:
        name: The backend's.
        settings: Where it is.
        server: What product it is.
        condition: What is to be known of it.
        credentials: What it asks for.
        found: Is told which models it lists.
        metrics: Told of looks in vain, and which models have a name.
    """

    name: str
    settings: OpenAIBackend
    server: Server
    condition: Condition
    credentials: Credentials
    found: Found
    metrics: Metrics
    is_up: bool | None = None  # None: it was never asked
    _models_at: float = field(default=float("-inf"))

    async def run(self) -> None:
        """Look again and again."""
        if not self.settings.probe:
            return
        async with client_of(self.settings, self.server.keep_alive) as client:
            while True:
                await self.look(client)
                pause = _SOON if self._is_left_alone() else self.settings.probe
                await asyncio.sleep(pause * random.uniform(0.9, 1.1))  # noqa: S311 - only spreads them

    async def look_once(self) -> None:
        """Look now."""
        async with client_of(self.settings, self.server.keep_alive) as client:
            await self.look(client)

    async def look(self, client: httpx.AsyncClient) -> None:
        """See whether it is well, and where it is, what it has to do and which models it has."""
        self.is_up, was_up = await self._is_well(client), self.is_up
        now = monotonic()
        if not self.is_up:
            self.metrics.probe_failed(self.name, "health")
            if was_up is False:  # a busy server may miss one look
                self.condition.breaker.is_down(now)
            return
        self.condition.breaker.is_well(now)
        self.condition.told = await self._load(client)
        if not was_up or now - self._models_at >= _MODELS:  # who comes back may have others now
            models = await self._models(client)
            if models is not None:
                self._models_at = now
                self.metrics.found(self.name, models)
                self.found(self.name, models)

    def _is_left_alone(self) -> bool:
        return not self.is_up or self.condition.breaker.is_open

    async def _is_well(self, client: httpx.AsyncClient) -> bool:
        """Whether it answers, and not that it is in trouble: some products have no such path."""
        path = self.server.ready or self.server.health
        url = f"{self._api}/models" if path is None else f"{self._root}{path}"
        status, _body = await self._ask(client, url)
        return status is not None and status < _IN_TROUBLE

    async def _load(self, client: httpx.AsyncClient) -> Told | None:
        if self.server.metrics is None:
            return None
        own = self.condition.in_flight
        body = await self._get(client, f"{self._root}{self.server.metrics}")
        told = None if body is None else load_in(body.decode(errors="replace"), self.server, own)
        if told is None:
            self.metrics.probe_failed(self.name, "load")
        return told

    async def _models(self, client: httpx.AsyncClient) -> Mapping[str, int | None] | None:
        body = await self._get(client, f"{self._api}/models")
        if body is not None:
            with suppress(*_UNREADABLE):
                listed = msgspec.json.decode(body, type=_Models).data[:_MOST_MODELS]
                return {model.id: model.window for model in listed if model.id}
        self.metrics.probe_failed(self.name, "models")
        return None

    async def _get(self, client: httpx.AsyncClient, url: str) -> bytes | None:
        """The body of an answer that is fine; None where there is none in time."""
        status, body = await self._ask(client, url)
        return body if status is not None and httpx.codes.is_success(status) else None

    async def _ask(self, client: httpx.AsyncClient, url: str) -> tuple[int | None, bytes]:
        """The status and the body of an answer; None where there is none in time."""
        credential = self.credentials.take()
        headers = {} if credential is None else {"authorization": f"Bearer {credential}"}
        body = bytearray()
        try:
            async with asyncio.timeout(PATIENCE), client.stream("GET", url, headers=headers) as answer:
                async for piece in answer.aiter_bytes():
                    body += piece
                    if len(body) > _LARGEST:
                        return None, b""
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, OSError):
            return None, b""
        return answer.status_code, bytes(body)

    @property
    def _api(self) -> str:
        return self.settings.base_url

    @property
    def _root(self) -> str:
        """The server's own root: what is no part of OpenAI's API stands beside `/v1`."""
        parts = urlsplit(self.settings.base_url)
        return urlunsplit((parts.scheme, parts.netloc, parts.path.removesuffix("/v1"), "", ""))


def load_in(text: str, server: Server, own: int) -> Told | None:
    """What metrics in Prometheus' text format say of a server's load; None where they say nothing.

    Args:
        text: The metrics. Of a name with several samples (one for each model, or each engine) the sum
            counts, of how full the memory is the greatest.
        server: Whose they are.
        own: How many requests of ours were in flight.
    """
    counted = [name for name in (server.running_metric, server.queue_metric) if name is not None]
    requests, saturation, said = 0.0, 0.0, False
    for name, written in _SAMPLE.findall(text):
        if name in counted:
            requests += _amount(written)
            said = True
        elif name == server.saturation_metric:
            saturation = max(saturation, _amount(written))
    return Told(int(requests), saturation, own) if said else None


def _amount(written: str) -> float:
    """A sample's value; 0 for what counts nothing, for Prometheus' numbers may be `NaN` and `+Inf`."""
    with suppress(ValueError):
        value = float(written)
        return value if 0 <= value < _MOST_COUNTED else 0.0
    return 0.0
