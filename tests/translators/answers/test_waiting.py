"""How long a backend says to wait."""

from collections.abc import Mapping

import pytest

from translators.answers.waiting import told_to_wait

NOW = 784_111_777  # RFC 9110, section 5.6.7: Sun, 06 Nov 1994 08:49:37 GMT


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": " 7 "}, 7.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": "3600"}, 3600.0),
        ({"retry-after-ms": "1500"}, 1.5),
        ({"retry-after-ms": "250.5"}, 0.2505),
        ({"retry-after": "9", "retry-after-ms": "1500"}, 1.5),
        ({"retry-after": "9", "retry-after-ms": "soon"}, 9.0),
        ({"retry-after": "Sun, 06 Nov 1994 08:50:07 GMT"}, 30.0),
        ({"retry-after": "Sunday, 06-Nov-94 08:50:07 GMT"}, 30.0),
        ({"retry-after": "Sun Nov  6 08:50:07 1994"}, 30.0),
        ({"retry-after": "Sun, 06 Nov 1994 08:00:00 GMT"}, 0.0),
    ],
)
def test_seconds_milliseconds_and_dates_are_read(headers: Mapping[str, str], seconds: float) -> None:
    assert told_to_wait(headers, NOW) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "soon",
        "-5",
        "+5",
        "nan",
        "inf",
        "1e9",
        "0x10",
        "9" * 400,
        "Sun, 99 Nov 99999999 08:50:07 GMT",
        "\x00",
    ],
)
def test_what_cannot_be_read_is_nothing(text: str) -> None:
    assert told_to_wait({"retry-after": text}, NOW) is None
    assert told_to_wait({"retry-after-ms": text}, NOW) is None


def test_nothing_said_is_nothing() -> None:
    assert told_to_wait({}, NOW) is None
