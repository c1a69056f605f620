"""How much of the memory that this process may have is in use: what its control group's limit leaves.

The kernel ends a process that reaches the limit, with all its streams. Pages of files that nobody has used
for a while are counted as used as well, but are given up first, so they are left out, as Kubernetes does.
"""

from math import inf
from pathlib import Path
from typing import Final

_ROOT: Final = Path("/sys/fs/cgroup")
_OWN: Final = Path("/proc/self/cgroup")
_NO_LIMIT: Final = 2**60  # bytes; version 1 writes a number near 2**63
_HIGH: Final = 0.9  # below this share it does not matter how much could be given up


class Memory:
    """Reads the control group of this process, in version 2 or 1 of Linux; elsewhere there is none.

    Args:
        root: Where control groups are mounted.
        own: Where the process's own are listed.
    """

    def __init__(self, root: Path = _ROOT, own: Path = _OWN) -> None:
        self._limit, self._used, self._stat, self._inactive = _files(root, _text(own))

    def share(self) -> float:
        """The share of the limit that is in use; 0 where there is no limit."""
        limit = self._bytes()
        return self._in_use(limit) / limit

    def room(self, share: float) -> float:
        """Bytes until this share of the limit is in use; without end where there is no limit."""
        limit = self._bytes()
        return inf if limit == inf else share * limit - self._in_use(limit)

    def _bytes(self) -> float:
        """The limit."""
        limit = _number(self._limit)
        return limit if 0 < limit < _NO_LIMIT else inf

    def _in_use(self, limit: float) -> int:
        used = _number(self._used)
        return used - _field(_text(self._stat), self._inactive) if used > _HIGH * limit else used


def _files(root: Path, groups: str) -> tuple[Path, Path, Path, str]:
    """The files of the limit, of what is in use and of its parts, and the name of the part to leave out."""
    paths = {names: path for _, names, path in (line.split(":", 2) for line in groups.splitlines())}
    if "memory" in paths:
        folder = _folder(root / "memory", paths["memory"], "memory.limit_in_bytes")
        limit, used, inactive = "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"
    else:
        folder = _folder(root, paths.get("", "/"), "memory.max")
        limit, used, inactive = "memory.max", "memory.current", "inactive_file"
    return folder / limit, folder / used, folder / "memory.stat", inactive


def _folder(root: Path, path: str, limit: str) -> Path:
    """A group's folder; in a container it may be mounted as the root, whatever it is called outside."""
    folder = root / path.strip("/")
    return folder if (folder / limit).exists() else root


def _text(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:  # no Linux, or no limit
        return ""


def _number(file: Path) -> int:
    text = _text(file).strip()
    return int(text) if text.isdecimal() else 0  # "max" where there is no limit


def _field(text: str, name: str) -> int:
    return next((int(line.split()[1]) for line in text.splitlines() if line.startswith(name + " ")), 0)
