"""What an address of the store means: where to connect, as whom, and what is there.

`redis://`, `rediss://` and `unix://` name one server as redis-py reads them, with its options as a query.
`redis+sentinel://[user:password@]host:port,host:port/service[/database]` names Sentinels, which know the
master; their own user and password, if they want any, are `sentinel_username` and `sentinel_password` in the
query. `redis+cluster://host:port,host:port` names some nodes of a cluster. `rediss+...` are these with TLS.
"""

from dataclasses import dataclass, field
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from redis.asyncio.connection import Connection, parse_url
from redis.exceptions import RedisError

Kind = Literal["alone", "sentinel", "cluster"]
Place = tuple[str, int]

_SCHEMES: Final[dict[str, tuple[str, Kind]]] = {
    "redis": ("redis", "alone"),
    "rediss": ("rediss", "alone"),
    "unix": ("unix", "alone"),
    "redis+sentinel": ("redis", "sentinel"),
    "rediss+sentinel": ("rediss", "sentinel"),
    "redis+cluster": ("redis", "cluster"),
    "rediss+cluster": ("rediss", "cluster"),
}
_PORTS: Final = {"alone": 6379, "sentinel": 26379, "cluster": 6379}
_CONNECT: Final = 1.0  # seconds for a connection that nobody else bounds
# Where to connect is told for each connection; the rest is of redis-py's pools and of no meaning here.
_ELSEWHERE: Final = frozenset({"host", "port", "max_connections", "timeout"})
# A call has one deadline, and is not tried twice; RESP2 and no introduction save a round trip a connection.
_OURS: Final = {
    "socket_timeout": None,
    "socket_connect_timeout": _CONNECT,
    "retry_on_timeout": False,
    "health_check_interval": 0,
    "decode_responses": False,
    "protocol": 2,
    "driver_info": None,
}


class AddressError(ValueError):
    """What is given as the store's address is none; the text says why, without what is secret in it."""


@dataclass(frozen=True)
class Address:
    """Where the store is.

    Attributes:
        kind: What is there.
        places: Hosts and ports; empty for a Unix socket.
        service: The name by which Sentinels know the master.
    """

    kind: Kind
    places: tuple[Place, ...]
    service: str
    _connect: Any = field(repr=False)  # the connection's class; redis-py types all options of all kinds
    _options: dict[str, Any] = field(repr=False)
    _of_sentinel: dict[str, Any] = field(repr=False)

    def connection(self, place: Place | None) -> Any:
        """A connection to one of the servers, not made yet."""
        return self._connect(**self._options, **_at(place))

    def sentinel_connection(self, place: Place) -> Any:
        """A connection to a Sentinel, not made yet."""
        return self._connect(**{**self._options, "db": 0, **self._of_sentinel}, **_at(place))


def read(url: str) -> Address:
    """Read an address.

    Raises:
        AddressError: It is none; the text says why, without what is secret in it.
    """
    scheme, _, rest = url.partition("://")
    if scheme not in _SCHEMES:
        raise AddressError(f"redis_url begins with one of {', '.join(_SCHEMES)}, and then ://")
    base, kind = _SCHEMES[scheme]
    authority, path, query = _parts(rest)
    user, at, hosts = authority.rpartition("@")
    service, _, database = path.partition("/") if kind == "sentinel" else ("", "", path)
    if kind == "sentinel" and not service:
        raise AddressError("redis_url names no service: redis+sentinel://host:port,host:port/SERVICE")
    options = _options(url if kind == "alone" else f"{base}://{user}{at}host/{database}?{query}")
    of_sentinel = {name: options.pop(f"sentinel_{name}", None) for name in ("username", "password")}
    address = Address(
        kind=kind,
        places=() if base == "unix" else tuple(_place(each, _PORTS[kind]) for each in hosts.split(",")),
        service=service,
        _connect=options.pop("connection_class", Connection),
        _options={**options, **_OURS},
        _of_sentinel=of_sentinel,
    )
    try:
        address.connection(address.places[0] if address.places else None)
    except (TypeError, ValueError, RedisError):
        raise AddressError("redis_url has options after its '?' that mean nothing") from None
    return address


def _at(place: Place | None) -> dict[str, Any]:
    return {"host": place[0], "port": place[1], "socket_keepalive": True} if place else {}


def _parts(rest: str) -> tuple[str, str, str]:
    before, _, query = rest.partition("?")
    authority, _, path = before.partition("/")
    return authority, path, query


def _options(url: str) -> dict[str, Any]:
    try:
        found = dict(parse_url(url))
    except ValueError:  # whose text may quote a part of a password
        raise AddressError(
            "redis_url cannot be read: write / ? # @ : of a password as %2F %3F %23 %40 %3A"
        ) from None
    return {name: value for name, value in found.items() if name not in _ELSEWHERE}


def _place(text: str, port: int) -> Place:
    try:
        parts = urlsplit(f"//{text}")
        found = parts.port or port
    except ValueError:
        raise AddressError("redis_url has a port that is none") from None
    return parts.hostname or "localhost", found
