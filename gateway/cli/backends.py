"""`penstock backends`: how those of a running gateway are doing; drained, set aside, and taken up again."""

from collections.abc import Iterator
from typing import Final
from urllib.parse import quote

import rich_click as click

from gateway.cli.console import examples, stderr
from gateway.cli.keys.client import Json, Place, answer_options, asking
from gateway.cli.keys.words import moment, print_json, say_unread
from gateway.cli.tables import show_table

COLUMNS: Final = ("BACKEND", "MODEL", "STATE", "IN FLIGHT", "LOAD", "FIRST TOKEN", "KIND")
_NUMBERS: Final = frozenset({"IN FLIGHT", "LOAD", "FIRST TOKEN"})

backend_argument = click.argument("backend")
model_option = click.option(
    "--model", metavar="MODEL", help="This model there alone, under the backend's own name. Default: all."
)
why_option = click.option("--why", metavar="TEXT", help="Why, for other operators.")

EXAMPLES = (
    "penstock backends list",
    "penstock backends drain gpu-1 --why 'a new driver'",
    "penstock backends undrain gpu-1",
    "penstock backends aside gpu-1 --for 15m",
)


@click.command(name="list", epilog=examples("penstock backends list", "penstock backends list --json"))
@answer_options
def list_(as_json: bool, place: Place) -> None:  # noqa: FBT001 - click passes by name
    """Show how the backends and their models are doing, as one worker sees it."""
    with asking(place) as gateway:
        found = gateway.ask("GET", "backends")
    if as_json:
        print_json(found)
        return
    show_table(COLUMNS, [row for backend in found["data"] for row in _rows(backend)], _NUMBERS)
    say_unread(found)
    _say_whose(found["worker"])


@click.command(epilog=examples(
    "penstock backends drain gpu-1 --why 'a new driver'", "penstock backends drain gpu-1 --model llama",
))  # fmt: skip
@backend_argument
@model_option
@why_option
@answer_options
def drain(
    backend: str,
    model: str | None,
    why: str | None,
    as_json: bool,  # noqa: FBT001
    place: Place,
) -> None:
    """Send BACKEND nothing new, from any worker, until it is undrained. What is in flight there goes on."""
    _change(place, "POST", f"{quote(backend, safe='')}/drain", _given(model=model, why=why), as_json=as_json)


@click.command(epilog=examples("penstock backends undrain gpu-1"))
@backend_argument
@model_option
@answer_options
def undrain(backend: str, model: str | None, as_json: bool, place: Place) -> None:  # noqa: FBT001
    """Send BACKEND requests again."""
    _change(place, "POST", f"{quote(backend, safe='')}/undrain", _given(model=model), as_json=as_json)


@click.command(epilog=examples(
    "penstock backends aside gpu-1 --for 15m", "penstock backends aside gpu-1 --for 60 --why 'it restarts'",
))  # fmt: skip
@backend_argument
@click.option("--for", "length", required=True, metavar="TIME", help="For how long: 30s, 15m, 24h.")
@model_option
@why_option
@answer_options
def aside(  # noqa: PLR0913, PLR0917 - one for each option
    backend: str,
    length: str,
    model: str | None,
    why: str | None,
    as_json: bool,  # noqa: FBT001
    place: Place,
) -> None:
    """Send BACKEND nothing new for a while, from any worker."""
    body = _given(seconds=length, model=model, why=why)
    _change(place, "POST", f"{quote(backend, safe='')}/aside", body, as_json=as_json)


@click.command(name="take-back", epilog=examples("penstock backends take-back gpu-1"))
@backend_argument
@model_option
@answer_options
def take_back(backend: str, model: str | None, as_json: bool, place: Place) -> None:  # noqa: FBT001
    """Send requests again to BACKEND, which was set aside by an operator or for its own refusal."""
    _change(place, "DELETE", f"{quote(backend, safe='')}/aside", None, as_json=as_json, model=model)


@click.group(commands=[list_, drain, undrain, aside, take_back], epilog=examples(*EXAMPLES))
def backends() -> None:
    """Show, drain and set aside the backends of a running gateway.

    An admin key is needed, as for `penstock keys`. BACKEND is a name under `backends` of the settings.
    """


def _given(**fields: str | None) -> Json:
    return {name: value for name, value in fields.items() if value is not None}


def _change(
    place: Place, method: str, path: str, body: Json | None, *, as_json: bool, **query: str | None
) -> None:
    with asking(place) as gateway:
        found = gateway.ask(method, f"backends/{path}", body, **query)
    if as_json:
        print_json(found)
        return
    show_table(COLUMNS, list(_rows(found)), _NUMBERS)
    _say_whose(found["worker"])


def _say_whose(worker: str) -> None:
    words = "what is drained or set aside holds on all workers, the rest is as this one sees it"
    stderr().print(f"Told by {worker}: {words}.", markup=False)


def _rows(backend: Json) -> Iterator[list[str]]:
    load = "" if backend["load"] is None else f"{backend['load']['requests']:,}"
    most = f" of {backend['max_in_flight']:,}" if backend["max_in_flight"] else ""
    yield [
        backend["name"],
        "all",
        _state(backend),
        f"{backend['in_flight']:,}{most}",
        load,
        _seconds(backend["first_token"]),
        backend["server"] or backend["kind"],
    ]
    for model in backend["models"]:
        in_flight, first_token = f"{model['in_flight']:,}", _seconds(model["first_token"])
        yield [backend["name"], model["model"], _state(model), in_flight, "", first_token, ""]


def _state(condition: Json) -> str:
    """All that keeps requests away, or that nothing does."""
    return "; ".join(_troubles(condition)) or "well"


def _troubles(condition: Json) -> Iterator[str]:
    drained, aside_, breaker = condition["drained"], condition["aside"], condition["breaker"]
    if drained is not None:
        yield _with_reason("drained", drained["why"])
    if aside_ is not None:
        yield _with_reason(f"aside until {moment(aside_['until'])}", aside_["why"])
    if breaker["state"] == "open":
        yield f"breaker open for {breaker['seconds']:.1f} s"
    elif breaker["state"] == "half_open":
        yield "breaker half open"
    if condition.get("probe") == "down":
        yield "does not answer"


def _with_reason(words: str, why: str) -> str:
    return f"{words}: {why}" if why else words


def _seconds(given: float | None) -> str:
    return "" if given is None else f"{given:.3g} s"
