"""The user's cache folder: programs that the bench fetched, kept by name and version."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path


def root() -> Path:
    """The bench's folder in the user's cache (XDG Base Directory Specification)."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "penstock-bench"


def entry(name: str, make: Callable[[Path], None]) -> Path:
    """A folder of the cache, made by `make` at its first use; a failed making leaves nothing behind.

    It is made at its final path, because virtual environments cannot be moved; a mark says that it is whole.
    """
    folder = root() / name
    mark = folder / ".complete"
    if mark.exists():
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        make(folder)
        mark.touch()
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return folder
