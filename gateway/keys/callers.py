"""Who calls: the holder of a key, what that may do, and until when we know it to be so.

A caller is made once for each version of a key and of its team, and kept; what a request costs is one HMAC
and a look-up in a dictionary.
"""

import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping
from fnmatch import translate
from functools import lru_cache
from time import monotonic, time
from typing import Any, Final

from gateway import errors
from gateway.keys.archive import place
from gateway.keys.verdicts import Held, flaw
from translators.errors import ApiError

_MASTER: Final = "master"
_BEFORE_ALL: Final = 0.0  # a time at which nothing has ended
_REMEMBERED: Final = 64  # models and addresses, of each caller
_LONGEST: Final = 256  # characters of what is remembered: clients may ask for any model
_LONGEST_NAME: Final = 1024  # of a model; a client's body has room for names that globs take seconds for


class Caller:
    """The holder of a key; with no key, the operator with the master key.

    Args:
        held: The key, its team, and until when the secret that was given holds.
        shown: What is kept here of that secret: its HMAC.
        stored: What it is stored under.

    Attributes:
        key: The key.
        team: Its team.
        id: The key's id; `master` for the operator's own.
        defaults: Parameters of its requests that do not set them.
        records: The records that this rests on, with their versions: where in the store -> version.
        identity: What tells this from every other caller, and from the same one after a change.
        until: When the key, or the secret that was given, ends, in seconds since 1970.
        confirmed: When the store last said that all this holds, in seconds of `monotonic`.
    """

    __slots__ = (
        "_is_refused", "_may_come_from", "_may_use", "confirmed", "defaults", "held", "id", "identity", "key",
        "records", "shown", "stored", "team", "until",
    )  # fmt: skip

    def __init__(self, held: Held | None = None, shown: bytes = b"", stored: str = "") -> None:
        self.held: Final = held
        self.shown: Final = shown
        self.stored: Final = stored
        self.key: Final = held.key if held is not None else None
        self.team: Final = held.team if held is not None else None
        self.id: Final = self.key.id if self.key is not None else _MASTER
        self.defaults: Final[Mapping[str, Any]] = self.key.defaults if self.key is not None else {}
        self.until: Final = held.ends if held is not None else None
        self._is_refused: Final = held is not None and flaw(held, _BEFORE_ALL) is not None
        bases = [each for each in (self.key, self.team) if each is not None]
        self.records: Final = tuple((place(each.id), each.version) for each in bases)
        self.identity: Final = self.records
        self.confirmed = monotonic()
        globs = [each.models for each in bases if each.models is not None]
        self._may_use: Final = _remembering(_matcher(globs)) if globs else None
        networks = self.key.allowed_ips if self.key is not None else None
        self._may_come_from: Final = None if networks is None else _remembering(_locator(networks))

    @property
    def is_admin(self) -> bool:
        """Whether it may change what others may do."""
        return self.key is None or self.key.role == "admin"

    @property
    def may_read(self) -> bool:
        """Whether it may see what the operators see."""
        return self.key is None or self.key.role in {"admin", "read_only"}

    def may_use(self, model: str) -> bool:
        """Whether it may ask for a model."""
        return self._may_use is None or self._may_use(model)

    def check(self, address: str) -> None:
        """Let the caller in, from where it calls.

        Raises:
            ApiError: 401 for a key that does not hold, or not from there.
        """
        if self._is_refused or (self.until is not None and time() >= self.until):
            raise self._refusal()
        if self._may_come_from is not None:
            self.check_address(address)

    def check_address(self, address: str) -> None:
        """Let the caller come from an address.

        Raises:
            ApiError: 401, as OpenAI has it.
        """
        if self._may_come_from is not None and not self._may_come_from(address):
            raise errors.address_not_allowed()

    def _refusal(self) -> ApiError:
        match flaw(self.held, time()) if self.held is not None else None:
            case "disabled":
                return errors.key_disabled("key")
            case "team_disabled":
                return errors.key_disabled("team")
            case "expired":
                return errors.key_expired()
            case _:
                return errors.unauthorized(given=True)

    def check_inference(self) -> None:
        """Let it ask models.

        Raises:
            ApiError: 403.
        """
        if self.key is not None and self.key.role == "read_only":
            raise errors.may_only_read()

    def check_model(self, model: str) -> None:
        """Let it ask for a model.

        Raises:
            ApiError: 403 naming it.
        """
        if self._may_use is not None and not self._may_use(model):
            raise errors.model_not_allowed(model)


def _matcher(globs: Iterable[Iterable[str]]) -> Callable[[str], bool]:
    """Whether a model matches one glob of each list."""
    patterns = [re.compile("|".join(f"(?:{translate(each)})" for each in some) or r"(?!)") for some in globs]
    return lambda model: len(model) <= _LONGEST_NAME and all(pattern.match(model) for pattern in patterns)


def _locator(networks: Iterable[str]) -> Callable[[str], bool]:
    """Whether an address is in one of the networks."""
    known = [ipaddress.ip_network(each, strict=False) for each in networks]

    def is_inside(address: str) -> bool:
        try:
            given = ipaddress.ip_address(address)
        except ValueError:
            return False
        if isinstance(given, ipaddress.IPv6Address) and given.ipv4_mapped is not None:
            given = given.ipv4_mapped
        return any(given in network for network in known)

    return is_inside


def _remembering(judge: Callable[[str], bool]) -> Callable[[str], bool]:
    """The same, which looks at what it was asked of late only once."""
    remembered = lru_cache(_REMEMBERED)(judge)
    return lambda asked: remembered(asked) if len(asked) <= _LONGEST else judge(asked)
