"""Issued keys are told from garbage by their form alone, and nothing that is stored tells them."""

import string

import hypothesis.strategies as st
import pytest
from hypothesis import given

from gateway.keys.secrets import digest, foreign_digest, is_well_formed, new_secret, redacted

BASE62 = string.ascii_letters + string.digits


@pytest.mark.parametrize(("admin", "length"), [(False, 52), (True, 58)])
def test_a_new_key_has_the_form_that_it_should_have(*, admin: bool, length: int) -> None:
    secret = new_secret(admin=admin)
    assert len(secret) == length
    assert secret.startswith("sk-ps-admin-" if admin else "sk-ps-")
    assert is_well_formed(secret.encode())
    assert new_secret() != new_secret()


@given(st.data())
def test_a_key_with_one_wrong_character_is_refused(data: st.DataObject) -> None:
    secret = new_secret(admin=data.draw(st.booleans()))
    place = data.draw(st.integers(0, len(secret) - 1))
    other = data.draw(st.sampled_from(BASE62 + "-_ ").filter(lambda each: each != secret[place]))
    assert not is_well_formed((secret[:place] + other + secret[place + 1 :]).encode())


@given(
    st.binary(max_size=200) | st.text(BASE62, min_size=46, max_size=46).map(lambda s: f"sk-ps-{s}".encode())
)
def test_garbage_is_refused(secret: bytes) -> None:
    assert not is_well_formed(secret)  # one in 2^32 texts of this form would pass


def test_a_key_is_stored_under_a_secret_of_ours() -> None:
    secret = new_secret().encode()
    assert digest(b"one", secret) != digest(b"two", secret)
    assert secret.decode() not in digest(b"one", secret) + foreign_digest(secret)
    assert foreign_digest(b"sk-1234") == (
        "sha256:88dc28d0f030c55ed4ab77ed8faf098196cb1c05df778539800c9f1243fe6b4b"
    )


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
