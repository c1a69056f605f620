"""Workers AI's answer to `/ai/run`, whole or streamed, read into deltas."""

from typing import Any

import msgspec

from translators.answers.reader import Reader as AnyReader
from translators.answers.usage import read_neurons
from translators.backends.workers_ai.errors import EmptyResultError, read_error
from translators.backends.workers_ai.places import Sent
from translators.call import Stamp
from translators.deltas import Usage
from translators.errors import ApiError


class _Envelope(msgspec.Struct):
    """What REST wraps around a whole answer."""

    result: Any = None


_envelope = msgspec.json.Decoder(_Envelope)


class Reader(AnyReader):
    """Reads one answer; the arguments are those of any reader, and what was asked.

    Args:
        stamp: The exchange's.
        choice: Which choice this is.
        max_tokens: What was asked for.
        prompt_estimate: The prompt in tokens.
        sent: What was asked, so that an error about it names the field as the client wrote it.
    """

    who = "Workers AI"

    def __init__(
        self, stamp: Stamp, choice: int, max_tokens: int, prompt_estimate: int, sent: Sent | None = None
    ) -> None:
        super().__init__(stamp, choice, max_tokens, prompt_estimate)
        self._sent = sent

    def error_in(self, status: int, body: bytes, now: int) -> ApiError:
        """The common error of an answer that is no success."""
        return read_error(status, body, now, self._sent)

    def no_answer(self, body: bytes) -> ApiError:
        """The error of a success in a form that is not known, or of one that is empty."""
        return EmptyResultError() if _is_empty(body) else super().no_answer(body)

    def usage(self) -> Usage:
        """What the backend reported, or else our own count of what came so far.

        What a whole answer cost also stands in a header; at the head of a stream nobody knows it.
        """
        usage = self._answer.usage()
        if usage.neurons is None and self._events is None and "cf-ai-neurons" in self._headers:
            return msgspec.structs.replace(usage, neurons=read_neurons(self._headers["cf-ai-neurons"]))
        return usage


def _is_empty(body: bytes) -> bool:
    try:
        return bool(_envelope.decode(body).result == {})
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
