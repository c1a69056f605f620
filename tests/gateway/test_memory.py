"""What the limit of the process's control group leaves of memory."""

from math import inf
from pathlib import Path

import pytest

from gateway.memory import Memory

V1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
V2 = ("memory.max", "memory.current", "inactive_file")


def _group(folder: Path, names: tuple[str, str, str], limit: str, used: int, inactive: int = 0) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / names[0]).write_text(f"{limit}\n")
    (folder / names[1]).write_text(f"{used}\n")
    (folder / "memory.stat").write_text(f"anon 7\nactive_file 9\n{names[2]} {inactive}\n")


def _memory(place: Path, groups: str) -> Memory:
    (place / "own").write_text(groups)
    return Memory(place / "root", place / "own")


@pytest.mark.parametrize("inside", ["root", "root/pod/box"], ids=["as the root", "in its folder"])
def test_a_limit_of_version_2(tmp_path: Path, inside: str) -> None:
    _group(tmp_path / inside, V2, "1000", 950, 30)
    assert _memory(tmp_path, "0::/pod/box\n").share() == 0.92


@pytest.mark.parametrize("inside", ["root/memory", "root/memory/box"], ids=["as the root", "in its folder"])
def test_a_limit_of_version_1(tmp_path: Path, inside: str) -> None:
    _group(tmp_path / inside, V1, "1000", 950, 30)
    assert _memory(tmp_path, "9:name=systemd:/\n4:memory:/box\n0::/\n").share() == 0.92


@pytest.mark.parametrize(("names", "limit"), [(V2, "max"), (V1, "9223372036854771712")])
def test_without_a_limit_nothing_is_short(tmp_path: Path, names: tuple[str, str, str], limit: str) -> None:
    _group(tmp_path / "root", V2, limit, 2**40)
    _group(tmp_path / "root/memory", V1, limit, 2**40)
    assert _memory(tmp_path, "0::/\n" if names is V2 else "4:memory:/\n").share() == 0


def test_without_control_groups_nothing_is_short(tmp_path: Path) -> None:
    assert Memory(tmp_path / "none", tmp_path / "nor this").share() == 0


def test_a_limit_that_changes_is_the_one_that_counts(tmp_path: Path) -> None:
    _group(tmp_path / "root", V2, "1000", 500)
    memory = _memory(tmp_path, "0::/\n")
    (tmp_path / "root/memory.max").write_text("2000")
    assert memory.share() == 0.25


def test_the_room_is_what_is_left_of_a_share_of_the_limit(tmp_path: Path) -> None:
    _group(tmp_path / "root", V2, "1000", 950, 30)
    memory = _memory(tmp_path, "0::/\n")
    assert memory.room(0.92) == 0
    (tmp_path / "root/memory.current").write_text("420")
    assert memory.room(0.92) == 500


def test_without_a_limit_the_room_has_no_end(tmp_path: Path) -> None:
    assert Memory(tmp_path / "none", tmp_path / "nor this").room(0.92) == inf
