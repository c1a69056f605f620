"""Log probabilities as chats have them."""

from typing import Any

import msgspec
import pytest

from translators.clients.chat_logprobs import chat_logprobs

WHOLE = {
    "token": "Hi",
    "logprob": -0.1,
    "bytes": [72, 105],
    "top_logprobs": [{"token": "Ho", "logprob": -2.0, "bytes": None}],
}


def _together(*pieces: Any) -> Any:
    read = chat_logprobs(msgspec.Raw(msgspec.json.encode(each)) for each in pieces)
    return msgspec.to_builtins(read)


def test_pieces_are_joined_and_lose_nothing() -> None:
    piece = {"content": [WHOLE], "refusal": None}
    assert _together(piece) == piece
    assert _together(piece, piece) == {"content": [WHOLE, WHOLE], "refusal": None}
    assert _together({"content": []}) == {"content": [], "refusal": None}


def test_what_a_backend_leaves_out_is_there() -> None:
    """Ollama leaves out empty lists; vLLM's streams a probability that is next to none."""
    sparse = {"content": [{"token": "Hi", "id": 7, "top_logprobs": [{"token": "Ho", "logprob": -2}]}]}
    filled = {**WHOLE, "logprob": -9999.0, "bytes": None}
    assert _together(sparse) == {"content": [filled], "refusal": None}


@pytest.mark.parametrize(
    "value",
    [5, [], {}, {"content": None}, {"content": [{"token": 1}]}, {"tokens": ["a"], "token_logprobs": [0]}],
)
def test_what_is_in_another_form_says_nothing(value: Any) -> None:
    assert _together(value) is None
    assert _together(value, {"content": [WHOLE]})["content"] == [WHOLE]
