"""The fate of every parameter, in words and in a header."""

import pytest

from translators.report import HEADER_LIMIT, Entry, Fate, Report, header, refuse_dropped


def test_of_several_notes_on_one_parameter_the_gravest_counts_and_all_reasons_are_told_once() -> None:
    report = Report()
    report.note("messages", Fate.TRANSFORMED, "joined")
    report.note("messages", Fate.EMULATED, "faked")
    report.note("messages", Fate.KEPT)
    report.note("messages", Fate.TRANSFORMED, "joined")
    (entry,) = report.entries({"messages": "messages"}, {})
    assert entry == Entry("messages", Fate.EMULATED, "joined; faked")


def test_a_parameter_is_reported_under_the_name_that_the_client_used() -> None:
    report = Report()
    report.note("max_tokens", Fate.CLAMPED, "too many")
    assert report.entries({"max_completion_tokens": "max_tokens"}, {}) == (
        Entry("max_completion_tokens", Fate.CLAMPED, "too many"),
    )


def test_what_was_added_outranks_what_was_settled_before() -> None:
    report = Report()
    report.note("stream", Fate.EMULATED, "faked")
    settled = {"stream": Entry("stream", Fate.KEPT), "model": Entry("model", Fate.KEPT)}
    assert report.entries({}, settled) == (settled["model"], Entry("stream", Fate.EMULATED, "faked"))


def test_a_header_that_fits_is_whole() -> None:
    entries = [Entry("a", Fate.KEPT), Entry("b", Fate.DROPPED, "x"), Entry("c", Fate.CLAMPED, "y")]
    assert header(entries) == "b=dropped, c=clamped"


@pytest.mark.parametrize("count", [1, 60, 61, 62, 63, 64, 200])
def test_a_header_that_does_not_fit_counts_the_rest(count: int) -> None:
    entries = [Entry(f"name_{k:03}", Fate.DROPPED, "x") for k in range(count)]
    value = header(entries)
    assert len(value) <= HEADER_LIMIT
    *shown, last = value.split(", ")
    more = int(last.removeprefix("more=")) if last.startswith("more=") else 0
    assert len(shown) + (more or 1) == count


def test_names_that_a_client_makes_up_cannot_break_the_header() -> None:
    assert header([Entry("a\r\nb: ü=,", Fate.DROPPED, "x")]) == "a__b_____=dropped"
    assert header([Entry("x" * 100, Fate.DROPPED, "x")]) == "x" * 64 + "=dropped"


def test_a_strict_route_names_the_first_parameter_that_would_be_dropped_and_why() -> None:
    error = refuse_dropped([Entry("a", Fate.CLAMPED, "y"), Entry("user", Fate.DROPPED, "no such thing")])
    assert error is not None
    assert (error.status, error.param, error.code) == (400, "user", "unsupported_parameter")
    assert "no such thing" in error.message
    assert refuse_dropped([Entry("a", Fate.CLAMPED, "y")]) is None
