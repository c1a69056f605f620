"""How several workers end: every answer that runs gets its time, and nobody waits at a closed door."""

import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import monotonic
from typing import Protocol

import pytest

from gateway.simulator import Simulator
from tests.cli.several import LIMIT, Workers, is_gone, serving, until
from tests.cli.test_processes import environment  # noqa: F401 - a fixture

DONE = "data: [DONE]"


class Start(Protocol):
    def __call__(self, *, drain: float = 20) -> Workers: ...


@pytest.fixture
def start(
    environment: Mapping[str, str],  # noqa: F811 - the fixture
    tmp_path: Path,
    serve_app: Callable[..., str],
) -> Iterator[Start]:
    """Starts two workers, with a drain of the test's own."""
    with ExitStack() as stack:

        def begin(*, drain: float = 20) -> Workers:
            account = serve_app(Simulator())
            return stack.enter_context(serving(environment, tmp_path, account, workers=2, drain=drain))

        yield begin


@contextmanager
def _stopped(pid: int) -> Iterator[None]:
    """The process hangs inside the block."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        if not is_gone(pid):
            os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP], ids=lambda each: each.name)
def test_a_drain_ends_streams_and_refuses_new_connections(start: Start, number: signal.Signals) -> None:
    workers = start()
    with workers.streaming() as lines:
        workers.process.send_signal(number)
        until(lambda: not workers.connects(), "the refusal of new connections")
        rest = list(lines)
    assert rest[-2] == DONE
    code, errors = workers.ended()
    assert code == 0, errors
    assert "Worker" not in errors


def test_signals_to_every_process_at_once_cut_no_stream(start: Start) -> None:
    """As a service manager sends them."""
    workers = start()
    with workers.streaming() as lines:
        for pid in (workers.process.pid, *workers.pids()):
            os.kill(pid, signal.SIGTERM)
        rest = list(lines)
    assert rest[-2] == DONE
    assert workers.ended()[0] == 0


def test_streams_that_outlast_the_drain_end_with_an_error_event(start: Start) -> None:
    workers = start(drain=0.2)
    with workers.streaming() as lines:
        workers.process.send_signal(signal.SIGTERM)
        rest = list(lines)
    assert DONE not in rest
    assert '"code":"shutdown"' in rest[-2]
    assert workers.ended()[0] == 0


@pytest.mark.parametrize(
    "numbers",
    [(signal.SIGTERM, signal.SIGTERM), (signal.SIGINT, signal.SIGINT), (signal.SIGTERM, signal.SIGINT)],
    ids=lambda numbers: "-".join(number.name for number in numbers),
)
def test_a_second_signal_waits_for_no_stream(
    start: Start, numbers: tuple[signal.Signals, signal.Signals]
) -> None:
    workers = start(drain=2 * LIMIT)
    pids = workers.pids()
    with workers.streaming() as lines, workers.streaming() as others:
        workers.process.send_signal(numbers[0])
        until(lambda: not workers.connects(), "the refusal of new connections")
        began = monotonic()
        workers.process.send_signal(numbers[1])
        assert DONE not in [*lines, *others]
    assert workers.ended()[0] == 0
    assert monotonic() - began < 10
    assert all(map(is_gone, pids))


def test_a_worker_that_hangs_holds_no_door_open_and_is_ended_by_a_second_signal(start: Start) -> None:
    workers = start(drain=2 * LIMIT)
    stuck, _other = workers.pids()
    with _stopped(stuck):
        workers.process.send_signal(signal.SIGTERM)
        until(lambda: not workers.connects(), "the refusal of new connections")
        began = monotonic()
        workers.process.send_signal(signal.SIGTERM)
        code, errors = workers.ended()
    assert code == 0
    assert f"Worker {stuck} did not end in time" in errors
    assert monotonic() - began < 10


def test_workers_whose_parent_is_killed_let_their_streams_end_and_then_end_themselves(start: Start) -> None:
    workers = start()
    pids = workers.pids()
    with workers.streaming() as lines:
        workers.process.kill()
        workers.process.wait()
        until(lambda: not workers.connects(), "the closing of the workers' sockets")
        for pid in pids:  # a service manager then ends what is left
            if not is_gone(pid):
                os.kill(pid, signal.SIGTERM)
        rest = list(lines)
    assert rest[-2] == DONE
    until(lambda: all(map(is_gone, pids)), "the end of the workers")
