"""How JavaScript sees a decoded JSON value: its text, its length, its key order, its equality, its patterns.

The live validator runs on JavaScript and prints values the way that language does; everything here exists
so that the texts of `validator` come out the same.
"""

import math
import re
from collections.abc import Mapping
from typing import Any

import msgspec

# From this magnitude on, JavaScript writes a number with an exponent (ECMAScript, Number::toString).
_EXPONENT_FROM = 21
_EXPONENT_BELOW = -6
# Array indices, which an object enumerates first and in ascending order, end below 2**32 - 1.
_INDEX = re.compile(r"0|[1-9][0-9]{0,9}")
_INDEX_LIMIT = 2**32 - 1
_HUGE = re.compile(rb"[0-9]{309}")  # digits; a number with so many may be more than a double holds


def decode(body: bytes) -> Any:
    """Decode JSON. A whole number may have any length there; JavaScript takes those too long for infinite.

    Raises:
        msgspec.DecodeError: It is no JSON.
    """
    value = msgspec.json.decode(body)
    return _in_doubles(value) if _HUGE.search(body) else value


def _in_doubles(value: Any) -> Any:
    match value:
        case dict():
            return {key: _in_doubles(each) for key, each in value.items()}
        case list():
            return [_in_doubles(each) for each in value]
        case int():
            try:
                float(value)
            except OverflowError:
                return math.copysign(math.inf, value > 0 or -1)
    return value


def text_of(value: Any) -> str:
    """Write a value as JavaScript's string conversion does."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return number_text(value)
        case str():
            return value
        case list():
            return ",".join("" if item is None else text_of(item) for item in value)
        case _:
            return "[object Object]"


def number_text(value: float) -> str:
    """Write a number as JavaScript does: `1` for 1.0, `1e+21`, `1e-7`."""
    number = float(value)
    if math.isnan(number) or math.isinf(number):
        return "NaN" if math.isnan(number) else ("Infinity" if number > 0 else "-Infinity")
    if number == 0:
        return "0"
    sign = "-" if number < 0 else ""
    mantissa, _, exponent = f"{abs(number)!r}".partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + ("" if fraction == "0" else fraction)).lstrip("0")
    # `point` is the position of the decimal point, counted from the first significant digit.
    leading = len(whole.lstrip("0")) or -(len(fraction) - len(fraction.lstrip("0")))
    point = leading + int(exponent or 0)
    digits = digits.rstrip("0") or "0"
    return sign + _place_point(digits, point)


def _place_point(digits: str, point: int) -> str:
    """Set the decimal point of `0.digits` times ten to the power `point`."""
    if len(digits) <= point <= _EXPONENT_FROM:
        return digits + "0" * (point - len(digits))
    if 0 < point <= _EXPONENT_FROM:
        return f"{digits[:point]}.{digits[point:]}"
    if _EXPONENT_BELOW < point <= 0:
        return f"0.{'0' * -point}{digits}"
    exponent = point - 1
    fraction = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{digits[0]}{fraction}e{'+' if exponent > 0 else '-'}{abs(exponent)}"


def length(text: str) -> int:
    """Count UTF-16 code units, as JavaScript's `length` does: an emoji outside the basic plane is 2."""
    return len(text) + sum(character > "\uffff" for character in text)


def keys(value: Mapping[str, Any]) -> list[str]:
    """List an object's keys in JavaScript's order: array indices ascending, then the rest as inserted."""
    indices = [key for key in value if _INDEX.fullmatch(key) and int(key) < _INDEX_LIMIT]
    if not indices:
        return list(value)
    return sorted(indices, key=int) + [key for key in value if key not in set(indices)]


def strictly_equal(left: Any, right: Any) -> bool:
    """Compare two JSON values with `===`: no conversion, and objects and arrays never equal."""
    if isinstance(left, bool) or isinstance(right, bool) or left is None or right is None:
        return left is right
    if isinstance(left, int | float) and isinstance(right, int | float):
        return float(left) == float(right)
    return isinstance(left, str) and isinstance(right, str) and left == right


def is_integer(value: float) -> bool:
    """Whether the number has an integral value: 1 and 1.0 do."""
    return isinstance(value, int) or value.is_integer()


def remainder(value: float, divisor: float) -> float:
    """The floating remainder of `%`; NaN for a zero divisor."""
    return math.fmod(value, divisor) if divisor and math.isfinite(value) else math.nan


def matches(pattern: str, text: str) -> bool:
    """Search `text` for an ECMAScript pattern, unanchored; an invalid pattern matches nothing.

    Covers what JSON Schemas use: `$` does not match before a final newline, classes are ASCII, groups are
    named `(?<name>...)`.
    """
    translated = re.sub(r"\(\?<(?![=!])", "(?P<", pattern)
    translated = re.sub(r"(\\.|\[(?:\\.|[^\]\\])*\])|\$", lambda found: found[1] or r"\Z", translated)
    try:
        return re.search(translated, text, re.ASCII) is not None
    except re.error:
        return False
