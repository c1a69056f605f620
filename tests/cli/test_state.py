"""Where the shared state is kept: a wrong address is told of before anything starts."""

import pytest

from tests.cli.conftest import ACCOUNT, Command

WRONG = "redis+sentinel://user:secret@host:26379"


@pytest.mark.parametrize("workers", ["1", "2"])
def test_an_address_that_names_no_service_is_told_of_without_its_secrets(
    penstock: Command, workers: str
) -> None:
    environ = {**ACCOUNT, "PENSTOCK_REDIS_URL": WRONG, "PENSTOCK_KEYS_PEPPER": "p" * 16}
    result = penstock("serve", "--port", "0", "--workers", workers, **environ)
    assert result.exit_code == 1
    assert "redis_url names no service" in result.stderr
    assert "secret" not in result.output
