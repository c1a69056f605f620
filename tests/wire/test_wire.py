"""Each recording, both ways: the request to the backend, and the backend's answer to the client."""

import difflib
import re

import pytest

from tests.laws import stream_rules
from tests.wire.cases import Case, all_cases

CASES = all_cases()
STREAMS = [case for case in CASES if (case.folder / "out.sse").exists()]
_ORIGINS = {"Recorded", "Documented", "Inferred"}

each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def _theirs(name: str) -> bool:
    return name in {"ABOUT", "server", "request.openai.json"} or name.startswith("answer")


@each_case
def test_our_side_of_a_recording_is_as_recorded(case: Case, update_wire: bool) -> None:  # noqa: FBT001 - a fixture
    outputs = case.outputs()
    ours = {file.name for file in case.folder.iterdir() if not _theirs(file.name)}
    if update_wire:
        for name in ours - set(outputs):
            (case.folder / name).unlink()
        for name, content in outputs.items():
            (case.folder / name).write_bytes(content)
        return
    assert set(outputs) == ours
    for name, content in outputs.items():
        recorded = (case.folder / name).read_text().splitlines()
        diff = difflib.unified_diff(recorded, content.decode().splitlines(), name, "now", lineterm="")
        assert (case.folder / name).read_bytes() == content, "\n".join(diff)


@each_case
def test_a_recording_says_where_it_comes_from(case: Case) -> None:
    about = (case.folder / "ABOUT").read_text()
    origin = re.match(r"[A-Z][a-z]+", about)
    assert origin is not None
    assert origin.group() in _ORIGINS
    assert len(about.split()) >= 10


@pytest.mark.parametrize("case", STREAMS, ids=lambda case: case.name)
def test_a_recorded_stream_obeys_the_rules(case: Case) -> None:
    raw = case.outputs()["out.sse"]
    options = case.request.get("stream_options") or {}
    rules = {"choices": case.request.get("n", 1), "include_usage": bool(options.get("include_usage"))}
    if raw.startswith(b'data: {"id":"cmpl-'):
        stream_rules.check_completion(raw, **rules)
    elif raw.endswith(b"data: [DONE]\n\n"):
        stream_rules.check_chat(raw, **rules)
    else:
        stream_rules.check_broken(raw)


def test_the_recordings_are_many() -> None:
    assert len(CASES) >= 25
