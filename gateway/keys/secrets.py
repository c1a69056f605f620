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

PREFIX: Final = "sk-ps-"
ADMIN_PREFIX: Final = "sk-ps-admin-"

_ALPHABET: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
_BODY: Final = 40
_CHECK: Final = 6
_FORM: Final = re.compile(rb"sk-ps-(?:admin-)?[0-9A-Za-z]{46}")


def new_secret(*, admin: bool = False) -> str:
    """A key that nobody has yet."""
    body = (ADMIN_PREFIX if admin else PREFIX) + "".join(secrets.choice(_ALPHABET) for _ in range(_BODY))
    return body + _checksum(body.encode())


def is_well_formed(secret: bytes) -> bool:
    """Whether this may be a key of ours."""
    if _FORM.fullmatch(secret) is None:
        return False
    return _checksum(secret[:-_CHECK]).encode() == secret[-_CHECK:]


def digest(pepper: bytes, secret: bytes) -> str:
    """What a key is stored under."""
    return hmac.digest(pepper, secret, "sha256").hex()


def foreign_digest(secret: bytes) -> str:
    """What LiteLLM stores of a key, which is all that there is of one that comes from there."""
    return f"sha256:{hashlib.sha256(secret).hexdigest()}"


def redacted(secret: str) -> str:
    """What may be shown of a key: enough to tell it from another."""
    prefix = next((each for each in (ADMIN_PREFIX, PREFIX, "sk-") if secret.startswith(each)), "")
    return f"{prefix}{secret.removeprefix(prefix)[:4]}...{secret[-4:]}"


def _checksum(body: bytes) -> str:
    rest, digits = zlib.crc32(body), ""
    for _ in range(_CHECK):
        rest, digit = divmod(rest, len(_ALPHABET))
        digits = _ALPHABET[digit] + digits
    return digits
