"""The results as a table that people read and as JSON that programs read."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

from tests.bench import works
from tests.bench.measure import Pair, Sample, Spread, spread
from tests.bench.works import Work

BASELINE = "nginx"


@dataclass(frozen=True)
class Latency:
    """Time to the first byte of an answer at one connection, in microseconds."""

    p50: float
    p99: float


@dataclass
class Measurement:
    """A subject at one work."""

    work: Work
    subject: str
    generator: str
    pairs: list[Pair]
    latency: dict[str, Latency] = field(default_factory=dict)  # of "direct", of the baseline, of the subject

    @property
    def void(self) -> str | None:
        """Why there is no figure."""
        return next((pair.void for pair in self.pairs if pair.void), None)

    @property
    def ratio(self) -> Spread | None:
        """The cost in multiples of the baseline's."""
        return spread([pair.ratio for pair in self.pairs if pair.ratio is not None])


@dataclass
class Results:
    """Everything that a run of the bench found."""

    environment: dict[str, Any]
    versions: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    measurements: list[Measurement] = field(default_factory=list)


def latency(seconds: Sequence[float]) -> Latency:
    """The latency of a sample of answers."""
    ordered = sorted(seconds)
    return Latency(median(ordered) * 1e6, ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)] * 1e6)


def text(results: Results) -> str:
    """The tables, and what is missing from them with its reason."""
    costs, latencies = _costs(results), _latencies(results)
    notes = [f"{name}: skipped: {reason}" for name, reason in results.skipped.items()]
    notes += [
        f"{one.subject}: {one.work.title}: void: {one.void}" for one in results.measurements if one.void
    ]
    return "\n".join([*_table(costs), "", *_table(latencies), *notes, *_disturbed(results)])


def _disturbed(results: Results) -> list[str]:
    """Which figures not to trust, because other processes were on the cores."""
    lines = []
    for one in results.measurements:
        if count := sum(pair.disturbed for pair in one.pairs if not one.void):
            where = f"{one.subject}: {one.work.title}"
            lines.append(f"{where}: other processes disturbed {count} of {len(one.pairs)} pairs")
    return [*lines, "Measure those again on a quieter machine."] if lines else []


def _costs(results: Results) -> list[list[str]]:
    head = ["work", "subject", "CPU us/request", "x nginx [least-greatest]"]
    rows = [[*head, "requests/s", "core 0 busy", "core 1 busy", "load"]]
    for work in dict.fromkeys(one.work for one in results.measurements):
        measured = [one for one in results.measurements if one.work == work and not one.void]
        baselines = [pair.baseline for one in measured for pair in one.pairs if pair.baseline]
        title = work.title
        if baselines:
            rows.append([title, BASELINE, *_sample_cells(baselines, "1"), ""])
            title = ""
        for one in measured:
            samples = [pair.subject for pair in one.pairs]
            rows.append([title, one.subject, *_sample_cells(samples, _ratio(one.ratio)), one.generator])
            title = ""
    return rows


def _sample_cells(samples: list[Sample], ratio: str) -> list[str]:
    return [
        f"{median(sample.cpu_us for sample in samples):,.0f}",
        ratio,
        f"{median(sample.rate for sample in samples):,.0f}",
        f"{median(sample.gateway_busy for sample in samples):.0%}",
        f"{median(sample.load_busy for sample in samples):.0%}",
    ]


def _ratio(ratio: Spread | None) -> str:
    return f"{ratio.median:.2f} [{ratio.least:.2f}-{ratio.greatest:.2f}]" if ratio else "-"


def _latencies(results: Results) -> list[list[str]]:
    head = ["added latency at one connection, us", "subject", "over direct: p50", "p99"]
    rows = [[*head, "over nginx: p50", "p99", "direct: p50", "p99"]]
    for one in sorted(results.measurements, key=lambda one: works.WORKS.index(one.work)):
        if one.void or one.subject not in one.latency:
            continue
        own, direct = one.latency[one.subject], one.latency["direct"]
        cells = _added(own, direct) + _added(own, one.latency.get(BASELINE))
        rows.append(
            [one.work.title.split(",")[0], one.subject, *cells, f"{direct.p50:,.0f}", f"{direct.p99:,.0f}"]
        )
    return rows


def _added(own: Latency, other: Latency | None) -> list[str]:
    if other is None:
        return ["-", "-"]
    return [f"{own.p50 - other.p50:+,.0f}", f"{own.p99 - other.p99:+,.0f}"]


def _table(rows: list[list[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [
            cell.ljust(width) if column < 2 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return [lines[0], "-" * len(lines[0]), *lines[1:]]


def as_json(results: Results) -> str:
    """All samples, with what they were taken on."""
    return json.dumps(
        {
            "environment": results.environment,
            "versions": results.versions,
            "skipped": results.skipped,
            "measurements": [_measurement(one) for one in results.measurements],
        },
        indent=1,
    )


def _measurement(one: Measurement) -> dict[str, Any]:
    return {
        "work": one.work.name,
        "title": one.work.title,
        "subject": one.subject,
        "generator": one.generator,
        "void": one.void,
        "ratio": asdict(one.ratio) if one.ratio else None,
        "latency_us": {name: asdict(value) for name, value in one.latency.items()},
        "pairs": [asdict(pair) for pair in one.pairs],
    }
