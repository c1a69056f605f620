"""Times as the admin API reads and writes them: lengths as `24h` or seconds, moments as RFC 3339 has them."""

import re
from datetime import UTC, datetime
from typing import Final

_MOST: Final = 10**12  # seconds; what the form below has room for
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_LENGTH: Final = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?)([smhd])?")
# RFC 3339 section 5.6; Python alone would take moments without an offset, weeks and dates alone as well.
_MOMENT: Final = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII
)
_LAST: Final = 253_402_300_799  # 9999-12-31T23:59:59Z: a later moment cannot be written
LONGEST: Final = 100 * 365 * 86_400  # seconds; a century is as good as for ever

LENGTH_WORDS: Final = "should be a time such as '30s', '15m', '24h' or '30d', or a number of seconds"
MOMENT_WORDS: Final = "should be a date and time with its offset, such as '2027-01-31T12:00:00Z'"


def seconds(given: object) -> float:
    """How many seconds a length of time has.

    Raises:
        ValueError: It is none; the text says what one is.
    """
    found = _LENGTH.fullmatch(_as_text(given))
    if found is None:
        raise ValueError(LENGTH_WORDS)
    length = float(found[1]) * _UNITS[found[2] or "s"]
    if length > LONGEST:
        raise ValueError("should be 36500 days at most")
    return length


def _as_text(given: object) -> str:
    if isinstance(given, str):
        return given
    if isinstance(given, bool) or not isinstance(given, int | float):
        return ""
    # A whole number may be too large to be written as one with a fraction.
    return f"{given:f}".rstrip("0").rstrip(".") if -_MOST < given < _MOST else ""


def moment(given: object) -> float:
    """The seconds since 1970 of a date and time.

    Raises:
        ValueError: It is none; the text says what one is.
    """
    if not isinstance(given, str) or not _MOMENT.fullmatch(given):
        raise ValueError(MOMENT_WORDS)
    try:
        at = datetime.fromisoformat(given.upper()).timestamp()
    except (ValueError, OverflowError):  # the 31st of February, a year before the first
        raise ValueError(MOMENT_WORDS) from None
    if at > _LAST:
        raise ValueError("should be before the year 10000 in UTC")
    return at


def written(at: float) -> str:
    """A moment as RFC 3339 has it, in UTC, to the second."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
