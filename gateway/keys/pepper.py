"""The secret that issued keys are stored under, kept in `data_dir` beside the store of our own.

On several replicas it must be the same, so it is never made where the store is one that others may share.
"""

import os
import secrets
import tempfile
from pathlib import Path
from typing import Final

from gateway.settings import MASTER_KEY_LENGTH, VISIBLE_ASCII, Settings

_FILE: Final = "pepper"


class KeptKeyError(Exception):
    """What is kept in `data_dir` is no key, or nothing can be kept there; the text says what to do."""


class NoPepperError(Exception):
    """The store is shared, and the secret that all replicas must share is not set."""

    def __init__(self) -> None:
        super().__init__(
            "redis_url is set and keys.pepper is not: set keys.pepper (or PENSTOCK_PEPPER) to one secret for "
            "all replicas, for example from `openssl rand -hex 24`; issued keys are stored under it"
        )


def pepper(settings: Settings) -> bytes:
    """What issued keys are stored under: of the settings, else kept beside the store of our own.

    Raises:
        NoPepperError: The store is not ours alone.
        KeptKeyError: What is kept is no secret, or none can be kept.
    """
    if settings.keys.pepper is not None:
        return settings.keys.pepper.get_secret_value().encode()
    if settings.redis_url is not None:
        raise NoPepperError
    path = settings.data_dir / _FILE
    try:
        return _kept(path) or _make(path)
    except OSError as error:
        raise KeptKeyError(
            f"cannot keep a key in {settings.data_dir}: {error.strerror}; set data_dir, or redis_url and "
            "keys.pepper"
        ) from None


def read_kept(path: Path, advice: str) -> str | None:
    """A key that is kept in a file; None where there is no such file.

    Raises:
        OSError: It cannot be read.
        KeptKeyError: What is kept is no key; the text ends with the advice.
    """
    try:
        kept = path.read_bytes()
    except FileNotFoundError:
        return None
    value = kept.strip().decode("latin-1")  # it takes any bytes
    if not VISIBLE_ASCII.fullmatch(value):
        flaw = "is empty" if not value else "holds more than one word of visible ASCII"
        raise KeptKeyError(f"the key kept in {path} {flaw}: {advice}")
    if len(value) < MASTER_KEY_LENGTH:
        flaw = f"is too short, with fewer than {MASTER_KEY_LENGTH} characters"
        raise KeptKeyError(f"the key kept in {path} {flaw}: {advice}")
    return value


def _kept(path: Path) -> bytes:
    advice = "put the right one back, or delete the file and issue all keys anew"
    return (read_kept(path, advice) or "").encode()


def _make(path: Path) -> bytes:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    value = secrets.token_hex(32)
    # Written whole before it has its name: a crash or a second process never meets an empty file.
    descriptor, draft = tempfile.mkstemp(dir=path.parent)  # with mode 0600
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(value)
        os.link(draft, path)
    except FileExistsError:  # another process started at the same moment and was first
        return _kept(path)
    finally:
        Path(draft).unlink()
    return value.encode()
