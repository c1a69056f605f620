"""The access line: one JSON object on standard output, whatever becomes of that."""

import asyncio
import io
import json
import os
import sys
from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest

from gateway import logs
from gateway.exchange import Exchange
from translators.deltas import Usage


def test_a_line_leaves_out_what_is_not_known() -> None:
    line = json.loads(logs.access_line(Exchange("GET", "/healthz", "health")))
    assert set(line) == {"time", "request_id", "method", "path", "status", "duration_ms", "operation"}


def test_a_line_has_the_usage_of_a_whole_exchange() -> None:
    exchange = Exchange("POST", "/v1/chat/completions", usage=Usage(3, 0, neurons=0.5, estimated=True))
    exchange.saw_token()
    exchange.saw_token()
    line = json.loads(logs.access_line(exchange))
    assert (line["prompt_tokens"], line["completion_tokens"]) == (3, 0)  # an explicit 0 stays
    assert (line["neurons"], line["estimated"]) == (0.5, True)
    assert 0 <= line["first_token_ms"] <= line["duration_ms"]


def test_what_a_client_chooses_is_cut() -> None:
    exchange = Exchange("M" * 99, "/" + "p" * 999, model="m" * 999)
    line = json.loads(logs.access_line(exchange))
    assert [len(line[name]) for name in ("method", "path", "model")] == [16, 200, 200]


@pytest.mark.parametrize(
    ("path", "written"),
    [
        ("/admin/v1/keys/sk-ps-Ug0obOVBaI680aUzp22qooKy1KTXzNK3k0aSliZv234soX", "/admin/v1/keys/sk-..."),
        (
            "/admin/v1/keys/sk-ps-admin-Ug0obOVBaI680aUzp22qooKy1KTXzNK3k0a/rotate",
            "/admin/v1/keys/sk-.../rotate",
        ),
        ("/v1/models/sk-Hc8wGZ0mVw2m1234", "/v1/models/sk-..."),
        (f"/{'p' * 190}/sk-Hc8wGZ0mVw2m1234", f"/{'p' * 190}/sk-..."),
        ("/v1/models/@cf/org/ask-anything-anywhere-8b", "/v1/models/@cf/org/ask-anything-anywhere-8b"),
    ],
)
def test_a_key_that_stands_in_a_path_is_not_written(path: str, written: str) -> None:
    assert json.loads(logs.access_line(Exchange("GET", path)))["path"] == written


class _Full(io.RawIOBase):
    def write(self, _data: object) -> int:
        raise OSError(28, "No space left on device")


def _output(monkeypatch: pytest.MonkeyPatch, buffer: object) -> None:
    monkeypatch.setattr(sys, "stdout", SimpleNamespace(buffer=buffer))


class _Counted(io.BytesIO):
    writes = 0

    def write(self, data: Any) -> int:
        self.writes += 1
        return super().write(data)


async def test_the_lines_of_one_turn_are_written_together_when_it_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out, lost = _Counted(), Counter[str]()
    _output(monkeypatch, out)
    log = logs.AccessLog(lambda count: lost.update(lines=count))
    for number in range(3):
        log.note(Exchange("GET", f"/{number}"))
    assert out.writes == 0
    await asyncio.sleep(0)
    assert out.writes == 1
    assert [json.loads(line)["path"] for line in out.getvalue().splitlines()] == ["/0", "/1", "/2"]
    assert not lost


async def test_no_more_is_written_at_once_than_a_pipe_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    out = _Counted()
    _output(monkeypatch, out)
    log = logs.AccessLog(lambda _count: None)
    for _ in range(40):
        log.note(Exchange("GET", "/" + "p" * 190))
    log.flush()
    assert len(out.getvalue().splitlines()) == 40
    assert len(out.getvalue()) / out.writes <= 4096


@pytest.mark.parametrize("full", [True, False], ids=["full", "closed"])
async def test_an_output_that_takes_nothing_harms_no_answer_and_its_lines_are_counted(
    monkeypatch: pytest.MonkeyPatch, *, full: bool
) -> None:
    closed = io.BytesIO()
    closed.close()
    _output(monkeypatch, _Full() if full else closed)
    lost: list[int] = []
    log = logs.AccessLog(lost.append)
    log.note(Exchange("GET", "/"))
    log.flush()
    log.note_alike(Exchange("GET", "/"), [b"req_1", b"req_2"])
    assert lost == [1, 2]


async def test_a_reader_that_does_not_read_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    lost: list[int] = []
    log = logs.AccessLog(lost.append)
    with os.fdopen(reading, "rb"), os.fdopen(writing, "wb") as full:
        _output(monkeypatch, full)
        for _ in range(1000):
            log.note(Exchange("GET", "/" + "p" * 190))
        log.flush()
    assert 0 < sum(lost) < 1000
