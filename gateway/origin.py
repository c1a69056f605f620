"""Whence a request comes: the address of the peer, or what proxies that are trusted say of theirs.

Only a peer among `server.trusted_proxies` is believed, and only as far as the chain of such proxies goes: the
client is the last address that is none of them. Anyone can write a header, and whoever is further away from
us than the first stranger may have.
"""

import ipaddress
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_MOST: Final = 32  # addresses of a chain that are looked at
# RFC 7239: `for=` with a token, or in quotes; an IPv6 address stands in brackets; either may have a port.
_FOR: Final = re.compile(r'(?:^|[;\s])for\s*=\s*(?:"([^"]*)"|([^;,\s"]*))', re.IGNORECASE)
_PORT: Final = re.compile(r"^(?:\[([^\]]+)\]|([^:]+))(?::\w+)?$")


class Origin:
    """Finds the client's address.

    Args:
        proxies: Networks whose word is taken.
    """

    def __init__(self, proxies: Sequence[Network]) -> None:
        self._proxies = tuple(proxies)

    def of(self, scope: Mapping[str, Any]) -> str:
        """The address of a request's client; empty where the peer has none."""
        peer = scope["client"]
        if not peer:
            return ""
        address = str(peer[0])
        if not self._proxies:
            return address
        return self._behind(address, dict(scope["headers"]))

    def _behind(self, peer: str, headers: Mapping[bytes, bytes]) -> str:
        nearest = _parsed(peer)
        if nearest is None or not self._is_trusted(nearest):
            return peer
        for text in reversed(list(_chain(headers))[-_MOST:]):
            address = _parsed(text)
            if address is None:
                break  # a name or garbage: what is behind it cannot be told
            nearest = address
            if not self._is_trusted(address):
                break
        return str(nearest)

    def _is_trusted(self, address: Address) -> bool:
        return any(address in network for network in self._proxies)


def _chain(headers: Mapping[bytes, bytes]) -> Iterator[str]:
    """The addresses that proxies have noted, the client's first."""
    forwarded = headers.get(b"forwarded")
    if forwarded is not None:
        for element in forwarded.decode("latin-1").split(","):
            found = _FOR.search(element)
            yield (found[1] or found[2] or "") if found else ""
        return
    yield from headers.get(b"x-forwarded-for", b"").decode("latin-1").split(",")


def _parsed(text: str) -> Address | None:
    text = text.strip()
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        found = _PORT.match(text)
        if found is None:
            return None
        try:
            address = ipaddress.ip_address((found[1] or found[2]).partition("%")[0])
        except ValueError:
            return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address
