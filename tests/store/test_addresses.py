"""An address says where the store is, in each of its forms; a wrong one is told of without its secrets."""

from typing import Any

import pytest
from redis.asyncio import Connection, SSLConnection, UnixDomainSocketConnection

from gateway.store import AddressError, Store
from gateway.store.addresses import Place, read


@pytest.mark.parametrize(
    ("url", "kind", "places"),
    [
        ("redis://localhost", "alone", (("localhost", 6379),)),
        ("redis://user:p%40ss@h:7000/3", "alone", (("h", 7000),)),
        ("rediss://[::1]:7000", "alone", (("::1", 7000),)),
        ("redis://:p@/2", "alone", (("localhost", 6379),)),
        ("unix:///run/valkey.sock?db=2", "alone", ()),
        ("redis+cluster://a:1,b", "cluster", (("a", 1), ("b", 6379))),
        ("rediss+cluster://u:p@a:1", "cluster", (("a", 1),)),
        ("redis+sentinel://a:1,b/main", "sentinel", (("a", 1), ("b", 26379))),
        ("redis+sentinel://:p@a/main/5", "sentinel", (("a", 26379),)),
    ],
)
def test_each_form_is_read(url: str, kind: str, places: tuple[Place, ...]) -> None:
    address = read(url)
    assert (address.kind, address.places) == (kind, places)


def _made(url: str) -> Any:
    address = read(url)
    return address.connection(address.places[0] if address.places else None)


def test_user_password_and_database_are_those_of_the_address() -> None:
    for url in ("redis://user:p%40ss@h:1/3", "redis+sentinel://user:p%40ss@h:1/main/3"):
        made = _made(url)
        assert (made.username, made.password, made.db) == ("user", "p@ss", 3)


def test_a_sentinel_is_asked_as_its_own_user_alone() -> None:
    url = "redis+sentinel://user:secret@h:1/main/3?sentinel_username=other&sentinel_password=word"
    made = read(url).sentinel_connection(("h", 1))
    assert (made.username, made.password, made.db) == ("other", "word", 0)
    assert read(url.partition("?")[0]).sentinel_connection(("h", 1)).password is None


def test_the_scheme_chooses_the_connection() -> None:
    assert type(_made("redis://h")) is Connection
    assert type(_made("unix:///s")) is UnixDomainSocketConnection
    for url in ("rediss://h", "rediss+cluster://h", "rediss+sentinel://h/main"):
        assert type(_made(url)) is SSLConnection


def test_tls_is_verified_unless_the_address_says_otherwise() -> None:
    assert _made("rediss://h").ssl_context.check_hostname
    assert not _made("rediss://h?ssl_check_hostname=false").ssl_context.check_hostname


def test_what_bounds_a_call_is_ours_alone() -> None:
    made = _made("redis://h?socket_timeout=9&max_connections=3&timeout=1&decode_responses=true&protocol=3")
    assert made.socket_timeout is None
    assert made.retry.get_retries() == 0
    assert made.protocol == 2
    assert not made.encoder.decode_responses


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("redis+sentinel://u:secret@h:1", "names no service"),
        ("redis+other://u:secret@h", "begins with"),
        ("http://u:secret@h", "begins with"),
        ("redis://u:secret@h?nonsense=1", "mean nothing"),
        ("redis://u:secret@h:port", "cannot be read"),
        ("redis+cluster://u:secret@h:1,h:port", "port"),
        ("redis://u:sec/ret@h", "%2F"),
        ("rediss://u:secret@h?ssl_cert_reqs=perhaps", "mean nothing"),
    ],
)
def test_a_wrong_address_is_told_of_without_its_secrets(url: str, words: str) -> None:
    with pytest.raises(AddressError, match=words) as caught:
        Store(url, 0.1)
    assert "sec" not in str(caught.value)


def test_an_address_keeps_its_secrets_when_it_is_shown() -> None:
    assert "secret" not in repr(read("redis+sentinel://u:secret@h:1/main?sentinel_password=secret"))
