"""`pytest tests/wire --update-wire` writes our side of every recording anew; look at the diff afterwards."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-wire", action="store_true", help="write our files of the recordings anew")


@pytest.fixture
def update_wire(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--update-wire", default=False))
