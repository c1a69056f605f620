"""What the commands print of keys: a table, one key in full, and lines to copy for who gets a key."""

from collections.abc import Iterator
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any, Final

import msgspec
import rich_click as click

from gateway.cli.console import columns
from gateway.cli.keys.client import Json
from gateway.cli.keys.fields import LIMITS

COLUMNS: Final = ("NAME", "STATUS", "ID", "LIMITS", "MODELS", "EXPIRES", "LAST USED", "TEAM", "ROLE", "KEY")
_LONGEST: Final = 32  # characters of a cell
_SOME_MODEL: Final = "@cf/meta/llama-3.1-8b-instruct-fast"


def print_json(answer: Any) -> None:
    """Print an answer of the admin API as it is."""
    click.echo(msgspec.json.format(msgspec.json.encode(answer), indent=2).decode())


def cells(key: Json) -> list[str]:
    """A row of the table."""
    return [
        _short(key["name"]),
        key["status"],
        key["id"],
        _short(limits(key["limits"])),
        _short("any" if key["models"] is None else ", ".join(key["models"]) or "none"),
        _day(key["expires_at"]),
        _day(key["last_used_at"]),
        key["team"] or "",
        key["role"],
        key["redacted"],
    ]


def limits(given: Json) -> str:
    """Limits in short: `60 rpm, 1,000 tpm`."""
    words = [f"{given[name]:,} {name}" for name in LIMITS if name in given]
    if "burst" in given:
        words.append("burst")
    if "per_model" in given:
        words.append("per model")
    return ", ".join(words)


def in_full(key: Json) -> str:
    """One key, line by line."""
    return "\n".join(columns([[name, text] for name, text in _lines(key)]))


def handed_over(key: Json, url: str, models: list[str]) -> str:
    """What who gets the key copies.

    Args:
        key: The key, with its secret.
        url: Where the gateway is.
        models: What can be asked for; the first that the key may use is named.
    """
    globs = ["*"] if key["models"] is None else key["models"]
    usable = (model for model in models if any(fnmatchcase(model, glob) for glob in globs))
    secret = key["key"]
    if key["role"] != "inference":
        return (
            f"{secret}\n\nFor the admin API:\n\n  export PENSTOCK_URL={url}\n"
            f"  export PENSTOCK_ADMIN_KEY={secret}\n  penstock keys list"
        )
    return (
        f"{secret}\n\nFor a shell:\n\n  export OPENAI_BASE_URL={url}/v1\n  export OPENAI_API_KEY={secret}\n\n"
        "For Python (pip install openai):\n\n  from openai import OpenAI\n"
        f'  answer = OpenAI().chat.completions.create(model="{next(usable, _SOME_MODEL)}", '
        'messages=[{"role": "user", "content": "Hello!"}])\n'
        "  print(answer.choices[0].message.content)"
    )


def moment(text: str | None) -> str:
    """A moment as people read it."""
    if text is None:
        return ""
    return datetime.fromisoformat(text).astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def _lines(key: Json) -> Iterator[tuple[str, str]]:
    yield "name", key["name"]
    yield "id", key["id"]
    yield "status", key["status"]
    yield "key", key["redacted"]
    yield "role", key["role"]
    if key["old_secret"]:
        old = key["old_secret"]
        yield "old key", f"{old['redacted']}, taken until {moment(old['expires_at'])}"
    if key["team"]:
        yield "team", key["team"]
    yield "models", "any" if key["models"] is None else ", ".join(key["models"]) or "none"
    if key["allowed_ips"] is not None:
        yield "from", ", ".join(key["allowed_ips"]) or "nowhere"
    yield "made", moment(key["created_at"])
    yield "expires", moment(key["expires_at"]) or "never"
    yield "last used", moment(key["last_used_at"]) or "never"
    if key["revoked_at"]:
        yield "revoked", moment(key["revoked_at"])
    if key["tags"]:
        yield "tags", ", ".join(key["tags"])
    for name, value in key["metadata"].items():
        yield f"note {name}", value
    for name, value in key["defaults"].items():
        yield f"default {name}", str(value)
    if "usage" not in key:
        yield "limits", limits(key["limits"]) or "none"
    for use in key.get("usage", ()):
        yield "limit" if use["of"] == "key" else "team's limit", _use(use)


def _use(use: Json) -> str:
    unit = "in flight at once" if use["window"] is None else f"{use['unit']} in {use['window']}"
    of = f" of {use['models']}" if use["models"] else ""
    return f"{use['limit']:,} {unit}{of}: {use['used']:,} used, {use['remaining']:,} left"


def _day(text: str | None) -> str:
    return "" if text is None else text[:10]


def _short(text: str) -> str:
    plain = "".join(sign if sign.isprintable() else " " for sign in text)
    return plain if len(plain) <= _LONGEST else f"{plain[: _LONGEST - 1]}…"
