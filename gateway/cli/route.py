"""`penstock route explain`: which way a request would take through a running gateway, and why."""

from typing import BinaryIO, Final

import msgspec
import rich_click as click

from gateway.cli.console import WRONG_USE, examples, fail, stderr
from gateway.cli.keys.client import Json, Place, asking, gateway_options
from gateway.cli.keys.words import print_json, say_unread
from gateway.cli.tables import show_table

COLUMNS: Final = ("PLACE", "BACKEND", "MODEL", "WHY", "TIER", "WEIGHT")
_NUMBERS: Final = frozenset({"TIER", "WEIGHT"})

EXAMPLES = (
    "penstock route explain --model chat",
    "penstock route explain --model chat --body request.json",
)


@click.command(epilog=examples(*EXAMPLES))
@click.option("--model", "-m", required=True, metavar="MODEL", help="The model, as a client asks for it.")
@click.option(
    "--body", metavar="FILE", type=click.File("rb"),
    help="An OpenAI chat request, for what it needs of a target; - reads standard input.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@gateway_options
def explain(
    model: str,
    body: BinaryIO | None,
    as_json: bool,  # noqa: FBT001 - click passes by name
    place: Place,
) -> None:
    """Show which targets would be asked, in which order, and why not the others. Nothing is sent to them."""
    given: Json = {"model": model} if body is None else {"model": model, "body": _read(body)}
    with asking(place) as gateway:
        found = gateway.ask("POST", "routes/explain", given)
    if as_json:
        print_json(found)
        return
    show_table(COLUMNS, [_row(target) for target in found["targets"]], _NUMBERS)
    if not any(target["asked"] for target in found["targets"]):
        stderr().print("Nobody can be asked now: requests wait in line, where there is one, or get a 503.")
    say_unread(found)
    stderr().print(
        f"Told by {found['worker']}, whose loads and breakers are its own. By balance '{found['balance']}'; "
        f"one request asks {found['most_targets']} targets at most, each where those before it fail.",
        markup=False,
    )


@click.group(commands=[explain], epilog=examples(*EXAMPLES))
def route() -> None:
    """Explain the routes of a running gateway. An admin key is needed, as for `penstock keys`."""


def _read(body: BinaryIO) -> Json:
    try:
        return msgspec.json.decode(body.read(), type=Json)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        fail(f"--body is no JSON object: {error}", WRONG_USE)


def _row(target: Json) -> list[str]:
    model = target["model"]
    if target["fallback"]:
        model += f" (fallback '{target['fallback']}')"
    return [
        _place(target),
        target["backend"],
        model,
        _why(target),
        str(target["tier"]),
        f"{target['weight']:g}",
    ]


def _place(target: Json) -> str:
    if target["place"] is None:
        return "not asked"
    return str(target["place"]) if target["asked"] else f"{target['place']}, too late"


def _why(target: Json) -> str:
    if target["obstacle"] is not None:
        return str(target["obstacle"]["words"])
    return f"{target['why']}; would refuse: {target['refusal']}" if target["refusal"] else str(target["why"])
