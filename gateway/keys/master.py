"""The operator's key: the one of the settings, or one that an earlier version made and kept in `data_dir`.

Without one, the first key of all (`bootstrap`) is the operator's.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.keys.pepper import KeptKeyError, read_kept
from gateway.settings import Settings

_FILE: Final = "master.key"


@dataclass(frozen=True, slots=True)
class MasterKey:
    """The operator's key, and where it is kept, if not in the settings."""

    value: str
    path: Path | None = None

    def __repr__(self) -> str:
        return f"MasterKey(path={self.path})"


def master_key(settings: Settings) -> MasterKey | None:
    """The operator's key, where there is one.

    Raises:
        KeptKeyError: What is kept is no key, or cannot be read.
    """
    if settings.keys.master is not None:
        return MasterKey(settings.keys.master.get_secret_value())
    path = settings.data_dir / _FILE
    try:
        kept = read_kept(path, "delete the file, or set keys.master")
    except OSError as error:
        raise KeptKeyError(f"cannot read {path}: {error.strerror}; set keys.master or data_dir") from None
    return None if kept is None else MasterKey(kept, path)
