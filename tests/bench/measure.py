"""What a run cost: CPU of a process tree, how busy the cores were, and the pairs of a comparison."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

DISTURBING_SHARE = 0.1
NANOSECONDS_PER_TICK = 1_000_000_000 // os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Cores:
    """The core of what is measured, and the core of everything else."""

    gateway: int
    load: int


@dataclass(frozen=True)
class Sample:
    """One run: its cost per request, or why it does not count."""

    requests: int
    seconds: float
    cpu_us: float
    gateway_busy: float
    load_busy: float
    gateway_foreign: float  # the shares of the cores that went to processes which are none of the bench's
    load_foreign: float
    void: str | None = None

    @property
    def rate(self) -> float:
        """Requests per second."""
        return self.requests / self.seconds if self.seconds else 0.0

    @property
    def disturbed(self) -> bool:
        """Whether other processes took so much of a core that the figure is another one.

        A gateway that waits for its core finds several events at once when it gets it, and so does less
        for each: nginx was seen at half its cost per burst with 40 % of its core taken.
        """
        return max(self.gateway_foreign, self.load_foreign) > DISTURBING_SHARE


@dataclass(frozen=True)
class Outcome:
    """What a load generator says of a run."""

    requests: int
    seconds: float
    fault: str | None


@dataclass(frozen=True)
class Pair:
    """Two runs one after the other: the baseline's, where there is one, and the subject's."""

    baseline: Sample | None
    subject: Sample

    @property
    def void(self) -> str | None:
        """Why the pair does not count."""
        return self.subject.void or (self.baseline and self.baseline.void) or None

    @property
    def disturbed(self) -> bool:
        """Whether other processes had too much of the cores in either run."""
        return self.subject.disturbed or (self.baseline is not None and self.baseline.disturbed)

    @property
    def ratio(self) -> float | None:
        """The subject's cost in multiples of the baseline's."""
        if self.baseline is None or self.void:
            return None
        return self.subject.cpu_us / self.baseline.cpu_us


@dataclass(frozen=True)
class Spread:
    """A median with the least and the greatest."""

    median: float
    least: float
    greatest: float


def spread(values: list[float]) -> Spread | None:
    """The spread of some values, if there are any."""
    return Spread(median(values), min(values), max(values)) if values else None


def run(pid: int, cores: Cores, load: Callable[[], Outcome]) -> Sample:
    """Measure the process tree under `pid`, a child of this process, while a load runs."""
    start = time.perf_counter_ns()
    busy = {core: _ticks(core) for core in (cores.gateway, cores.load)}
    all_before, before = tree_nanoseconds(os.getpid()), tree_nanoseconds(pid)
    outcome = load()
    spent, all_spent = tree_nanoseconds(pid) - before, tree_nanoseconds(os.getpid()) - all_before
    shares = {core: _busy_share(ticks, _ticks(core)) for core, ticks in busy.items()}
    window = time.perf_counter_ns() - start
    return Sample(
        requests=outcome.requests,
        seconds=outcome.seconds,
        cpu_us=spent / 1000 / max(outcome.requests, 1),
        gateway_busy=shares[cores.gateway],
        load_busy=shares[cores.load],
        gateway_foreign=max(shares[cores.gateway] - spent / window, 0.0),
        load_foreign=max(shares[cores.load] - (all_spent - spent) / window, 0.0),
        void=outcome.fault or (None if outcome.requests else "no request was answered"),
    )


def compare(
    pairs: int, subject: Callable[[], Sample], baseline: Callable[[], Sample] | None, *, spare: int = 0
) -> list[Pair]:
    """Run interleaved pairs; who goes first alternates, so that a drift of the machine cancels out.

    A void pair is run again once; a second one ends the comparison and stays, to be reported. Up to `spare`
    more pairs are run to replace disturbed ones.
    """
    calm: list[Pair] = []
    disturbed: list[Pair] = []
    void = 0
    while len(calm) < pairs and len(calm) + len(disturbed) < pairs + spare:
        pair = _pair(subject, baseline, subject_first=(len(calm) + len(disturbed)) % 2 == 1)
        if pair.void:
            void += 1
            if void > 1:
                return [*calm, *disturbed, pair]
        else:
            (disturbed if pair.disturbed else calm).append(pair)
    return [*calm, *disturbed][:pairs]


def _pair(
    subject: Callable[[], Sample], baseline: Callable[[], Sample] | None, *, subject_first: bool
) -> Pair:
    if baseline is None:
        return Pair(None, subject())
    if subject_first:
        second = subject()
        return Pair(baseline(), second)
    first = baseline()
    return Pair(first, subject())


def tree_nanoseconds(pid: int) -> int:
    """User and system time that a process, its descendants and those it has reaped have used.

    The live ones are read from their CPU clocks: the same sum as in /proc/PID/stat, in nanoseconds
    instead of ticks of 10 ms.
    """
    total = 0
    for member in _tree(pid):
        try:
            # The clock id of another process (Linux, include/linux/posix-timers.h: pid inverted, then
            # CPUCLOCK_SCHED).
            total += time.clock_gettime_ns((~member << 3) | 2)
            reaped = _stat_fields(member)[13:15]  # cutime, cstime
        except OSError:
            continue  # ended since the look; its parent now counts it as reaped
        total += sum(int(ticks) for ticks in reaped) * NANOSECONDS_PER_TICK
    return total


def _tree(root: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int(_stat_fields(int(entry.name))[1])
            except OSError:
                continue
            children.setdefault(parent, []).append(int(entry.name))
    members = [root]
    for member in members:
        members += children.get(member, [])
    return members


def _stat_fields(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the state on; the name before them may hold anything but `)`."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _ticks(core: int) -> tuple[int, int]:
    """Busy and all ticks of a core since boot (proc(5), /proc/stat: user nice system idle iowait ...)."""
    for line in Path("/proc/stat").read_text().splitlines():
        name, *values = line.split()
        if name == f"cpu{core}":
            ticks = [int(value) for value in values[:8]]
            return sum(ticks) - ticks[3] - ticks[4], sum(ticks)
    raise LookupError(f"/proc/stat has no core {core}")


def _busy_share(before: tuple[int, int], after: tuple[int, int]) -> float:
    return (after[0] - before[0]) / max(after[1] - before[1], 1)
