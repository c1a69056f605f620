"""What is wrong with a store that answers, in words that say what to do."""

from collections.abc import Iterator, Mapping
from typing import Final

_LEAST_VERSION: Final = (7, 0)


def facts_of(info: bytes) -> dict[str, str]:
    """The fields of INFO."""
    lines = info.decode(errors="replace").splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line)


def flaws_in(facts: Mapping[str, str]) -> Iterator[str]:
    """What the fields of INFO show to be wrong."""
    version = facts.get("redis_version", "0")  # Valkey says here what Redis it can stand for
    if tuple(int(part) for part in version.split(".")[:2] if part.isdigit()) < _LEAST_VERSION:
        yield f"the store is version {version}: use Redis 7.0 or newer, or Valkey"
    policy = facts.get("maxmemory_policy", "noeviction")
    if policy != "noeviction" and facts.get("maxmemory", "0") != "0":
        yield (
            f"the store evicts keys when it is full ({policy}), which would forget limits and keys: "
            "set maxmemory-policy to noeviction there"
        )
    if facts.get("role") == "slave":
        yield "redis_url leads to a replica, which cannot be written to: name its master, or Sentinel"
