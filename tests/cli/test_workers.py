"""Several workers on one port, as real processes: they answer together, count together, and are replaced."""

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import httpx
import pytest

from gateway.simulator import SIMULATED_API_TOKEN, Simulator
from tests.cli.several import KEY, LIMIT, Counters, Workers, fallen, serving, settings_for, told_of, until
from tests.cli.test_processes import environment, finish, read_until, started  # noqa: F401 - a fixture among them

Environment = Mapping[str, str]


@pytest.fixture
def workers(
    environment: Environment,  # noqa: F811 - the fixture
    tmp_path: Path,
    serve_app: Callable[..., str],
) -> Iterator[Workers]:
    with serving(environment, tmp_path, serve_app(Simulator())) as workers:
        yield workers


def test_all_workers_answer_on_one_port_and_their_counts_are_added_up(workers: Workers) -> None:
    assert len(workers.pids()) == 3
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda number: workers.chat(stream=bool(number % 2)), range(40)))
    assert {answer.status_code for answer in answers} == {200}
    until(lambda: workers.chats() == 40, "the counting of the last one")
    assert [workers.chats() for _ in range(6)] == [40] * 6  # whichever is asked, it tells of all
    assert workers.gauge("penstock_workers") == 3
    assert workers.gauge("penstock_inflight_requests") == 1  # this one
    assert workers.gauge(r'penstock_breaker_state\{backend="c",model="",state="closed"\}') == 3
    assert workers.gauge(r'penstock_backend_inflight_requests\{backend="c"\}') == 0
    assert workers.gauge(r'penstock_backend_drained\{backend="c",model=""\}') == 0
    code, _out, errors = finish(workers.process, signal.SIGTERM)
    assert (code, errors.count("\n")) == (0, errors.count("key "))  # the rest of the greeting, if any


def test_a_reader_of_the_log_that_is_stuck_stops_no_worker(workers: Workers) -> None:
    """Nobody reads what the workers write, all of them into one pipe."""
    lost = ("penstock_lost_access_lines_total",)
    with ThreadPoolExecutor(8) as pool:
        until(
            lambda: _asked(pool, workers) and workers.counters().get(lost, 0) > 100, "the filling of the pipe"
        )
        assert _asked(pool, workers)


def _asked(pool: ThreadPoolExecutor, workers: Workers) -> bool:
    """Whether some dozens of requests are answered, each in time."""
    return {answer.status_code for answer in pool.map(lambda _number: workers.chat(), range(64))} == {200}


@contextmanager
def _load(workers: Workers) -> Iterator[list[int]]:
    """Chats from four sides inside the block; the statuses of those that were answered."""
    over = threading.Event()
    statuses: list[int] = []

    def ask() -> None:
        while not over.is_set():
            with suppress(httpx.HTTPError):  # what one that is killed was about to answer
                statuses.append(workers.chat(stream=bool(len(statuses) % 2)).status_code)

    with ThreadPoolExecutor(4) as pool:
        asking = [pool.submit(ask) for _ in range(4)]
        try:
            yield statuses
        finally:
            over.set()
    for each in asking:
        each.result()


def _has_gone_on(workers: Workers, statuses: list[int], enough: int) -> bool:
    """Whether so many chats were answered, and a death leaves somebody to answer more."""
    return len(workers.pids()) > 1 and len(statuses) >= enough


def _scraped(workers: Workers) -> Counters | None:
    """The counters; None where the worker that was asked is killed meanwhile."""
    try:
        return workers.counters()
    except httpx.HTTPError:
        return None


def test_no_counter_falls_while_workers_are_killed_under_load(workers: Workers) -> None:
    kills, scrapes = 6, 0
    before: Counters = {}
    with _load(workers) as statuses:
        for _ in range(kills):
            enough = len(statuses) + 5
            until(partial(_has_gone_on, workers, statuses, enough), "some chats")
            os.kill(workers.pids()[0], signal.SIGKILL)
            for _ in range(4):
                shown = _scraped(workers)
                if shown is not None:
                    assert fallen(before, shown) == {}
                    before, scrapes = shown, scrapes + 1
    until(lambda: len(workers.pids()) == 3, "the last restart")
    until(lambda: workers.gauge("penstock_workers") == 3, "the last one's first answer")
    shown = workers.counters()
    assert fallen(before, shown) == {}
    assert shown["penstock_worker_restarts_total",] == kills
    assert scrapes > kills
    assert set(statuses) == {200}
    _code, _out, errors = finish(workers.process, signal.SIGTERM)
    assert errors.count("ended with signal SIGKILL; it is started again") == kills


def test_a_worker_that_is_told_to_end_takes_no_counts_with_it(workers: Workers) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: workers.chat(), range(24)))
    old = workers.pids()
    for pid in old:
        os.kill(pid, signal.SIGTERM)
    until(lambda: len(set(workers.pids()) - set(old)) == 3, "the replacement of all")
    assert workers.chats() == 24
    _code, _out, errors = finish(workers.process, signal.SIGTERM)
    assert errors.count("ended with exit code 0; it is started again") == 3


def test_a_worker_that_hangs_leaves_the_others_and_the_metrics_alone(workers: Workers) -> None:
    assert workers.chat().status_code == 200
    before = workers.counters()
    stuck = workers.pids()[0]
    os.kill(stuck, signal.SIGSTOP)
    try:
        with workers.client() as client:
            answered = 0
            for _ in range(12):  # the kernel gives some connections to the one that hangs
                with suppress(httpx.TimeoutException):
                    answered += client.get("/healthz", timeout=0.5).status_code == 200
            assert answered >= 4
        until(lambda: _shows_all(workers, before), "a scrape without the one that hangs")
        assert str(stuck) in read_until(workers.process.stderr, "its event loop is held up")
        assert stuck in workers.pids()  # which nobody ends but people
    finally:
        os.kill(stuck, signal.SIGCONT)
    assert str(stuck) in read_until(workers.process.stderr, "answers again")


def _shows_all(workers: Workers, before: Counters) -> bool:
    """Whether a scrape comes within a second, with no counter lower than before."""
    began = time.monotonic()
    with suppress(httpx.TimeoutException), workers.client() as client:
        text = client.get("/metrics", timeout=2).text
        assert time.monotonic() - began < 1
        return all(name[0].removesuffix("_total") in text for name in before)
    return False


def test_what_workers_say_that_is_no_message_ends_them_alone(
    environment: Environment,  # noqa: F811 - the fixture
    tmp_path: Path,
    serve_app: Callable[..., str],
) -> None:
    """As after an upgrade under a running parent: its workers are of another version then."""
    marker = tmp_path / "upgraded"
    (tmp_path / "sitecustomize.py").write_text(
        "import os, socket, sys\n"
        "if 'gateway.cli.workers' in ' '.join(sys.orig_argv):\n"
        f"    if os.path.exists({str(marker)!r}):\n"
        "        socket.socket(fileno=int(sys.argv[2])).sendall(b'\\x04\\0\\0\\0what')\n"
    )
    environ = {**environment, "PYTHONPATH": f"{tmp_path}{os.pathsep}{environment['PYTHONPATH']}"}
    with serving(environ, tmp_path, serve_app(Simulator()), workers=2) as workers:
        marker.touch()
        os.kill(workers.pids()[0], signal.SIGKILL)
        read_until(workers.process.stderr, "If Penstock was upgraded, start it again")
        assert workers.chat().status_code == 200
        marker.unlink()
        until(lambda: workers.gauge("penstock_workers") == 2, "the restart")


def test_workers_that_cannot_start_end_everything_with_their_words(
    environment: Environment,  # noqa: F811 - the fixture
    tmp_path: Path,
) -> None:
    broken = tmp_path / "sitecustomize.py"
    broken.write_text("import os, sys\nif 'gateway.cli.workers' in ' '.join(sys.orig_argv): os._exit(7)\n")
    environ = {**environment, "PYTHONPATH": f"{tmp_path}{os.pathsep}{environment['PYTHONPATH']}"}
    (tmp_path / "penstock.yaml").write_text(json.dumps(settings_for("http://127.0.0.1:1")))
    with started(environ, tmp_path, "serve", "--port", "0", "--workers", "2") as process:
        _out, errors = process.communicate(timeout=LIMIT)
    assert process.returncode == 1
    assert "ended with exit code 7 before it answered" in errors
    assert errors.count("\n") == 1


def test_workers_import_nothing_from_the_folder_where_somebody_calls_serve(
    environment: Environment,  # noqa: F811 - the fixture
    tmp_path: Path,
    serve_app: Callable[..., str],
) -> None:
    (tmp_path / "uvicorn.py").write_text("raise SystemExit('not to be imported')\n")
    safe = {**environment, "PYTHONSAFEPATH": "1"}  # as an installed command has it, for the parent
    with serving(safe, tmp_path, serve_app(Simulator()), workers=2) as workers:
        for pid in workers.pids():
            assert b"-P" in told_of(pid, "cmdline").split(b"\0")
        assert workers.chat().status_code == 200


def test_secrets_reach_workers_by_no_argument_and_no_variable(workers: Workers) -> None:
    for pid in workers.pids():
        for place in ("cmdline", "environ"):
            told = told_of(pid, place)
            assert KEY.encode() not in told
            assert SIMULATED_API_TOKEN.encode() not in told
