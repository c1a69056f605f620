"""The admin API as a page for people: made of its document, with a style and a script of our own.

It is whole without the script, which only filters and copies. The policy lets the browser load nothing from
anywhere else.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from html import escape
from importlib.resources import files
from typing import Any, Final

import msgspec

from gateway.api.admin.document import WORDS, document
from gateway.api.raw import Answer
from gateway.api.wire import Client, Request
from gateway.pipeline import Gateway

Schema = Mapping[str, Any]

_DEEPEST: Final = 4  # objects inside objects
_POLICY: Final = "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_HEADERS: Final = {
    "content-security-policy": _POLICY,
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
}
_TYPES: Final = {
    "css": b"text/css; charset=utf-8",
    "js": b"text/javascript; charset=utf-8",
    "svg": b"image/svg+xml",
}


_SHAPE: Final = re.compile(r"\[(\w+)\]")
_KINDS: Final = {
    "integer": "whole number",
    "number": "number",
    "string": "text",
    "boolean": "true or false",
}


async def docs(_gateway: Gateway, _request: Request, client: Client) -> None:
    """`GET /admin/docs`."""
    await client.send_whole(200, b"text/html; charset=utf-8", page(), _HEADERS)


def beside(kind: str) -> Answer:
    """What gives a file that the page is made with: `docs.css`, `docs.js` or `docs.svg`."""

    async def answer(_gateway: Gateway, _request: Request, client: Client) -> None:
        await client.send_whole(200, _TYPES[kind], _file(f"docs.{kind}"), _HEADERS)

    return answer


@cache
def page() -> bytes:
    """The page."""
    told = document()
    by_tag: dict[str, list[tuple[str, str, Schema]]] = {}
    for path, methods in told["paths"].items():
        for method, operation in methods.items():
            by_tag.setdefault(operation["tags"][0], []).append((method, path, operation))
    parts = [
        _HEAD,
        f"<header><h1>Penstock admin API</h1><p>{escape(told['info']['version'])}</p></header>",
        f"<nav>{''.join(_links(by_tag))}</nav><main>",
        "".join(f"<p>{_marked(each)}</p>" for each in WORDS.split("\n\n")),
        '<p>The same for programs: <a href="/admin/openapi.json">openapi.json</a> (OpenAPI 3.1).</p>',
    ]
    for tag, operations in by_tag.items():
        parts.append(f'<section id="{escape(tag.lower())}"><h2>{escape(tag)}</h2>')
        parts += [_operation(*each) for each in operations]
        parts.append("</section>")
    parts.append(_shapes())
    parts.append(_errors())
    parts.append("</main></body></html>\n")
    return "\n".join(parts).encode()


_HEAD: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Penstock admin API</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="/admin/docs.svg" type="image/svg+xml">
<link rel="stylesheet" href="/admin/docs.css"><script src="/admin/docs.js" defer></script></head><body>"""


def _links(by_tag: Mapping[str, Sequence[tuple[str, str, Schema]]]) -> Iterator[str]:
    for tag, operations in by_tag.items():
        yield f'<h2><a href="#{escape(tag.lower())}">{escape(tag)}</a></h2><ul>'
        for method, _path, operation in operations:
            name, summary = operation["operationId"], operation["summary"]
            yield f'<li><a href="#{name}">{_badge(method)} {_marked(summary)}</a></li>'
        yield "</ul>"


def _operation(method: str, path: str, operation: Schema) -> str:
    name = operation["operationId"]
    parts = [
        f'<article id="{name}"><h3>{_badge(method)} <code>{escape(path)}</code></h3>',
        f"<p>{_marked(operation['summary'])}. {_marked(operation.get('description', ''))}</p>",
    ]
    if parameters := operation.get("parameters"):
        rows = [(each["name"], each["schema"], each["required"], each["description"]) for each in parameters]
        parts.append(_table("Parameters", rows))
    example = None
    if "requestBody" in operation:
        content = operation["requestBody"]["content"]["application/json"]
        parts.append(_table("Body", list(_fields(content["schema"]))))
        example = content.get("example")
    parts.append(_example(method, path, example))
    status, answer = next(iter(operation["responses"].items()))
    shape = _name(answer["content"]["application/json"]["schema"])
    parts.append(f'<p>Answers {status} with <a href="#{shape}">{shape}</a>.</p></article>')
    return "\n".join(parts)


def _shapes() -> str:
    """What is answered, each once; in one another they are named by a link."""
    parts = ['<section id="answers"><h2>Answers</h2>']
    for name in _shown():
        schema = document()["components"]["schemas"][name]
        fields = _fields({"$ref": name}, deep=_DEEPEST)
        rows = [(field, its, False, words) for field, its, _always, words in fields]
        words = _marked(schema.get("description", ""))
        parts.append(f'<article id="{name}"><h3>{name}</h3><p>{words}</p>{_table("", rows)}</article>')
    return "\n".join([*parts, "</section>"])


@cache
def _shown() -> tuple[str, ...]:
    """The names of all shapes of answers, and of those that they are made of."""
    told = document()
    asked = [
        _name(operation["responses"][status]["content"]["application/json"]["schema"])
        for methods in told["paths"].values()
        for operation in methods.values()
        for status in operation["responses"]
        if status < "300"
    ]
    inner = [name for name in told["components"]["schemas"] if name.startswith("Shown")]
    return tuple(dict.fromkeys([*asked, *inner]))


def _name(schema: Schema) -> str:
    """What a schema is called that is referred to."""
    return str(schema["$ref"]).rpartition("/")[2]


def _example(method: str, path: str, example: Any) -> str:
    lines = [
        f"curl -X {method.upper()} http://127.0.0.1:8080{path}",
        "-H 'Authorization: Bearer <an admin key>'",
    ]
    if example is not None:
        lines += ["-H 'Content-Type: application/json'", f"-d '{msgspec.json.encode(example).decode()}'"]
    text = " \\\n  ".join(lines)
    return f'<pre class="example"><code>{escape(text)}</code></pre>'


def _table(title: str, rows: Sequence[tuple[str, Schema, bool, str]]) -> str:
    if not rows:
        return ""
    caption = f"<caption>{escape(title)}</caption>" if title else ""
    body = "".join(
        f"<tr><th scope=row><code>{escape(name)}</code>{'' if not required else ' <em>required</em>'}</th>"
        f"<td>{_linked(_kind(schema))}</td><td>{_marked(words)}</td></tr>"
        for name, schema, required, words in rows
    )
    return f'<div class="wide"><table>{caption}<tbody>{body}</tbody></table></div>'


def _fields(schema: Schema, before: str = "", deep: int = 0) -> Iterator[tuple[str, Schema, bool, str]]:
    """The fields of an object, and of the objects in it: name, schema, whether it is required, words."""
    whole = _object(schema)
    required = whole.get("required", ())
    properties = whole.get("properties", {})
    for name, field in sorted(properties.items(), key=lambda each: each[0] not in {"id", "name"}):
        place = f"{before}{name}"
        yield place, field, name in required and not before, field.get("description", "")
        if deep < _DEEPEST:
            yield from _fields(field, f"{place}.", deep + 1)
    inner = whole.get("additionalProperties")
    if isinstance(inner, dict) and deep < _DEEPEST:
        yield from _fields(inner, f"{before}*.", deep + 1)


def _object(schema: Schema) -> Schema:
    """The object that a schema speaks of, also in a list or where null would do."""
    if "$ref" in schema:
        return _object(_referred(schema))
    for option in schema.get("anyOf", ()):
        if option.get("type") != "null":
            return _object(option)
    return _object(schema["items"]) if isinstance(schema.get("items"), dict) else schema


def _referred(schema: Schema) -> Schema:
    found: Schema = document()["components"]["schemas"][_name(schema)]
    return found


def _kind(schema: Schema) -> str:
    """What a field may be, in words."""
    if "$ref" in schema:
        return f"[{_name(schema)}]" if _name(schema) in _shown() else _kind(_referred(schema))
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_kind(option) for option in schema["anyOf"]))
    if "const" in schema or "enum" in schema:
        return ", ".join(
            f"`{each}`" for each in schema.get("enum", [schema.get("const")]) if each is not None
        )
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    if schema.get("format") == "date-time":
        return "date and time"
    kind: str = schema.get("type", "anything")
    return _KINDS.get(kind, kind)


def _errors() -> str:
    responses = document()["components"]["responses"].items()
    rows = "".join(
        f"<tr><th scope=row>{name.removeprefix('Error')}</th><td>{_marked(each['description'])}</td></tr>"
        for name, each in responses
    )
    table = f'<div class="wide"><table><tbody>{rows}</tbody></table></div>'
    return f'<section id="errors"><h2>Errors</h2>{table}</section>'


def _badge(method: str) -> str:
    return f'<span class="method {method}">{method.upper()}</span>'


def _marked(text: str) -> str:
    """Text with what stands between backticks as code."""
    parts = escape(text.replace("``", "`"), quote=False).split("`")
    return "".join(f"<code>{part}</code>" if number % 2 else part for number, part in enumerate(parts))


def _linked(kind: str) -> str:
    """A kind with links to the shapes that it names."""
    return _SHAPE.sub(r'<a href="#\1">\1</a>', _marked(kind))


def _file(name: str) -> bytes:
    return (files("gateway") / "api" / "admin" / "pages" / name).read_bytes()
