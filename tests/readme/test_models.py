"""The README's table of models says what the gateway does."""

import difflib
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.gateway.served import MASTER
from tests.laws.exchange import CATALOGUE
from tests.readme.features import NO, Model, row, table

README = Path(__file__).parents[2] / "README.md"
SECTION = re.compile(r"(?<=<!-- models: begin -->\n).*?(?=\n<!-- models: end -->)", re.DOTALL)


@pytest.fixture
def gateway(base_url: str) -> Iterator[httpx.Client]:
    headers = {"authorization": f"Bearer {MASTER}"}
    with httpx.Client(base_url=base_url, headers=headers, trust_env=False, timeout=10) as client:
        yield client


def test_the_table_of_models_says_what_they_do(gateway: httpx.Client, update_readme: bool) -> None:  # noqa: FBT001 - a fixture
    rows = [row(Model(gateway, name)) for name in sorted(CATALOGUE.models)]
    assert [cells[0] for cells in rows if NO in cells[2:4]] == []  # no model fails to answer
    now = table(rows)
    text = README.read_text()
    if update_readme:
        README.write_text(SECTION.sub(lambda _old: now, text))
        return
    [written] = SECTION.findall(text)
    diff = difflib.unified_diff(written.splitlines(), now.splitlines(), "README.md", "now", lineterm="")
    assert written == now, "\n".join(diff)
