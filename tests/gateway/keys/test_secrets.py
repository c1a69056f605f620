"""Issued keys are told from garbage by their form alone, and nothing that is stored tells them."""

import hashlib
import re
import string
from functools import cache

import hypothesis.strategies as st
import pytest
from hypothesis import given

from gateway.keys.records import Role
from gateway.keys.secrets import (
    digest,
    foreign_digest,
    is_well_formed,
    new_secret,
    redacted,
    stored_digest,
)

BASE62 = string.ascii_letters + string.digits


ROLES: tuple[Role, ...] = ("inference", "read_only", "admin")


@cache
def _secret(role: Role) -> str:
    """The same at every call: what a test draws must hang on nothing else than its draws."""
    return new_secret(role)


@pytest.mark.parametrize("role", ROLES)
def test_a_new_key_has_the_form_that_it_should_have(role: Role) -> None:
    secret = new_secret(role)
    prefix = "sk-ps-admin-" if role == "admin" else "sk-ps-"
    assert re.fullmatch(rf"{prefix}[0-9A-Za-z]{{46}}", secret)
    assert is_well_formed(secret.encode())
    assert new_secret(role) != new_secret(role)


@given(st.data())
def test_a_key_with_one_wrong_character_is_refused(data: st.DataObject) -> None:
    secret = _secret(data.draw(st.sampled_from(ROLES)))
    place = data.draw(st.integers(0, len(secret) - 1))
    other = data.draw(st.sampled_from(BASE62 + "-_ ").filter(lambda each: each != secret[place]))
    assert not is_well_formed((secret[:place] + other + secret[place + 1 :]).encode())


@given(st.sampled_from(ROLES), st.data())
def test_a_key_of_another_length_is_refused(role: Role, data: st.DataObject) -> None:
    secret = _secret(role)
    cut = data.draw(st.integers(0, len(secret) - 1))
    more = data.draw(st.text(BASE62, min_size=1, max_size=60))
    assert not is_well_formed(secret[:cut].encode())
    assert not is_well_formed((secret + more).encode())
    assert not is_well_formed((more + secret).encode())


@given(st.data())
def test_a_key_of_another_prefix_is_refused(data: st.DataObject) -> None:
    secret = new_secret("inference").removeprefix("sk-ps-")
    prefix = data.draw(st.sampled_from(["", "sk-", "sk-ps-admin-", "sk-ps", "SK-PS-", "sk-ps--", " sk-ps-"]))
    assert not is_well_formed((prefix + secret).encode())
    admin = new_secret("admin").removeprefix("sk-ps-admin-")
    assert not is_well_formed(f"sk-ps-{admin}".encode())


@given(st.sampled_from(ROLES), st.binary(max_size=8), st.binary(max_size=8))
def test_white_space_and_other_bytes_around_a_key_are_refused(
    role: Role, before: bytes, after: bytes
) -> None:
    secret = new_secret(role).encode()
    assert is_well_formed(before + secret + after) == (not before and not after)


@given(
    st.binary(max_size=200) | st.text(BASE62, min_size=46, max_size=46).map(lambda s: f"sk-ps-{s}".encode())
)
def test_garbage_is_refused(secret: bytes) -> None:
    assert not is_well_formed(secret)  # one in 2^32 texts of this form would pass


def test_a_key_is_stored_under_a_secret_of_ours() -> None:
    secret = new_secret("inference")
    assert digest(b"one", secret) != digest(b"two", secret)
    assert digest(b"one", secret) == stored_digest(b"one", secret.encode())
    assert secret not in digest(b"one", secret)


def test_a_key_made_elsewhere_is_found_by_the_sha256_that_is_stored_there() -> None:
    sha256 = "88dc28d0f030c55ed4ab77ed8faf098196cb1c05df778539800c9f1243fe6b4b"
    stored = foreign_digest(b"one", sha256)
    assert stored == foreign_digest(b"one", sha256.upper()) == stored_digest(b"one", b"sk-1234")
    assert stored != foreign_digest(b"two", sha256)
    assert sha256 not in stored


@given(st.binary(max_size=100))
def test_no_two_secrets_are_stored_alike(given_one: bytes) -> None:
    # Neither may what is stored elsewhere of one be shown in its place.
    sha256 = hashlib.sha256(given_one).hexdigest()
    seen = {stored_digest(b"p", each) for each in (given_one, sha256.encode())}
    assert len(seen) == 2


@pytest.mark.parametrize(
    ("secret", "shown"),
    [
        ("sk-ps-DaZ7" + "x" * 38 + "2OIG", "sk-ps-DaZ7...2OIG"),
        ("sk-ps-admin-DaZ7" + "x" * 38 + "2OIG", "sk-ps-admin-DaZ7...2OIG"),
        ("sk-abcdefghijklmnop", "sk-abcd...mnop"),
    ],
)
def test_what_is_shown_of_a_key_is_little(secret: str, shown: str) -> None:
    assert redacted(secret) == shown
