"""The secrets that the gateway keeps for itself in `data_dir`: the operator's master key, and the pepper.

Without a master key in the settings, one is made at the first start and shown once; the gateway never runs
open. Issued keys are stored under the pepper; on several replicas it must be the same, so it is never made
where the store is one that others may share.
"""

import os
import secrets
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.settings import MASTER_KEY_LENGTH, VISIBLE_ASCII, Settings

_MASTER_FILE: Final = "master.key"
_PEPPER_FILE: Final = "pepper"


@dataclass(frozen=True, slots=True)
class MasterKey:
    """The operator's key. `created` says that it was made just now, and so is to be shown once."""

    value: str
    created: bool = False
    path: Path | None = None

    def __repr__(self) -> str:
        return f"MasterKey(created={self.created}, path={self.path})"


class KeptKeyError(Exception):
    """What is kept in `data_dir` is no key; the text says what to do."""

    def __init__(self, path: Path, flaw: str) -> None:
        super().__init__(
            f"the key kept in {path} {flaw}: delete the file to have a new key made, or set keys.master"
        )


class NoPepperError(Exception):
    """The store is shared, and the secret that all replicas must share is not set."""

    def __init__(self) -> None:
        super().__init__(
            "redis_url is set and keys.pepper is not: set keys.pepper (or PENSTOCK_PEPPER) to one secret for "
            "all replicas, for example from `openssl rand -hex 24`; issued keys are stored under it"
        )


def master_key(settings: Settings) -> MasterKey:
    """The key of the settings, else the one kept in `data_dir`, else a new one that is kept there.

    Raises:
        OSError: `data_dir` cannot be read or written.
        KeptKeyError: What is kept is no key.
    """
    if settings.keys.master is not None:
        return MasterKey(settings.keys.master.get_secret_value())
    return _kept(settings.data_dir / _MASTER_FILE, lambda: f"sk-ps-{secrets.token_urlsafe(32)}")


def pepper(settings: Settings) -> bytes:
    """What issued keys are stored under: of the settings, else kept beside the store of our own.

    Raises:
        NoPepperError: The store is not ours alone.
        OSError: `data_dir` cannot be read or written.
        KeptKeyError: What is kept is no secret.
    """
    if settings.keys.pepper is not None:
        return settings.keys.pepper.get_secret_value().encode()
    if settings.redis_url is not None:
        raise NoPepperError
    return _kept(settings.data_dir / _PEPPER_FILE, lambda: secrets.token_hex(32)).value.encode()


def _kept(path: Path, make: Callable[[], str]) -> MasterKey:
    try:
        return _read(path)
    except FileNotFoundError:
        return _make(path, make())


def _read(path: Path) -> MasterKey:
    value = path.read_bytes().strip().decode("latin-1")  # it takes any bytes
    if not VISIBLE_ASCII.fullmatch(value):
        raise KeptKeyError(path, "is empty" if not value else "holds more than one word of visible ASCII")
    if len(value) < MASTER_KEY_LENGTH:
        raise KeptKeyError(path, f"is too short, with fewer than {MASTER_KEY_LENGTH} characters")
    return MasterKey(value, path=path)


def _make(path: Path, value: str) -> MasterKey:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    # Written whole before it has its name: a crash or a second process never meets an empty key.
    descriptor, draft = tempfile.mkstemp(dir=path.parent)  # with mode 0600
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(value)
        os.link(draft, path)
    except FileExistsError:  # another process started at the same moment and was first
        return _read(path)
    finally:
        Path(draft).unlink()
    return MasterKey(value, created=True, path=path)
