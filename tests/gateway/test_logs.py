"""The access line: one JSON object on standard output, whatever becomes of that."""

import io
import json
import os
import sys
from types import SimpleNamespace

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


class _Full(io.RawIOBase):
    def write(self, _data: object) -> int:
        raise OSError(28, "No space left on device")


def test_a_closed_output_does_not_harm_the_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = io.BytesIO()
    closed.close()
    monkeypatch.setattr(sys, "stdout", SimpleNamespace(buffer=closed))
    logs.write(b"{}\n")


def test_a_full_disk_does_not_harm_the_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", SimpleNamespace(buffer=_Full()))
    logs.write(b"{}\n")


def test_a_reader_that_does_not_read_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb"), os.fdopen(writing, "wb") as full:
        monkeypatch.setattr(sys, "stdout", SimpleNamespace(buffer=full))
        written = [logs.write(b"x" * 4000 + b"\n") for _ in range(100)]
    assert written[0]
    assert not written[-1]
