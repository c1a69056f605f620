"""What the commands print of keys and teams: tables, one in full, and lines to copy for who gets a key."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any, Final

import msgspec
import rich_click as click

from gateway.cli.console import columns, stderr
from gateway.cli.keys.client import Json
from gateway.cli.keys.fields import LIMITS

COLUMNS: Final = ("NAME", "STATUS", "ID", "LIMITS", "MODELS", "EXPIRES", "LAST USED", "TEAM", "ROLE", "KEY")
TEAM_COLUMNS: Final = ("NAME", "STATUS", "ID", "LIMITS", "MODELS", "TAGS")
_LONGEST: Final = 32  # characters of a cell
_SOME_MODEL: Final = "@cf/meta/llama-3.1-8b-instruct-fast"


def print_json(answer: Any) -> None:
    """Print an answer of the admin API as it is."""
    click.echo(msgspec.json.format(msgspec.json.encode(answer), indent=2).decode())


def print_found(found: Json, in_full: Callable[[Json], str], *, as_json: bool) -> None:
    """Print a record, in full words or as it is."""
    if as_json:
        print_json(found)
    else:
        click.echo(in_full(found))


def say_unread(answer: Json) -> None:
    """Say what of an answer could not be read, for the gateway's store is away."""
    words = {
        "asides": "what is drained and set aside is as this worker last knew it",
        "limits": "how much of targets' own limits is used is not known",
    }
    told = [words.get(each, each) for each in answer["unread"]]
    if told:
        stderr().print(f"The gateway's store does not answer: {', and '.join(told)}.", markup=False)


def cells(key: Json) -> list[str]:
    """A row of the table of keys."""
    return [
        *_common_cells(key),
        _day(key["expires_at"]),
        _day(key["last_used_at"]),
        key["team"] or "",
        key["role"],
        key["redacted"],
    ]


def team_cells(team: Json) -> list[str]:
    """A row of the table of teams."""
    return [*_common_cells(team), _short(", ".join(team["tags"]))]


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


def team_in_full(team: Json) -> str:
    """One team, line by line."""
    return "\n".join(columns([[name, text] for name, text in _team_lines(team)]))


def limits_in_use(record: Json) -> Iterator[tuple[str, str]]:
    """The limits of a record, and how much of each is used where that is told."""
    if "usage" not in record:
        yield "limits", limits(record["limits"]) or "none"
    for use in record.get("usage", ()):
        yield "team's limit" if use["of"] == "team" and record["object"] == "key" else "limit", _use(use)


def unit_of(use: Json) -> str:
    """What a limit counts, and in which time."""
    return "in flight at once" if use["window"] is None else f"{use['unit']} in {use['window']}"


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


def _common_cells(record: Json) -> list[str]:
    return [
        _short(record["name"]),
        record["status"],
        record["id"],
        _short(limits(record["limits"])),
        _short(_models(record)),
    ]


def _lines(key: Json) -> Iterator[tuple[str, str]]:
    yield from _first_lines(key)
    yield "key", key["redacted"]
    yield "role", key["role"]
    if key["old_secret"]:
        old = key["old_secret"]
        yield "old key", f"{old['redacted']}, taken until {moment(old['expires_at'])}"
    if key["team"]:
        yield "team", key["team"]
    yield "models", _models(key)
    if key["allowed_ips"] is not None:
        yield "from", ", ".join(key["allowed_ips"]) or "nowhere"
    yield "made", moment(key["created_at"])
    yield "expires", moment(key["expires_at"]) or "never"
    yield "last used", moment(key["last_used_at"]) or "never"
    yield from _last_lines(key)
    for name, value in key["defaults"].items():
        yield f"default {name}", str(value)
    yield from limits_in_use(key)


def _team_lines(team: Json) -> Iterator[tuple[str, str]]:
    yield from _first_lines(team)
    yield "models", _models(team)
    yield "made", moment(team["created_at"])
    yield from _last_lines(team)
    yield from limits_in_use(team)


def _first_lines(record: Json) -> Iterator[tuple[str, str]]:
    yield "name", record["name"]
    yield "id", record["id"]
    yield "status", record["status"]


def _last_lines(record: Json) -> Iterator[tuple[str, str]]:
    if record["revoked_at"]:
        yield "revoked", moment(record["revoked_at"])
    if record["tags"]:
        yield "tags", ", ".join(record["tags"])
    for name, value in record["metadata"].items():
        yield f"note {name}", value


def _models(record: Json) -> str:
    return "any" if record["models"] is None else ", ".join(record["models"]) or "none"


def _use(use: Json) -> str:
    of = f" of {use['models']}" if use["models"] else ""
    return f"{use['limit']:,} {unit_of(use)}{of}: {use['used']:,} used, {use['remaining']:,} left"


def _day(text: str | None) -> str:
    return "" if text is None else text[:10]


def _short(text: str) -> str:
    plain = "".join(sign if sign.isprintable() else " " for sign in text)
    return plain if len(plain) <= _LONGEST else f"{plain[: _LONGEST - 1]}…"
