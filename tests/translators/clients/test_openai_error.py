"""OpenAI's error envelope."""

import msgspec
import pytest

from translators.clients.openai_error import envelope, event
from translators.errors import ApiError


@pytest.mark.parametrize("error", [ApiError(400, "No.", param="n", code="c"), ApiError(502, "No.")])
def test_all_four_keys_are_always_there(error: ApiError) -> None:
    fields = {"message": "No.", "type": error.type, "param": error.param, "code": error.code}
    assert msgspec.json.decode(envelope(error)) == {"error": fields}
    assert event(error) == b"data: " + envelope(error) + b"\n\n"
