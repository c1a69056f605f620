"""Log probabilities in the completions endpoint's form: parallel lists, where chat has a list of tokens.

A backend reports them in the form of the endpoint that it was asked at, so both are read.
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from translators.clients.chat_logprobs import Token


class _Chat(msgspec.Struct):
    content: list[Token]


class _Completion(msgspec.Struct):
    tokens: list[str]
    token_logprobs: list[float | None]
    top_logprobs: list[dict[str, float] | None] | None = None


_chat = msgspec.json.Decoder(_Chat)
_completion = msgspec.json.Decoder(_Completion)


def completion_logprobs(pieces: Iterable[msgspec.Raw], begin: int) -> tuple[dict[str, Any] | None, int]:
    """Those of some text as one, and where the text of the next begins; None where there are none.

    Args:
        pieces: As backends reported them.
        begin: Where the text begins in its choice.
    """
    read = [_read(piece) for piece in pieces]
    tokens = [token for each in read for token in each.tokens]
    if not tokens:
        return None, begin
    offsets = []
    for token in tokens:
        offsets.append(begin)
        begin += len(token)
    return {
        "tokens": tokens,
        "token_logprobs": [score for each in read for score in each.token_logprobs],
        # OpenAI's client wants an object for each token, be it empty.
        "top_logprobs": [
            top or {} for each in read for top in each.top_logprobs or [None] * len(each.tokens)
        ],
        "text_offset": offsets,
    }, begin


def _read(raw: msgspec.Raw) -> _Completion:
    """What is in neither form says nothing."""
    try:
        content = _chat.decode(raw).content
    except msgspec.DecodeError:
        try:
            return _completion.decode(raw)
        except msgspec.DecodeError:
            return _Completion([], [])
    return _Completion(
        [each.token for each in content],
        [each.logprob for each in content],
        [{top.token: top.logprob for top in each.top_logprobs} for each in content],
    )
