"""The limit of open files."""

import logging
import resource

import pytest

from gateway.cli import descriptors

LIMIT = resource.RLIMIT_NOFILE


class System:
    """Limits like the system's."""

    def __init__(self, soft: int, hard: int, *, grants: bool = True) -> None:
        self.limits = soft, hard
        self.grants = grants

    def getrlimit(self, which: int) -> tuple[int, int]:
        assert which == LIMIT
        return self.limits

    def setrlimit(self, which: int, limits: tuple[int, int]) -> None:
        assert which == LIMIT
        if not self.grants:
            raise ValueError("not allowed to raise maximum limit")
        self.limits = limits


def _raise_limit(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", system.getrlimit)
    monkeypatch.setattr(resource, "setrlimit", system.setrlimit)
    descriptors.raise_limit()


def test_the_soft_limit_is_raised_to_the_hard_one(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "penstock")
    system = System(1024, 20_000)
    _raise_limit(system, monkeypatch)
    assert system.limits == (20_000, 20_000)
    assert caplog.messages == ["The limit of open files is 20000 now, not 1024."]


def test_a_limit_that_is_as_high_as_may_be_stays(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "penstock")
    _raise_limit(System(512, 512, grants=False), monkeypatch)
    assert not caplog.messages


def test_a_limit_that_the_system_does_not_grant_stays_and_is_no_failure(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "penstock")
    system = System(256, 2**60, grants=False)
    _raise_limit(system, monkeypatch)
    assert system.limits == (256, 2**60)
    assert caplog.messages == ["The limit of open files stays at 256: not allowed to raise maximum limit."]
