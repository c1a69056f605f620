"""The form of the keys that we issue, and what is stored of them.

`sk-ps-`, forty base62 characters (238 bits) and six for the CRC32 of what is before them, so that a mistyped
or made-up key is told from a real one without asking anybody. What is stored is the HMAC-SHA256 under the
pepper: with so many random bits a slow hash would add nothing.
"""

import hashlib
import hmac
import re
import secrets
import string
import zlib
from typing import Final

from gateway.keys.records import Role

PREFIX: Final = "sk-ps-"
ADMIN_PREFIX: Final = "sk-ps-admin-"

_ALPHABET: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
_BODY: Final = 40
_CHECK: Final = 6
_OURS: Final = PREFIX.encode()
_FORM: Final = re.compile(rb"sk-ps-(?:admin-)?[0-9A-Za-z]{46}")


def new_secret(role: Role) -> str:
    """A key that nobody has yet."""
    prefix = ADMIN_PREFIX if role == "admin" else PREFIX
    body = prefix + "".join(secrets.choice(_ALPHABET) for _ in range(_BODY))
    return body + _checksum(body.encode())


def is_ours(secret: bytes) -> bool:
    """Whether this says that we made it; what was made elsewhere has no checksum to be looked at."""
    return secret.startswith(_OURS)


def is_well_formed(secret: bytes) -> bool:
    """Whether this may be a key that we made; garbage is told without asking anybody."""
    if _FORM.fullmatch(secret) is None:
        return False
    return _checksum(secret[:-_CHECK]).encode() == secret[-_CHECK:]


def digest(pepper: bytes, secret: str) -> str:
    """What a key that we made is stored under."""
    return hmac.digest(pepper, secret.encode(), "sha256").hex()


def foreign_digest(pepper: bytes, sha256: str) -> str:
    """What a key is stored under that was made elsewhere, where only the SHA-256 of its secret is known.

    Whoever has read such a SHA-256 cannot show it as a key: it would be hashed once more.
    """
    return hmac.digest(pepper, sha256.lower().encode(), "sha256").hex()


def stored_digest(pepper: bytes, given: bytes) -> str:
    """What the key that somebody shows would be stored under."""
    if is_ours(given):
        return hmac.digest(pepper, given, "sha256").hex()
    return foreign_digest(pepper, hashlib.sha256(given).hexdigest())


def redacted(secret: str) -> str:
    """What may be shown of a key: enough to tell it from another."""
    prefix = next((each for each in (ADMIN_PREFIX, PREFIX, "sk-") if secret.startswith(each)), "")
    return f"{prefix}{secret.removeprefix(prefix)[:4]}...{secret[-4:]}"


def quoted_id(given: str) -> str:
    """What may be repeated of what stands where an id belongs; somebody may have put a key there."""
    return "sk-..." if given.startswith("sk-") else given[:64]


def _checksum(body: bytes) -> str:
    rest, digits = zlib.crc32(body), ""
    for _ in range(_CHECK):
        rest, digit = divmod(rest, len(_ALPHABET))
        digits = _ALPHABET[digit] + digits
    return digits
