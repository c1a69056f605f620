"""Reads bodies and queries against their models: all mistakes at once, each with its place and what to do."""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final, TypeVar

import msgspec
from pydantic import BaseModel, ValidationError

from gateway.settings.load import WORDS, suggestion
from gateway.settings.schema import Shape
from translators.errors import ApiError, json_type

_Model = TypeVar("_Model", bound=BaseModel)

_MOST_TOLD: Final = 20
_WORDS: Final = {
    **WORDS,
    "extra_forbidden": "is no field here",
    "model_type": "should be an object",
    "model_attributes_type": "should be an object",
    "dict_type": "should be an object",
    "list_type": "should be an array",
    "value_error": "",
}
_CODES: Final = {"missing": "missing_required_parameter", "extra_forbidden": "unknown_parameter"}


def decoded(body: bytes) -> dict[str, Any]:
    """The object that a body holds; an empty body is an empty object.

    Raises:
        ApiError: 400.
    """
    try:
        value = msgspec.json.decode(body) if body.strip() else {}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ApiError(
            400, f"The body is no JSON: {error}. Send one JSON object.", code="invalid_json"
        ) from None
    if not isinstance(value, dict):
        raise ApiError(
            400, f"The body should be one JSON object, but it is {json_type(value)}.", code="invalid_type"
        )
    return value


def read(model: type[_Model], given: Mapping[str, Any], *, strict: bool = True) -> _Model:
    """Read what was given.

    Args:
        model: What it should be.
        given: What it is.
        strict: Whether a number must be a number; in a query all is text.

    Raises:
        ApiError: 400 with all its mistakes; `param` is the place of the first.
    """
    try:
        return model.model_validate(given, strict=strict)
    except ValidationError as error:
        raise _refusal(model, error) from None


def _refusal(model: type[BaseModel], error: ValidationError) -> ApiError:
    mistakes = [
        (_place(detail["loc"]), _words(model, detail), detail["type"])
        for detail in error.errors(include_url=False, include_input=True)
    ]
    told = [f"{place}: {words}" if place else words for place, words, _kind in mistakes[:_MOST_TOLD]]
    if len(mistakes) > _MOST_TOLD:
        told.append(f"and {len(mistakes) - _MOST_TOLD} more mistakes")
    place, _first, kind = mistakes[0]
    return ApiError(400, f"{'; '.join(told)}.", code=_CODES.get(kind, "invalid_value"), param=place or None)


def _words(model: type[BaseModel], detail: Mapping[str, Any]) -> str:
    kind, loc = detail["type"], detail["loc"]
    if kind == "value_error":
        return str(detail["ctx"]["error"])
    words = _WORDS.get(kind) or detail["msg"].removeprefix("Input ")
    return words + "".join(_hint(model, kind, loc, detail["input"]))


def _hint(model: type[BaseModel], kind: str, loc: tuple[str | int, ...], given: object) -> Iterator[str]:
    if kind == "extra_forbidden":
        yield suggestion(str(loc[-1]), _shape(model).names(loc[:-1]))
    elif kind == "literal_error":
        yield suggestion(str(given), _shape(model).choices(loc))


@cache
def _shape(model: type[BaseModel]) -> Shape:
    return Shape(model.model_json_schema())


def _place(loc: tuple[str | int, ...]) -> str:
    """`limits.per_model.llama-*.rpm`, `models[0]`; what pydantic adds for a key of a mapping is left out."""
    place = ""
    for part in loc:
        if isinstance(part, int):
            place += f"[{part}]"
        elif part != "[key]":
            place += f".{part}" if place else part
    return place
