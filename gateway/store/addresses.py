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

Kind = Literal["alone", "sentinel", "cluster"]
Place = tuple[str, int]

_PORTS: Final = {"alone": 6379, "sentinel": 26379, "cluster": 6379}
_CONNECT: Final = 1.0  # seconds for a connection that nobody else bounds
_OF_POOLS: Final = frozenset({"max_connections", "timeout"})  # redis-py's, of no meaning here
# A call has one deadline, and is not tried twice; RESP2 and no introduction save a round trip a connection.
_OURS: Final = {
    "socket_timeout": None,
    "socket_connect_timeout": _CONNECT,
    "retry_on_timeout": False,
    "health_check_interval": 0,
    "protocol": 2,
    "driver_info": None,
}


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
        ValueError: It is none; the text says why, without what is secret in it.
    """
    scheme, _, rest = url.partition("://")
    base, _, suffix = scheme.partition("+")
    if suffix not in {"", "sentinel", "cluster"}:
        raise ValueError(
            "redis_url begins with redis://, rediss://, unix://, redis+sentinel:// or redis+cluster://"
        )
    kind: Kind = "sentinel" if suffix == "sentinel" else "cluster" if suffix == "cluster" else "alone"
    authority, query, path = _parts(rest)
    user, at, hosts = authority.rpartition("@")
    service, _, database = path.partition("/") if kind == "sentinel" else ("", "", path)
    if kind == "sentinel" and not service:
        raise ValueError("redis_url names no service: redis+sentinel://host:port,host:port/SERVICE")
    options = _options(url if kind == "alone" else f"{base}://{user}{at}host/{database}?{query}")
    kept: dict[str, Any] = {
        name.removeprefix("sentinel_"): options.pop(name)
        for name in ("sentinel_username", "sentinel_password")
        if name in options
    }
    connect = options.pop("connection_class", Connection)
    options.pop("host", None)
    options.pop("port", None)
    address = Address(
        kind=kind,
        places=() if base == "unix" else tuple(_place(each, _PORTS[kind]) for each in hosts.split(",")),
        service=service,
        _connect=connect,
        _options={**options, **_OURS},
        _of_sentinel={"username": None, "password": None, **kept},
    )
    try:
        address.connection(address.places[0] if address.places else None)
    except TypeError:
        raise ValueError("redis_url has options after its '?' that mean nothing") from None
    return address


def _at(place: Place | None) -> dict[str, Any]:
    return {"host": place[0], "port": place[1], "socket_keepalive": True} if place else {}


def _parts(rest: str) -> tuple[str, str, str]:
    before, _, query = rest.partition("?")
    authority, _, path = before.partition("/")
    return authority, query, path


def _options(url: str) -> dict[str, Any]:
    return {name: value for name, value in dict(parse_url(url)).items() if name not in _OF_POOLS}


def _place(text: str, port: int) -> Place:
    try:
        parts = urlsplit(f"//{text}")
        found = parts.port or port
    except ValueError:
        raise ValueError("redis_url has a port that is none") from None
    return parts.hostname or "localhost", found
