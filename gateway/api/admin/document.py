"""The admin API described in OpenAPI 3.1: made of the operations themselves, and served without a key."""

from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

import msgspec
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from gateway.api.admin import operations
from gateway.api.admin.calls import Told, told_of
from gateway.api.wire import JSON, Client, Request
from gateway.pipeline import Gateway

Object = dict[str, Any]

_REFERENCE: Final = "#/components/schemas/"
_ERRORS: Final[Mapping[int, str]] = {
    400: "What was sent is not right: all mistakes are told at once, `param` is the place of the first.",
    401: "No key, or not one of this gateway.",
    403: "The key's role does not allow this: `read_only` may read, `admin` may do all.",
    404: "There is nothing with this id or name.",
    409: "It does not go together with what there is; the message says why and what to do.",
    413: "The body is larger than 64 KiB; of a route's explanation, than a chat's may be.",
    415: "The body is no plain JSON.",
    503: "The store does not answer. Look whether the change was made before you ask again.",
}
_METHODS: Final = ("get", "post", "put", "patch", "delete")
_OF_READS: Final = (400, 401, 403, 404, 503)

WORDS: Final = (
    "Issue keys and teams, set what they may, see how the backends are doing, drain them, and see who "
    "changed what. Send an admin key in the header `Authorization: Bearer`; `penstock serve` shows the first "
    "one at its first start. A key whose role is "
    "`read_only` may send GET, and have routes explained.\n\n"
    "Unknown fields are refused. PATCH is a JSON merge patch (RFC 7396): what is absent stays, null clears, "
    "objects are merged and lists replaced. Lengths of time are written `30s`, `15m`, `24h`, `30d` or as a "
    "number of seconds, moments as RFC 3339 has them. Lists go on where `next` is sent as `after`. A change "
    "is obeyed at the next request, on every worker."
)


class ErrorWords(msgspec.Struct, frozen=True):
    """What went wrong, where, and what to do."""

    message: str
    type: str
    param: str | None
    code: str | None


class Error(msgspec.Struct, frozen=True):
    """OpenAI's error."""

    error: ErrorWords


async def openapi(_gateway: Gateway, _request: Request, client: Client) -> None:
    """`GET /admin/openapi.json`."""
    await client.send_whole(200, JSON, _encoded())


@cache
def _encoded() -> bytes:
    return msgspec.json.encode(document())


@cache
def document() -> Object:
    """The whole document; not to be changed."""
    found = list(_found())
    paths: Object = {}
    for path, method, handler in found:
        paths.setdefault(path, {})[method] = _operation(path, method, handler)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Penstock admin API",
            "version": _version(),
            "summary": "Keys, teams, limits, backends and the audit log of a Penstock gateway.",
            "description": WORDS,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}],
        "tags": [{"name": name} for name in dict.fromkeys(told_of(each).tag for _p, _m, each in found)],
        "paths": paths,
        "components": {
            "schemas": _schemas([told_of(each) for _path, _method, each in found]),
            "responses": {f"Error{status}": _error(words) for status, words in _ERRORS.items()},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "A key whose role allows it."}
            },
        },
    }


def _found() -> Iterator[tuple[str, str, HTTPRouteHandler]]:
    """Path, method and handler of every operation."""
    for route in operations().routes:
        handlers = route.route_handlers if isinstance(route, HTTPRoute) else ()
        told = [handler for handler in handlers if "told" in handler.opt]
        by_method = {method.lower(): handler for handler in told for method in handler.http_methods}
        for method in filter(by_method.__contains__, _METHODS):
            yield route.path.replace(":str}", "}"), method, by_method[method]


def _operation(path: str, method: str, handler: HTTPRouteHandler) -> Object:
    told = told_of(handler)
    name = handler.fn.__name__
    summary, _, more = (handler.fn.__doc__ or "").strip().partition(". ")
    statuses = [each for each in (_ERRORS if told.body else _OF_READS) if each != 409 or method != "get"]
    operation: Object = {
        "operationId": _camel(name),
        "summary": summary.removesuffix("."),
        "tags": [told.tag],
        "responses": {
            str(handler.status_code): _answer(told),
            **{str(each): {"$ref": f"#/components/responses/Error{each}"} for each in statuses},
        },
    }
    if more:
        operation["description"] = more
    if parameters := [*_of_path(path), *_of_query(told.query)]:
        operation["parameters"] = parameters
    if told.body is not None:
        content: Object = {"schema": {"$ref": f"{_REFERENCE}{told.body.__name__}"}}
        if told.example is not None:
            content["example"] = told.example
        operation["requestBody"] = {
            "required": _is_needed(told.body),
            "content": {"application/json": content},
        }
    return operation


def _answer(told: Told) -> Object:
    schema = {"$ref": f"{_REFERENCE}{told.answer.__name__}"}
    words = (told.answer.__doc__ or "").strip()
    return {"description": words, "content": {"application/json": {"schema": schema}}}


def _error(words: str) -> Object:
    return {"description": words, "content": {"application/json": {"schema": {"$ref": f"{_REFERENCE}Error"}}}}


def _of_path(path: str) -> Iterator[Object]:
    for part in path.split("/"):
        if part.startswith("{"):
            name = part.strip("{}")
            words = f"The {name.removesuffix('_id')}'s {'id' if name.endswith('_id') else 'name'}."
            schema = {"type": "string"}
            yield {"name": name, "in": "path", "required": True, "description": words, "schema": schema}


def _of_query(model: type[BaseModel]) -> Iterator[Object]:
    for name, field in model.model_json_schema().get("properties", {}).items():
        # Null is what is not asked; nobody can send it here.
        options = [each for each in field.get("anyOf", ()) if each.get("type") != "null"]
        about = {key: value for key, value in field.items() if key not in {"anyOf", "title", "description"}}
        schema = {**(options[0] if options else {}), **about}
        if schema.get("default") is None:
            schema.pop("default", None)
        words = field.get("description", "")
        yield {"name": name, "in": "query", "required": False, "description": words, "schema": schema}


def _is_needed(model: type[BaseModel]) -> bool:
    return any(field.is_required() for field in model.model_fields.values())


def _schemas(told: list[Told]) -> Object:
    bodies = list(dict.fromkeys(each.body for each in told if each.body is not None))
    sent = models_json_schema(
        [(body, "validation") for body in bodies], ref_template=f"{_REFERENCE}{{model}}"
    )[1]
    answers = [*dict.fromkeys(each.answer for each in told), Error]
    shown = msgspec.json.schema_components(answers, ref_template=f"{_REFERENCE}{{name}}")[1]
    return {**sent["$defs"], **shown}


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _version() -> str:
    try:
        return version("penstock")
    except PackageNotFoundError:  # run from a checkout that is not installed
        return "0"
