"""Whence a request comes: the address of the peer, or what proxies that are trusted say of theirs.

Only a peer among `server.trusted_proxies` is believed, and only as far as the chain of such proxies goes: the
client is the last address that is none of them. Anyone can write a header, and whoever is further away from
us than the first stranger may have.

X-Forwarded-For is what nearly all proxies write, and they pass on a client's own Forwarded (RFC 7239) as it
is: so that one is read only where the other is missing. A proxy that writes Forwarded has to take a client's
X-Forwarded-For away.
"""

import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Headers = Iterable[tuple[bytes, bytes]]

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
        """The address of a request's client; empty where the peer has none, as at a Unix socket."""
        peer = scope.get("client")
        if not peer:
            return ""
        address = str(peer[0])
        if ":" in address:
            address = _plain(address)
        return self._behind(address, scope["headers"]) if self._proxies else address

    def _behind(self, peer: str, headers: Headers) -> str:
        nearest = _parsed(peer)
        if nearest is None or not self._is_trusted(nearest):
            return peer
        for text in reversed(_chain(headers)[-_MOST:]):
            address = _parsed(text)
            if address is None:
                break  # a name or garbage: what is behind it cannot be told
            nearest = address
            if not self._is_trusted(address):
                break
        return str(nearest)

    def _is_trusted(self, address: Address) -> bool:
        return any(address in network for network in self._proxies)


def _chain(headers: Headers) -> list[str]:
    """The addresses that proxies have noted, the client's first."""
    noted = _elements(headers, b"x-forwarded-for")
    if noted:
        return noted
    found = (_FOR.search(element) for element in _elements(headers, b"forwarded"))
    return [(each[1] or each[2] or "") if each else "" for each in found]


def _elements(headers: Headers, wanted: bytes) -> list[str]:
    """The elements of a list, which may stand in several headers (RFC 9110, 5.3)."""
    lists = [value.decode("latin-1") for name, value in headers if name == wanted]
    return [element for each in lists for element in each.split(",")]


def _plain(address: str) -> str:
    """An IPv6 address of the system's without its zone, or the IPv4 address that it stands for."""
    return address.partition("%")[0].removeprefix("::ffff:" if "." in address else "")


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
