"""The options that say what a key may, and the fields of the admin API that they become."""

import re
from collections.abc import Callable
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
# What can be cleared -> what the admin API calls it.
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
_LENGTH: Final = re.compile(r"\d+(\.\d+)?[smhd]?")
_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d")


def field_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that say what a key may."""
    options = (
        click.option("--team", metavar="TEAM", help="Its team, by name or id."),
        click.option("--models", metavar="GLOBS", help="Models that it may use, such as 'small,@cf/meta/*'."),
        click.option("--expires", metavar="WHEN", help="30d, 24h, ..., a date, or a time of RFC 3339."),
        *(
            click.option(f"--{name}", type=click.IntRange(0), metavar="N", help=_OF_LIMITS[name])
            for name in LIMITS
        ),
        click.option(
            "--role",
            type=click.Choice(["inference", "read_only", "admin"]),
            help="What it is for: asking models, looking at the admin API, or everything.",
        ),
        click.option("--ips", metavar="NETWORKS", help="Whence it may be used: '10.0.0.0/8,192.0.2.7'."),
        click.option("--tag", "tags", metavar="WORD", multiple=True, help="Finds it; repeatable."),
        click.option("--metadata", metavar="NAME=VALUE", multiple=True, help="A note; repeatable."),
    )
    for option in reversed(options):
        command = option(command)
    return command


def sent_fields(gateway: Gateway, options: Json) -> Json:
    """What the admin API is sent for the options that were given."""
    fields: Json = {}
    for name in ("name", "role"):
        if options.get(name) is not None:
            fields[name] = options[name]
    if options["team"] is not None:
        fields["team"] = team_id(gateway, options["team"])
    if options["models"] is not None:
        fields["models"] = _words(options["models"])
    if options["ips"] is not None:
        fields["allowed_ips"] = _words(options["ips"])
    if options["expires"] is not None:
        fields.update(_end(options["expires"]))
    if options["tags"]:
        fields["tags"] = list(options["tags"])
    if options["metadata"]:
        fields["metadata"] = dict(map(_note, options["metadata"]))
    limits = {name: options[name] for name in LIMITS if options[name] is not None}
    return {**fields, "limits": limits} if limits else fields


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
            f"there is no team '{given}': make it with POST {gateway.url}/admin/v1/teams "
            f'{{"name": "{given}"}}, or leave out --team',
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
