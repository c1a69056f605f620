"""What readers of all dialects share; what they read is in the tests of the dialects."""

import pytest

from tests.laws.exchange import STAMP
from translators.answers.reader import Reader


def test_each_dialect_has_to_read_its_own_errors() -> None:
    reader = Reader(STAMP, 0, 100, 7)
    reader.start(500, {})
    with pytest.raises(NotImplementedError):
        reader.close()
