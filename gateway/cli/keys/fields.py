"""The options that say what keys and teams may, and the fields of the admin API that they become."""

import re
import shlex
from collections.abc import Callable, Iterable
from typing import Any, Final

import rich_click as click

from gateway.cli.console import WRONG_USE, fail
from gateway.cli.keys.client import Gateway, Json

LIMITS: Final = ("rpm", "rpd", "tpm", "tpd", "concurrency")
ALL_LIMITS: Final = (*LIMITS, "burst", "per_model", "away")
_OF_LIMITS: Final = {
    "rpm": "Requests in any 60 seconds.",
    "rpd": "Requests in any 24 hours.",
    "tpm": "Tokens, asked and answered, in any 60 seconds.",
    "tpd": "Tokens in any 24 hours.",
    "concurrency": "Requests in flight at once.",
}
# What of a key can be cleared -> what the admin API calls it.
CLEARED: Final = {
    "team": "team",
    "models": "models",
    "expires": "expires_at",
    "limits": "limits",
    "ips": "allowed_ips",
    "tags": "tags",
    "metadata": "metadata",
    "defaults": "defaults",
}
CLEARED_OF_TEAMS: Final = ("models", "limits", "tags", "metadata")
_LENGTH: Final = re.compile(r"\d+(\.\d+)?[smhd]?")
_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d")


Command = Callable[..., Any]


def key_options(command: Command) -> Command:
    """Give a command the options that say what a key may."""
    return _with_options(
        team_options(command),
        click.option("--team", metavar="TEAM", help="Its team, by name or id."),
        click.option("--expires", metavar="WHEN", help="30d, 24h, ..., a date, or a time of RFC 3339."),
        click.option(
            "--role",
            type=click.Choice(["inference", "read_only", "admin"]),
            help="What it is for: asking models, looking at the admin API, or everything.",
        ),
        click.option("--ips", metavar="NETWORKS", help="Whence it may be used: '10.0.0.0/8,192.0.2.7'."),
    )


def team_options(command: Command) -> Command:
    """Give a command the options that say what a team may, and a key as well."""
    return _with_options(
        limit_options(command),
        click.option("--models", metavar="GLOBS", help="Models that it may use, such as 'small,@cf/meta/*'."),
        click.option("--tag", "tags", metavar="WORD", multiple=True, help="Finds it; repeatable."),
        click.option("--metadata", metavar="NAME=VALUE", multiple=True, help="A note; repeatable."),
    )


def clear_option(names: Iterable[str]) -> Command:
    """Gives a command, as `cleared`, which fields are to be set back."""
    return click.option(
        "--clear", "cleared", multiple=True, type=click.Choice([*names, *LIMITS]),
        help="Set it back to nothing; repeatable.",
    )  # fmt: skip


def limit_options(command: Command) -> Command:
    """Give a command the options that set limits."""
    return _with_options(
        command,
        *(
            click.option(f"--{name}", type=click.IntRange(0), metavar="N", help=_OF_LIMITS[name])
            for name in LIMITS
        ),
    )


def _with_options(command: Command, *options: Callable[[Command], Command]) -> Command:
    for option in reversed(options):
        command = option(command)
    return command


def key_fields(gateway: Gateway, options: Json) -> Json:
    """What the admin API is sent of a key, for the options that were given."""
    fields = team_fields(options)
    if options["role"] is not None:
        fields["role"] = options["role"]
    if options["team"] is not None:
        fields["team"] = team_id(gateway, options["team"])
    if options["ips"] is not None:
        fields["allowed_ips"] = _words(options["ips"])
    if options["expires"] is not None:
        fields.update(_end(options["expires"]))
    return fields


def team_fields(options: Json) -> Json:
    """The same of a team."""
    fields: Json = {}
    if options["name"] is not None:
        fields["name"] = options["name"]
    if options["models"] is not None:
        fields["models"] = _words(options["models"])
    if options["tags"]:
        fields["tags"] = list(options["tags"])
    if options["metadata"]:
        fields["metadata"] = dict(map(_note, options["metadata"]))
    limits = limit_fields(options)
    return {**fields, "limits": limits} if limits else fields


def limit_fields(options: Json) -> Json:
    """The limits that were given."""
    return {name: options[name] for name in LIMITS if options[name] is not None}


def both_patches(first: Json, second: Json) -> Json:
    """Both patches together, where each may change some of the limits."""
    both = {**first, **second}
    if "limits" in first and "limits" in second:
        # Null would clear all, and the others with it that are to be set.
        both["limits"] = {**(first["limits"] or dict.fromkeys(ALL_LIMITS)), **second["limits"]}
    return both


def cleared_fields(names: tuple[str, ...]) -> Json:
    """What the admin API is sent for what is to be cleared."""
    limits = dict.fromkeys(name for name in names if name in LIMITS)
    fields: Json = {"limits": limits} if limits else {}
    return {**fields, **{CLEARED[name]: None for name in names if name in CLEARED}}


def team_id(gateway: Gateway, given: str) -> str:
    """The id of a team that is named by that or by its name."""
    if given.startswith("team_"):
        return given
    found = [team for team in gateway.every("teams", q=given) if team["name"] == given]
    if not found:
        fail(
            f"there is no team '{given}': `penstock teams list` shows what there is, and "
            f"`penstock teams create --name {shlex.quote(given)}` makes one",
            WRONG_USE,
        )
    if len(found) > 1:
        fail(f"several teams are called '{given}': name one by its id: {_ids(found)}", WRONG_USE)
    return str(found[0]["id"])


def key_id(gateway: Gateway, given: str) -> str:
    """The id of a key that is named by that, by its name or by what is shown of its secret."""
    if given.startswith("key_"):
        return given
    if given.startswith("sk-") and "..." not in given:
        fail("name a key by its id or its name, not by the secret itself: others could read it", WRONG_USE)
    found = [key for key in gateway.every("keys", q=given) if given in {key["name"], key["redacted"]}]
    if not found:
        fail(f"there is no key '{given}': `penstock keys list` shows what there is", WRONG_USE)
    if len(found) > 1:
        fail(f"several keys are called '{given}': name one by its id: {_ids(found)}", WRONG_USE)
    return str(found[0]["id"])


def _ids(found: list[Json]) -> str:
    return ", ".join(str(each["id"]) for each in found[:10])


def _words(text: str) -> list[str]:
    return [word for each in text.split(",") if (word := each.strip())]


def _end(given: str) -> Json:
    if _LENGTH.fullmatch(given):
        return {"expires_in": given}
    return {"expires_at": f"{given}T00:00:00Z" if _DAY.fullmatch(given) else given}


def _note(given: str) -> tuple[str, str]:
    name, mark, value = given.partition("=")
    if not mark or not name:
        fail(f"'{given}' is no note: it should be like --metadata who=ann", WRONG_USE)
    return name, value
