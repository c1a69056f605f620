"""Streams that come as nothing are asked for whole.

gpt-oss, and older Kimi, may answer a request for a stream with the JSON of an empty result (Cloudflare's own
SDK asks again as well). The whole answer is then sent on to the client as the stream that it asked for.
"""

from collections.abc import Iterable

import msgspec

from translators.backends.workers_ai.errors import EmptyResultError
from translators.call import BackendCall
from translators.deltas import Delta, Failed
from translators.dialogue import Dialogue


class Unstreamed:
    """A dialogue, each of whose calls is made once more without a stream where its stream was nothing."""

    def __init__(self, dialogue: Dialogue) -> None:
        self._dialogue = dialogue
        self._calls: tuple[BackendCall, ...] = ()  # of the dialogue's own round
        self._numbers: list[int] = []  # the running calls, by their numbers in it
        self._again: dict[int, BackendCall] = {}

    @property
    def satisfied(self) -> bool:
        """Whether the dialogue is."""
        return self._dialogue.satisfied

    def first(self) -> tuple[BackendCall, ...]:
        """The dialogue's first calls."""
        return self._begin(self._dialogue.first())

    def take(self, call: int, deltas: Iterable[Delta]) -> list[Delta]:
        """Hand the deltas over, but for a stream that was nothing."""
        number, batch = self._numbers[call], deltas if isinstance(deltas, list) else list(deltas)
        if len(batch) == 1 and _is_nothing(batch[0]):
            whole = _without_stream(self._calls[number])
            if whole is not None:
                self._again[number] = whole
                return []
        return self._dialogue.take(number, batch)

    def next(self) -> tuple[BackendCall, ...]:
        """The calls to be made whole; after them the dialogue's own."""
        again, self._again = self._again, {}
        if not again or self.satisfied:
            return self._begin(self._dialogue.next())
        self._numbers = list(again)
        self._calls = tuple(again.get(number, call) for number, call in enumerate(self._calls))
        return tuple(again.values())

    def _begin(self, calls: tuple[BackendCall, ...]) -> tuple[BackendCall, ...]:
        self._calls, self._numbers = calls, list(range(len(calls)))
        return calls


def _is_nothing(delta: Delta) -> bool:
    return isinstance(delta, Failed) and isinstance(delta.error, EmptyResultError)


def _without_stream(call: BackendCall) -> BackendCall | None:
    """The same question without a stream; None where it asked for none."""
    body = msgspec.json.decode(call.body)
    if body.get("stream") is not True:
        return None
    kept = {name: value for name, value in body.items() if name not in ("stream", "stream_options")}
    return msgspec.structs.replace(call, body=msgspec.json.encode(kept), whole=True)
