"""What the README shows is there: its settings are read, its commands, options, series and faults exist."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import rich_click as click
import yaml

from gateway.cli import main
from gateway.metrics import Metrics, render
from gateway.metrics.names import COUNTERS, GAUGES
from gateway.settings import json_schema, load
from gateway.settings.schema import Shape
from gateway.simulator import PRODUCTS
from gateway.simulator.faults import MENU
from tests.laws.exchange import CATALOGUE

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
FENCED = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"(?<!`)`([^`]+)`(?!`)")
ENVIRON = {
    "HOME": "/home/someone",
    "CLOUDFLARE_ACCOUNT_ID": "a",
    "CLOUDFLARE_API_TOKEN": "t",
    "PENSTOCK_MASTER_KEY": "m" * 16,
    "PENSTOCK_PEPPER": "p" * 16,
    "VLLM_KEY": "k",
}


def blocks(language: str) -> list[str]:
    return [text for name, text in FENCED.findall(README) if name == language]


def commands() -> Iterator[str]:
    """Everything that is written as a command of ours."""
    lines = (line.partition("#")[0] for block in blocks("sh") for line in block.splitlines())
    spans = (" ".join(each.split()) for each in SPAN.findall(FENCED.sub("", README)))
    yield from {each.strip() for each in [*lines, *spans] if each.startswith("penstock ")}


SERVERS = next(yaml.safe_load(block)["backends"] for block in blocks("yaml") if "gpu-2" in block)


@pytest.mark.parametrize("text", blocks("yaml"))
def test_its_settings_are_read(tmp_path: Path, text: str) -> None:
    shown = yaml.safe_load(text)
    if "backends" not in shown:  # they are shown once, before the routes
        text += yaml.safe_dump({"backends": SERVERS})
    file = tmp_path / "penstock.yaml"
    file.write_text(text)
    load(file, ENVIRON)
    jsonschema_rs.Draft202012Validator(json_schema()).validate(yaml.safe_load(text))


@pytest.mark.parametrize("written", sorted(commands()))
def test_its_commands_exist_with_their_options(written: str) -> None:
    command: click.Command = main
    for word in shlex.split(written.replace("\\|", "|").translate({ord("["): " ", ord("]"): " "}))[1:]:
        if word.startswith("--"):
            known = {name for each in command.params for name in each.opts}
            assert word in {*known, "--help", "--version"}, written
        elif isinstance(command, click.Group) and not word.isupper():  # which stands for a value
            found: list[click.Command] = [command.commands[each] for each in word.split("|")]
            command = found[0]


def series() -> Iterator[tuple[str, set[str], set[str]]]:
    """A row of the table of series: names, labels of all of them, and what else stands in backticks there."""
    table = README.partition("| series (`penstock_...`)")[2].partition("\n\n")[0]
    for line in table.splitlines()[2:]:
        names, labels, tells = line.strip("|").split("|")
        by = {each.strip() for each in labels.split(",")} - {""}
        for name in SPAN.findall(names):
            yield f"penstock_{name}", by, set(SPAN.findall(tells))


def test_its_series_exist_with_their_labels() -> None:
    page = render(Metrics([]).counts()).decode()
    rows = list(series())
    assert len(rows) > 10
    for name, by, words in rows:
        assert f"# TYPE {name} " in page
        _text, labels = {**COUNTERS, **GAUGES}.get(name, ("", ("route",)))
        assert by <= set(labels) <= by | ({"state"} & words), name


@pytest.mark.parametrize(
    "name", sorted({each for each in SPAN.findall(README) if re.fullmatch(r"(server|keys)\.[a-z_]+", each)})
)
def test_its_settings_that_stand_in_sentences_exist(name: str) -> None:
    section, field = name.split(".")
    assert field in Shape().names((section,))


def test_its_faults_exist() -> None:
    told = README.partition("Faults come on demand")[2].partition("and more; an\n")[0]
    words = [word.partition(":")[0] for word in SPAN.findall(told)]
    named = [word for word in words if not word.startswith(("x-simulator", "@cf"))]
    assert len(named) > 15
    assert set(named) <= set(MENU)


def test_its_products_exist() -> None:
    told = README.partition("`penstock simulate --server NAME` is")[2].partition(", each with")[0]
    assert set(SPAN.findall(told)) == set(PRODUCTS)


def test_its_files_and_modules_exist() -> None:
    files = set(re.findall(r"\./((?:deploy|tests)/[\w/.-]+)", README)) | {"deploy/gitleaks.toml"}
    modules = set(re.findall(r"python -m (tests[\w.]+)", README))
    assert len(files) > 4
    assert len(modules) > 4
    paths = [ROOT / each for each in files]
    paths += [ROOT / each.replace(".", "/") for each in modules]
    missing = [path for path in paths if not path.exists() and not path.with_suffix(".py").exists()]
    assert missing == []


def test_it_counts_the_models() -> None:
    assert f"All {len(CATALOGUE.models)} text models" in README


def test_its_first_settings_are_the_defaults(tmp_path: Path) -> None:
    """But for what is shown for its own sake: the way to set it is the point there."""
    [text] = [block for block in blocks("yaml") if "body_limit" in block]
    file = tmp_path / "penstock.yaml"
    file.write_text(text)
    shown: Any = load(file, ENVIRON)
    file.write_text("")
    default: Any = load(file, ENVIRON)
    assert shown.server == default.server
    assert shown.errors == default.errors
    assert shown.deadlines.made == default.deadlines.made
    assert shown.deadlines.model_copy(update={"whole_answer": None}) == default.deadlines
