"""Prints every fault with pass or fail. The tests are the table: each names its fault."""

import os
import sys
from collections import Counter
from pathlib import Path

import pytest

HERE = Path(__file__).parent
WORDS = {"passed": "pass", "failed": "FAIL", "skipped": "skip"}


class Table:
    """A line for each fault as it is known, and their sum."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.module = ""
        self.out = os.fdopen(os.dup(1), "w", buffering=1)  # pytest captures what is written to the usual one

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if (
            report.when == "call"
            or (report.outcome != "passed" and report.when == "setup")
            or (report.when == "teardown" and report.failed)
        ):
            self.line(report)

    def line(self, report: pytest.TestReport) -> None:
        module, _, test = report.nodeid.partition("::")
        if module != self.module:
            self.module = module
            title = Path(module).stem.removeprefix("test_").replace("_", " ")
            self.out.write(f"\n{title}\n")
        self.counts[report.outcome] += 1
        why = f"  ({report.longrepr[2]})" if report.skipped and isinstance(report.longrepr, tuple) else ""
        self.out.write(f"  {WORDS[report.outcome]}  {_fault(test)}{why}\n")
        if report.failed:
            self.out.write(f"{report.longreprtext}\n")

    def sum(self) -> str:
        return ", ".join(f"{self.counts[outcome]} {word}" for outcome, word in WORDS.items())


def _fault(test: str) -> str:
    """The words of a test's name: `test_a_client_that_leaves[whole]` is `a client that leaves: whole`."""
    name, _, case = test.partition("[")
    words = name.removeprefix("test_").replace("_", " ")
    case = case.removesuffix("]")
    return f"{words}: {case}" if case else words


def main() -> int:
    table = Table()
    options = ["-o", "addopts=--strict-markers --import-mode=importlib", "-p", "no:terminal"]
    code = pytest.main([*options, str(HERE), *sys.argv[1:]], plugins=[table])
    table.out.write(f"\n{table.sum()}\n")
    return int(code)


if __name__ == "__main__":
    sys.exit(main())
