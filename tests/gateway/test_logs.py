"""The access line: one JSON object on standard output, whatever becomes of that."""

import asyncio
import io
import json
import logging
import os
import select
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from gateway import logs
from gateway.exchange import Exchange
from tests.gateway.scripted import PATIENCE
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


@contextmanager
def _ends(kind: str) -> Iterator[tuple[int, int]]:
    """The reader's and the writer's end of something that may fill up."""
    if kind == "socket":
        pair = socket.socketpair()
        ends = tuple(each.detach() for each in pair)
    else:
        ends = os.pipe() if kind == "pipe" else os.openpty()
    try:
        yield ends[0], ends[1]
    finally:
        os.close(ends[0])


@pytest.mark.parametrize("kind", ["pipe", "socket", "terminal"])
async def test_a_reader_that_does_not_read_holds_nobody_up(
    monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    lost: list[int] = []
    log = logs.AccessLog(lost.append)
    with _ends(kind) as (_reading, writing), os.fdopen(writing, "wb") as full:
        _output(monkeypatch, full)
        for _ in range(2000):
            log.note(Exchange("GET", "/" + "p" * 190))
        log.flush()
        assert os.get_blocking(writing)  # it is other processes' as well
        log.close()
    assert 0 < sum(lost) < 2000


async def test_another_worker_that_fills_the_pipe_after_a_look_at_it_holds_nobody_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lost: list[int] = []
    log = logs.AccessLog(lost.append)
    poll = select.poll

    class Overtaken:
        """Says that there is room, and then there is none."""

        def __init__(self) -> None:
            self._poll = poll()
            self.register = self._poll.register

        def poll(self, wait: int) -> object:
            found = self._poll.poll(wait)
            _fill(writing)
            return found

    with _ends("pipe") as (reading, writing), os.fdopen(writing, "wb") as full:
        monkeypatch.setattr(select, "poll", Overtaken)
        _output(monkeypatch, full)
        _fill(writing)
        os.read(reading, 4096)
        waking = threading.Timer(
            PATIENCE, os.read, (reading, 2**20)
        )  # if it waits, the test ends all the same
        waking.start()
        for _ in range(2):
            log.note(Exchange("GET", "/"))
            log.flush()
        assert not waking.finished.is_set()
        waking.cancel()
        log.close()


def _fill(writing: int) -> None:
    """Fill a pipe, as another process does that has it open."""
    with io.FileIO(os.open(f"/proc/self/fd/{writing}", os.O_WRONLY | os.O_NONBLOCK), "wb") as other:
        while other.write(b"\n" * 4096):
            pass


_WORKER = """
import asyncio, sys
from gateway.exchange import Exchange
from gateway.logs import AccessLog
lost = []
async def work():
    log = AccessLog(lost.append)
    for number in range(20_000):
        log.note(Exchange("GET", f"/{number}/" + "p" * 180))
        log.flush()
    log.close()
asyncio.run(work())
print(sum(lost), file=sys.stderr)
"""


def test_workers_with_one_stuck_reader_go_on_and_tear_no_line() -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as reader:
        workers = [
            subprocess.Popen([sys.executable, "-c", _WORKER], stdout=writing, stderr=subprocess.PIPE)
            for _ in range(2)
        ]
        os.close(writing)
        first = reader.readline()  # and then it is stuck
        lost = [int(worker.communicate(timeout=60)[1]) for worker in workers]
        lines = [first, *reader]
    assert all(json.loads(line)["status"] == 0 for line in lines)
    assert sum(lost) + len(lines) == 40_000


def test_an_output_that_was_closed_from_the_start_harms_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    lost: list[int] = []
    log = logs.AccessLog(lost.append)
    log.note_alike(Exchange("GET", "/"), [b"req_1", b"req_2"])
    log.close()
    assert lost == [2]


async def test_what_a_terminal_takes_in_part_is_gone_on_with(monkeypatch: pytest.MonkeyPatch) -> None:
    out = _Slow()
    output = logs.Output(io.BytesIO())
    monkeypatch.setattr(output, "_opened", out)
    assert output.take(b"first\n")
    assert not output.take(b"second\n")  # the first one's rest has not gone out yet
    assert output.take(b"third\n")
    assert out.getvalue() == b"first\nthird\n"


class _Slow(io.BytesIO):
    rooms = iter([2, 2, 2, 9])

    def write(self, data: Any) -> int:
        return super().write(bytes(data)[: next(self.rooms)])


def test_messages_wait_for_no_reader_and_the_next_one_says_how_many_are_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    messages = logs.Messages()
    with _ends("pipe") as (reading, writing), os.fdopen(writing, "wb") as full:
        monkeypatch.setattr(sys, "stderr", SimpleNamespace(buffer=full))
        for _ in range(1000):
            messages.handle(logging.makeLogRecord({"msg": "x" * 100}))
        read = os.read(reading, 2**20).decode().splitlines()
        assert set(read) == {"x" * 100}
        messages.handle(logging.makeLogRecord({"msg": "%s again", "args": ("here",)}))
        missing = f"({1000 - len(read)} messages before this one could not be written)"
        assert os.read(reading, 2**20).decode().splitlines() == [missing, "here again"]
        messages.close()
        monkeypatch.setattr(sys, "stderr", None)
        messages.handle(logging.makeLogRecord({"msg": "nobody hears this"}))
