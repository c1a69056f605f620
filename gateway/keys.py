"""Who may call: the operator's master key.

Without one in the settings, one is made at the first start and kept in `data_dir`; the gateway never
runs open. The given key is held as its digest only, and compared in constant time.
"""

import hashlib
import hmac
import os
import secrets
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.errors import unauthorized
from gateway.settings import MASTER_KEY_LENGTH, VISIBLE_ASCII, Settings

_FILE: Final = "master.key"


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


def master_key(settings: Settings) -> MasterKey:
    """The key of the settings, else the one kept in `data_dir`, else a new one that is kept there.

    Raises:
        OSError: `data_dir` cannot be read or written.
        KeptKeyError: What is kept is no key.
    """
    if settings.keys.master is not None:
        return MasterKey(settings.keys.master.get_secret_value())
    path = settings.data_dir / _FILE
    try:
        return _read(path)
    except FileNotFoundError:
        return _make(path)


def _read(path: Path) -> MasterKey:
    value = path.read_bytes().strip().decode("latin-1")  # it takes any bytes
    if not VISIBLE_ASCII.fullmatch(value):
        raise KeptKeyError(path, "is empty" if not value else "holds more than one word of visible ASCII")
    if len(value) < MASTER_KEY_LENGTH:
        raise KeptKeyError(path, f"is too short, with fewer than {MASTER_KEY_LENGTH} characters")
    return MasterKey(value, path=path)


def _make(path: Path) -> MasterKey:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    value = f"sk-ps-{secrets.token_urlsafe(32)}"
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


class Keys:
    """Checks the key of a request."""

    def __init__(self, master: str) -> None:
        self._master = _digest(master)

    def authenticate(self, headers: Mapping[bytes, bytes]) -> None:
        """Let the holder of a key pass.

        Args:
            headers: Lower-case name -> value. `Authorization: Bearer`, `x-api-key` and `api-key` count.

        Raises:
            ApiError: 401.
        """
        given = _given_key(headers)
        if given is None:
            raise unauthorized(given=False)
        if not hmac.compare_digest(hashlib.sha256(given).digest(), self._master):
            raise unauthorized(given=True)


def _given_key(headers: Mapping[bytes, bytes]) -> bytes | None:
    scheme, _, credential = headers.get(b"authorization", b"").partition(b" ")
    if scheme.lower() == b"bearer" and credential.strip():
        return credential.strip()
    return headers.get(b"x-api-key") or headers.get(b"api-key") or None


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
