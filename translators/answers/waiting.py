"""How long a backend says to wait: `retry-after-ms`, or `retry-after` as seconds or as a date."""

import re
from collections.abc import Mapping
from email.utils import mktime_tz, parsedate_tz
from typing import Final

_NUMBER: Final = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?")


def told_to_wait(headers: Mapping[str, str], now: int) -> float | None:
    """Seconds, or None where nothing that can be read is said.

    Args:
        headers: The answer's, their names in lower case.
        now: Seconds since 1970; a date is a time from then on.
    """
    milliseconds = headers.get("retry-after-ms", "").strip()
    if _NUMBER.fullmatch(milliseconds):
        return float(milliseconds) / 1000
    text = headers.get("retry-after", "").strip()
    if _NUMBER.fullmatch(text):
        return float(text)
    try:
        date = parsedate_tz(text)
        return max(0.0, mktime_tz(date) - now) if date else None
    except (ValueError, OverflowError):  # a day or a year that there is not
        return None
