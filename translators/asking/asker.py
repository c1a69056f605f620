"""A body as a call to a model, and the same question put once more with turns behind it."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

import msgspec

from translators.call import AnswerReader, BackendCall

_BYTES_PER_TOKEN: Final = 4  # of English; used only where nobody reports
LEAST_BYTES_PER_TOKEN: Final = 3  # of nearly any text: a Chinese character has three and is about one token

# Of the body that was sent, the most tokens of its answer, and the tokens of its prompt.
MakeReader = Callable[[bytes, int, int], AnswerReader]


class Asker(msgspec.Struct, frozen=True, gc=False):
    """Makes the calls for one choice.

    Attributes:
        segments: The path.
        reader: Makes the readers of the answers.
        limit: The body's field for the most tokens that an answer may have.
        window: The model's context window in tokens, or None where nobody says.
        prompt_bytes: How long the prompt is.
        headers: What is sent beside the body.
        choices: How many answers each call has.
    """

    segments: tuple[str, ...]
    reader: MakeReader
    limit: str
    window: int | None
    prompt_bytes: int
    headers: Mapping[str, str] = {}
    choices: int = 1

    def call(
        self, body: Mapping[str, Any], further_bytes: int = 0, encoded: bytes | None = None
    ) -> BackendCall:
        """The call that sends a body, whose prompt has grown by so many bytes.

        Where it was encoded for another choice before, both send the same bytes.
        """
        prompt_bytes = self.prompt_bytes + further_bytes
        tokens = -(-prompt_bytes // _BYTES_PER_TOKEN)
        sent = msgspec.json.encode(body) if encoded is None else encoded
        return BackendCall(
            segments=self.segments,
            body=sent,
            whole="stream" not in body,
            headers=self.headers,
            reader=partial(self.reader, sent, body[self.limit], tokens),
            prompt_bytes=prompt_bytes,
            most_tokens=body[self.limit] * self.choices,
        )

    def again(self, body: Mapping[str, Any], turns: Sequence[Mapping[str, str]]) -> BackendCall:
        """The call that sends a body with further messages, and with what they leave of the window."""
        further = sum(len(turn["content"].encode("utf-8", "surrogatepass")) for turn in turns)
        limit = body[self.limit]
        if self.window is not None:
            room = self.window - -(-(self.prompt_bytes + further) // LEAST_BYTES_PER_TOKEN)
            limit = max(1, min(limit, room))
        return self.call({**body, "messages": [*body["messages"], *turns], self.limit: limit}, further)
