"""A client's JSON body: decoded once, its fields read with an error that names the parameter.

Ranges are the backends' affair; types are checked here, so that whatever comes after may trust them. Readers
with bounds are values that show them, from which the API's own description is written.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from translators.errors import invalid, wrong_type

Object = dict[str, Any]

_decode: Final = msgspec.json.Decoder().decode

MOST_STOPS: Final = 4  # OpenAI's specification
# OpenAI names no bound. So much of an answer may be held back, and a whole page as an end is a mistake.
LONGEST_STOP: Final = 1000


def decode(body: bytes) -> Object:
    """The JSON object of a body. Of a doubled key the last value counts.

    Raises:
        ApiError: 400 `invalid_json` where the body is no JSON, 400 where it is no object.
    """
    try:
        value = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise invalid(f"The request body is not valid JSON: {error}.", None, "invalid_json") from None
    except RecursionError:
        raise invalid("The request body is nested too deeply.", None, "invalid_json") from None
    if not isinstance(value, dict):
        raise wrong_type("body", "a JSON object", value)
    return value


def text(value: Any, place: str) -> str:
    """A string."""
    if not isinstance(value, str):
        raise wrong_type(place, "a string", value)
    return value


def filled(value: Any, place: str) -> str:
    """A string with at least one character."""
    if not isinstance(value, str):
        raise wrong_type(place, "a string", value)
    if not value:
        raise invalid(f"'{place}' must not be empty.", place, "empty_string")
    return value


def boolean(value: Any, place: str) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise wrong_type(place, "a boolean", value)
    return value


def number(value: Any, place: str) -> float:
    """A number; integers stay integers."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise wrong_type(place, "a number", value)
    return value


def integer(value: Any, place: str) -> int:
    """A whole number; 3.0 counts as one."""
    if type(value) is int:  # nearly all
        return value
    whole = number(value, place)
    if not whole.is_integer():
        raise wrong_type(place, "a whole number", value)
    return int(whole)


@dataclass(frozen=True, slots=True)
class IntegerIn:
    """Reads whole numbers from `low` to `high`."""

    low: int
    high: int

    def __call__(self, value: Any, place: str) -> int:
        """The number."""
        whole = integer(value, place)
        if not self.low <= whole <= self.high:
            raise invalid(
                f"'{place}' must be from {self.low} to {self.high}, but it is {whole}.",
                place,
                "invalid_value",
            )
        return whole


def obj(value: Any, place: str) -> Object:
    """A JSON object."""
    if not isinstance(value, dict):
        raise wrong_type(place, "an object", value)
    return value


def array(value: Any, place: str) -> list[Any]:
    """A JSON array."""
    if not isinstance(value, list):
        raise wrong_type(place, "an array", value)
    return value


@dataclass(frozen=True, slots=True)
class OneOf:
    """Reads one of some words."""

    words: tuple[str, ...]

    def __call__(self, value: Any, place: str) -> str:
        """The word."""
        if text(value, place) not in self.words:
            choices = ", ".join(f"'{word}'" for word in self.words)
            raise invalid(f"'{place}' must be one of {choices}.", place, "invalid_value")
        return str(value)


def one_of(*words: str) -> OneOf:
    """A reader of one of some words."""
    return OneOf(words)


def required(fields: Mapping[str, Any], name: str, place: str = "") -> Any:
    """A field that must be there and not null."""
    value = fields.get(name)
    if value is None:
        where = f"{place}.{name}" if place else name
        raise invalid(f"'{where}' is required.", where, "missing_required_parameter")
    return value


def at_most(values: list[Any], place: str, most: int) -> list[Any]:
    """An array that is not too long."""
    if len(values) > most:
        raise invalid(
            f"'{place}' takes at most {most} elements, but it has {len(values)}.",
            place,
            "array_above_max_length",
        )
    return values


def stops(value: Any, place: str) -> tuple[str, ...]:
    """OpenAI's `stop`: a string, or an array of at most four."""
    if isinstance(value, str):
        return (_stop(value, place),)
    if not isinstance(value, list):
        raise wrong_type(place, "a string or an array of strings", value)
    return tuple(_stop(each, f"{place}[{k}]") for k, each in enumerate(at_most(value, place, MOST_STOPS)))


def _stop(value: Any, place: str) -> str:
    if len(filled(value, place)) > LONGEST_STOP:
        raise invalid(
            f"'{place}' has {len(value)} characters, and a stop string may have at most {LONGEST_STOP}.",
            place,
            "string_above_max_length",
        )
    return str(value)
