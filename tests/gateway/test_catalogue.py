"""The facts of the models on disk: what was fetched lies over what was shipped, and never in its way."""

import logging
from pathlib import Path

import pytest

from gateway import catalogue
from translators.backends.workers_ai.listing import Listed, Shape

SEED = "@cf/meta/llama-3.1-8b-instruct-fast"
NEW = "@cf/somebody/new-1b"
FETCHED = {
    SEED: Listed(window=64_000, can=frozenset({"tools"}), price={"input": 0.1}),
    NEW: Listed(window=8192, efforts=("low",), shape=Shape("openai", "openai")),
}
AT = "2026-11-25T19:00:00+00:00"


def test_without_anything_fetched_the_facts_are_those_shipped(tmp_path: Path) -> None:
    assert catalogue.load(tmp_path / "nothing") == catalogue.shipped()


def test_what_is_kept_is_read_again(tmp_path: Path) -> None:
    path = catalogue.keep(tmp_path / "data", AT, FETCHED)
    assert catalogue.read(tmp_path / "data") == catalogue.Fetched(catalogue.VERSION, AT, FETCHED)
    facts = catalogue.load(tmp_path / "data").models
    assert (facts[SEED].window, facts[SEED].family) == (64_000, "legacy")
    assert facts[NEW].family == "openai"
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_a_second_list_takes_the_place_of_the_first(tmp_path: Path) -> None:
    catalogue.keep(tmp_path, AT, FETCHED)
    catalogue.keep(tmp_path, AT, {SEED: FETCHED[SEED]})
    assert NEW not in catalogue.load(tmp_path).models


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"{", "truncated"),
        (b"\xff\xfe", "valid"),
        (b'{"version": 1}', "missing required field"),
        (b'{"version": 2, "at": "", "models": {}}', "it has version 2, and this Penstock reads version 1"),
    ],
)
def test_a_file_that_cannot_be_read_is_warned_of_and_stops_nobody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes, reason: str
) -> None:
    path = catalogue.keep(tmp_path, AT, FETCHED)
    path.write_bytes(content)
    assert catalogue.load(tmp_path) == catalogue.shipped()
    [warning] = caplog.records
    assert warning.levelno == logging.WARNING
    assert str(path) in warning.getMessage()
    assert reason in warning.getMessage()
    assert "`penstock models sync` writes it anew" in warning.getMessage()


def test_a_folder_in_its_place_is_warned_of_as_well(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = catalogue.keep(tmp_path, AT, FETCHED)
    path.unlink()
    path.mkdir()
    assert catalogue.load(tmp_path) == catalogue.shipped()
    assert "Is a directory" in caplog.text


def test_a_list_that_cannot_be_written_leaves_the_old_one_and_no_draft(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = catalogue.keep(tmp_path, AT, FETCHED)
    before = path.read_bytes()

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(catalogue.os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        catalogue.keep(tmp_path, AT, {})
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == [path.name]
