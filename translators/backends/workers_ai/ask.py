"""A body as a call to a model, and the same question put once more with turns behind it."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

import msgspec

from translators.backends.workers_ai.places import Sent
from translators.backends.workers_ai.response import Reader
from translators.call import BackendCall, Stamp
from translators.chat import ChatRequest

_BYTES_PER_TOKEN: Final = 4  # of English; used only where nobody reports
LEAST_BYTES_PER_TOKEN: Final = 3  # of nearly any text: a Chinese character has three and is about one token


class Asker(msgspec.Struct, frozen=True):
    """Makes the calls for one choice.

    Attributes:
        model: The model's id.
        stamp: Whence the ids of its tool calls come.
        choice: Which choice the answers are.
        limit: The body's field for the most tokens that an answer may have.
        window: The model's context window in tokens, or None where nobody says.
        prompt_bytes: How long the prompt is.
        chat: The request that is asked; errors are about its fields.
        headers: What is sent beside the body.
    """

    model: str
    stamp: Stamp
    choice: int
    limit: str
    window: int | None
    prompt_bytes: int
    chat: ChatRequest
    headers: Mapping[str, str] = {}

    def call(
        self, body: Mapping[str, Any], further_bytes: int = 0, encoded: bytes | None = None
    ) -> BackendCall:
        """The call that sends a body, whose prompt has grown by so many bytes.

        Where it was encoded for another choice before, both send the same bytes.
        """
        prompt_bytes = self.prompt_bytes + further_bytes
        tokens = -(-prompt_bytes // _BYTES_PER_TOKEN)
        sent = Sent(msgspec.json.encode(body) if encoded is None else encoded, self.chat)
        return BackendCall(
            segments=("ai", "run", *self.model.split("/")),
            body=sent.body,
            whole="stream" not in body,
            headers=self.headers,
            reader=partial(Reader, self.stamp, self.choice, body[self.limit], tokens, sent),
            prompt_bytes=prompt_bytes,
            most_tokens=body[self.limit],
        )

    def again(self, body: Mapping[str, Any], turns: Sequence[Mapping[str, str]]) -> BackendCall:
        """The call that sends a body with further messages, and with what they leave of the window."""
        further = sum(len(turn["content"].encode("utf-8", "surrogatepass")) for turn in turns)
        limit = body[self.limit]
        if self.window is not None:
            room = self.window - -(-(self.prompt_bytes + further) // LEAST_BYTES_PER_TOKEN)
            limit = max(1, min(limit, room))
        return self.call({**body, "messages": [*body["messages"], *turns], self.limit: limit}, further)
