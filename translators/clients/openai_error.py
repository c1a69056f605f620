"""OpenAI's error envelope, for every dialect of that family.

All four keys are always there; `code` and `param` are a string or null (OpenAI's specification, `Error`).
"""

import msgspec

from translators.errors import ApiError


def envelope(error: ApiError) -> bytes:
    """The body of an error answer, and the data of a stream's last event."""
    fields = {"message": error.message, "type": error.type, "param": error.param, "code": error.code}
    return msgspec.json.encode({"error": fields})


def event(error: ApiError) -> bytes:
    """The in-band error: the body ends behind it, with no finish_reason and no [DONE]."""
    return b"data: " + envelope(error) + b"\n\n"
