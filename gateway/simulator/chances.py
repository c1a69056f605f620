"""How likely a simulated model says it found a token: invented, always the same for one token."""

import math
import zlib
from typing import Any

_OTHERS = (
    "the", "a", "of", "and", "to", "in", "is", "it", "that", "for",
    "on", "with", "as", "at", "by", "an", "be", "or", "not", "this",
)  # fmt: skip


def logprob(token: str, alternatives: int) -> dict[str, Any]:
    """State the log probability of a token and, first itself, of what might have stood there."""
    chosen = 0.5 + 0.49 * _share(token)
    rest = (1 - chosen) / 2
    others = [other for other in _OTHERS if other != token][: max(0, alternatives - 1)]
    ranked = [(token, chosen), *((other, rest / 2**at) for at, other in enumerate(others))]
    return {**_entry(token, chosen), "top_logprobs": [_entry(*pair) for pair in ranked[:alternatives]]}


def _share(token: str) -> float:
    # surrogatepass: a lone surrogate is no character, but a client may send one.
    return zlib.crc32(token.encode("utf-8", "surrogatepass")) / 2**32


def _entry(token: str, probability: float) -> dict[str, Any]:
    written = token.encode("utf-8", "surrogatepass")
    return {"token": token, "logprob": round(math.log(probability), 6), "bytes": list(written)}
