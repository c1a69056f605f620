"""What an address of the store means, as a client of redis-py: one server, Sentinel's master, or a cluster.

Nothing is tried twice here and nothing waits without bound: whoever asks has a deadline and knows what to do
without an answer. A plain address may turn out to belong to a cluster, which the server says itself.
"""

from contextlib import suppress
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from redis.asyncio import BlockingConnectionPool, Redis, RedisCluster, Sentinel
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

Link = Any  # Redis | RedisCluster: their commands are typed for decoded and raw replies at once

_CONNECTIONS: Final = 16
_POOL_WAIT: Final = 0.05  # seconds for a free connection
_CONNECT: Final = 1.0
_SENTINEL_PORT: Final = 26379
_PORT: Final = 6379


def link(url: str) -> Link:
    """The client for an address; nothing is connected yet.

    Raises:
        ValueError: It is no address.
    """
    scheme = url.partition("://")[0]
    if scheme.endswith("+sentinel"):
        return _of_sentinel(url, tls=scheme.startswith("rediss"))
    if scheme.endswith("+cluster"):
        return _of_cluster(url, tls=scheme.startswith("rediss"))
    pool = BlockingConnectionPool.from_url(
        url, max_connections=_CONNECTIONS, timeout=_POOL_WAIT, **_never_again()
    )
    return Redis(connection_pool=pool)


def as_cluster(url: str) -> Link:
    """The client for a plain address whose server belongs to a cluster."""
    return _of_cluster(url, tls=url.startswith("rediss"))


def listener(url: str) -> Link:
    """A client of its own for announcements, which go through any one node of a cluster."""
    scheme = url.partition("://")[0]
    if scheme.endswith("+cluster"):
        user, hosts, _path = _parts(url)
        host, port = hosts[0]
        return Redis(host=host, port=port or _PORT, ssl=scheme.startswith("rediss"), **user, **_never_again())
    return link(url)


async def close(client: Link) -> None:
    """Close all connections of a client; what fails there changes nothing."""
    with suppress(RedisError, OSError):
        if isinstance(client, RedisCluster):
            await client.aclose()
        else:
            await client.aclose(close_connection_pool=True)


def _of_cluster(url: str, *, tls: bool) -> Link:
    user, hosts, _path = _parts(url)
    nodes = [ClusterNode(host, port or _PORT) for host, port in hosts]
    return RedisCluster(
        startup_nodes=nodes,
        ssl=tls,
        socket_connect_timeout=_CONNECT,
        max_connections=_CONNECTIONS,
        retry=Retry(NoBackoff(), 0),
        **user,
    )


def _of_sentinel(url: str, *, tls: bool) -> Link:
    user, hosts, path = _parts(url)
    service, _, database = path.partition("/")
    make: Any = Sentinel  # the library has no types here
    sentinel = make(
        [(host, port or _SENTINEL_PORT) for host, port in hosts],
        sentinel_kwargs={"socket_connect_timeout": _CONNECT, "socket_timeout": _CONNECT},
    )
    return sentinel.master_for(
        service, ssl=tls, db=int(database or 0), max_connections=_CONNECTIONS, **user, **_never_again()
    )


def _never_again() -> dict[str, Any]:
    return {
        "socket_connect_timeout": _CONNECT,
        "socket_timeout": None,
        "retry": Retry(NoBackoff(), 0),
        "retry_on_error": [],
        "health_check_interval": 0,
    }


def _parts(url: str) -> tuple[dict[str, Any], list[tuple[str, int | None]], str]:
    """User and password, hosts with ports, and the path of an address that may name several hosts."""
    rest = url.partition("://")[2]
    authority, _, path = rest.partition("/")
    credentials, _, hosts = authority.rpartition("@")
    name, _, password = credentials.partition(":")
    user: dict[str, Any] = {"username": unquote(name)} if name else {}
    if password:
        user["password"] = unquote(password)
    return user, [_host(host) for host in hosts.split(",") if host], path.partition("?")[0]


def _host(text: str) -> tuple[str, int | None]:
    parts = urlsplit(f"//{text}")
    if parts.hostname is None:
        raise ValueError("An address of the store names no host.")
    return parts.hostname, parts.port
