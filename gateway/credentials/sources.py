"""Reads a credential from a variable or a file; what is wrong with one is told without a sign of it."""

import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from gateway.settings import VISIBLE_ASCII

MOST: Final = 64 * 1024  # bytes of a file or an output; more is no credential

Seen = tuple[int, int, int]  # of a file: inode, time of change, size


class UnreadableError(Exception):
    """A credential cannot be read; the text says why, and nothing of what was read."""


def credential(text: str) -> str:
    """A credential, without the blanks around it.

    Raises:
        UnreadableError: It is none.
    """
    value = text.strip()
    if not value:
        raise UnreadableError("it is empty or not set")
    if len(value) > MOST or not VISIBLE_ASCII.fullmatch(value):
        raise UnreadableError("it is not one word of visible ASCII characters")
    return value


def from_environment(environ: Mapping[str, str], name: str) -> str:
    """The credential in a variable.

    Raises:
        UnreadableError: There is none.
    """
    return credential(environ.get(name, ""))


def look_at(path: Path) -> Seen:
    """What tells whether a file has changed; through links, for Kubernetes swaps a link to replace a secret.

    Raises:
        UnreadableError: There is no such file.
    """
    try:
        found = path.stat()
    except (OSError, ValueError) as error:
        raise UnreadableError(_told(path, error)) from None
    if not stat.S_ISREG(found.st_mode):  # a pipe would be waited for, and all requests with it
        raise UnreadableError(f"{path}: it is no regular file")
    return found.st_ino, found.st_mtime_ns, found.st_size


def from_file(path: Path) -> str:
    """The credential in a file.

    Raises:
        UnreadableError: There is none.
    """
    try:
        with path.open("rb") as file:
            text = file.read(MOST + 1).decode("latin-1")
    except OSError as error:
        raise UnreadableError(_told(path, error)) from None
    return credential(text)


def _told(path: Path, error: OSError | ValueError) -> str:
    return f"{path}: {(error.strerror if isinstance(error, OSError) else None) or 'it is no path'}"
