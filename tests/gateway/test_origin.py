"""The client's address is the peer's, or what trusted proxies say, and never what a stranger says."""

from ipaddress import ip_network

import hypothesis.strategies as st
import pytest
from hypothesis import given

from gateway.origin import Origin

PROXIES = [ip_network("10.0.0.0/8"), ip_network("fd00::/8")]


def _address(peer: str | None, *headers: tuple[str, str], proxies: bool = True) -> str:
    scope = {
        "client": None if peer is None else (peer, 1234),
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers],
    }
    return Origin(PROXIES if proxies else []).of(scope)


def _forwarded_for(value: str) -> tuple[str, str]:
    return "x-forwarded-for", value


def test_a_peer_without_an_address_has_none() -> None:
    assert _address(None, _forwarded_for("1.2.3.4")) == ""


def test_nobody_is_believed_where_no_proxy_is_named() -> None:
    assert _address("10.0.0.1", _forwarded_for("1.2.3.4"), proxies=False) == "10.0.0.1"


def test_a_stranger_is_not_believed() -> None:
    assert _address("5.6.7.8", _forwarded_for("1.2.3.4")) == "5.6.7.8"
    assert _address("5.6.7.8", ("forwarded", "for=1.2.3.4")) == "5.6.7.8"


@pytest.mark.parametrize(
    ("value", "client"),
    [
        ("1.2.3.4", "1.2.3.4"),
        ("9.9.9.9, 1.2.3.4", "1.2.3.4"),  # 9.9.9.9 is what the client itself has written
        ("9.9.9.9, 1.2.3.4, 10.1.1.1", "1.2.3.4"),
        ("1.2.3.4:5678", "1.2.3.4"),
        ("::ffff:1.2.3.4", "1.2.3.4"),
        ("2001:db8::1", "2001:db8::1"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("1.2.3.4, unknown", "10.0.0.1"),
        ("1.2.3.4, unknown, 10.1.1.1", "10.1.1.1"),
        ("", "10.0.0.1"),
        ("garbage", "10.0.0.1"),
        ("10.2.2.2", "10.2.2.2"),
    ],
)
def test_a_trusted_proxy_says_who_calls(value: str, client: str) -> None:
    assert _address("10.0.0.1", _forwarded_for(value)) == client


@pytest.mark.parametrize(
    ("value", "client"),
    [
        ("for=1.2.3.4", "1.2.3.4"),
        ('For="[2001:db8::1]:4711";proto=https', "2001:db8::1"),
        ("for=9.9.9.9, proto=https;for=1.2.3.4;by=10.0.0.1", "1.2.3.4"),
        ("for=_hidden", "10.0.0.1"),
        ("for=1.2.3.4, by=10.0.0.2", "10.0.0.1"),
        ("for=", "10.0.0.1"),
    ],
)
def test_the_standard_s_header_is_read_where_the_usual_one_is_missing(value: str, client: str) -> None:
    assert _address("10.0.0.1", ("forwarded", value)) == client


def test_a_client_s_own_forwarded_is_not_believed_beside_the_usual_header() -> None:
    assert _address("10.0.0.1", ("forwarded", "for=6.6.6.6"), _forwarded_for("1.2.3.4")) == "1.2.3.4"


def test_a_chain_may_stand_in_several_headers() -> None:
    assert _address("10.0.0.1", _forwarded_for("9.9.9.9, 1.2.3.4"), _forwarded_for("10.1.1.1")) == "1.2.3.4"


def test_an_address_of_the_system_s_is_written_plainly() -> None:
    assert _address("::ffff:1.2.3.4", proxies=False) == "1.2.3.4"
    assert _address("fe80::1%eth0", proxies=False) == "fe80::1"


def test_proxies_of_either_family_are_known() -> None:
    assert _address("::ffff:10.0.0.1", _forwarded_for("1.2.3.4")) == "1.2.3.4"
    assert _address("fd00::1", _forwarded_for("1.2.3.4")) == "1.2.3.4"


@given(st.text(max_size=300), st.sampled_from(["x-forwarded-for", "forwarded"]))
def test_no_header_breaks_it(value: str, name: str) -> None:
    value = value.encode("latin-1", "replace").decode("latin-1")
    assert _address("10.0.0.1", (name, value))
    assert _address("7.7.7.7", (name, value)) == "7.7.7.7"
