"""Finds a number that a schema allows."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

Schema = Mapping[str, Any]


def invent(plain: Schema, nth: int, *, integer: bool) -> float:
    """Invent a number: the default, 1, or what the bounds allow; another `nth`, another number."""
    offered = dict.fromkeys(_candidates(plain, nth, integer=integer))
    valid = [number for number in offered if is_valid(plain, number, integer=integer)]
    return valid[nth % len(valid)] if valid else 1


def is_valid(plain: Schema, number: float, *, integer: bool) -> bool:
    """Whether a number satisfies type, bounds and divisor."""
    low, high = _bounds(plain)
    divisor = plain.get("multipleOf")
    return (
        (not integer or isinstance(number, int))
        and low <= number <= high
        and number not in (plain.get("exclusiveMinimum"), plain.get("exclusiveMaximum"))
        and (not divisor or (number / divisor).is_integer())
    )


def _bounds(plain: Schema) -> tuple[float, float]:
    """The widest interval that the bounds leave; its ends may be excluded."""
    low = max(plain.get("minimum", -math.inf), plain.get("exclusiveMinimum", -math.inf))
    return low, min(plain.get("maximum", math.inf), plain.get("exclusiveMaximum", math.inf))


def _candidates(plain: Schema, nth: int, *, integer: bool) -> Iterator[float]:
    """Offer numbers, likely ones first, more than `nth` of them where the bounds have room."""
    default = plain.get("default")
    if isinstance(default, int | float) and not isinstance(default, bool):
        yield default
    low, high = _bounds(plain)
    step = plain.get("multipleOf") or 1
    base = 1 if low <= 1 <= high else low if math.isfinite(low) else high
    first = math.ceil(base / step)
    for offset in (*range(nth + 2), *range(-1, -nth - 3, -1)):
        number = (first + offset) * step
        yield int(number) if integer else number
    if math.isfinite(low) and math.isfinite(high):
        yield from (low + (high - low) * part / (nth + 2) for part in range(1, nth + 2))
    yield from (edge for edge in (low, high) if math.isfinite(edge))
