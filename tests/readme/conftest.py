"""`pytest tests/readme --update-readme` writes the table of models anew; look at the diff afterwards."""

import pytest

from tests.e2e.conftest import base_url

__all__ = ["base_url"]  # a fixture: the gateway before a simulated account


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-readme", action="store_true", help="write the README's table of models anew")


@pytest.fixture
def update_readme(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--update-readme", default=False))
