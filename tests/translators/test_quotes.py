"""What of a backend's words a client may see."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from translators.quotes import quotable

SECRETS = [
    "vllm-7.svc.cluster.local:8000",
    "vllm-7.svc.cluster.local",
    "vllm:8000",
    "localhost",
    "engine.internal",
    "api.example.ai",
    "models.internal",
    "gpu-7",
    "data.models.x",
    "cfut_abcdefSECRET0123456789",
    "cfat_abcdef",
    "cfk_abcdef",
    "hf_abcdef",
    "sk-live-12345",
    "sk-abcdef",
    "AKIAIOSFODNN7EXAMPLE",
    "wJalrXUtnFEMIbPxRfiCYEXAMPLEKEYwJalrXU",
    "51afe8c9-9139-446e-9284-928af8ee842d",
    "0123456789abcdef0123456789abcdef",
    "01234567890123456789",
    "10.0.0.1",
    "10.0.0.1:8000",
    "::1",
    "fe80::",
    "2001:db8::8a2e:370:7334",
    "/opt/vllm/x.py",
    "/var",
    "~/models",
    "./weights",
    r"C:\models\x",
    r"\\share\x",
    "https://dash.cloudflare.com/?to=/:account",
    "redis://cache",
    "operator@example.com",
    "Bearer",
    "key=abc",
    "messages.internal",
    "messages[0].internal",
    "tools.0.svc",
    "@cf/meta/llama",
    "п.example",
]
SENTENCES = [
    "Type mismatch of 'messages[0].content', 'string' not in 'number','integer'",
    "oneOf at 'body' not met, 0 matches: required properties at 'body' are 'prompt', 'seed' must be <= 5",
    "max_completion_tokens is too large: 262144. This model supports at most 256000 completion tokens",
    "Invalid data for image - reason invalid base64 encoding",
    "const y doesn't match [object Object], 1e+21, -1.5 or null",
    "The field messages.0.content must be a non-empty JSON string (ValueError)",
    "JSON Schema mode is not supported with stream mode",
]
WRAPS = ["{}", "'{}'", '"{}"', "({})", "[{}]", "{}.", "{}:", "{},"]
PLAIN = st.sampled_from(" ".join(SENTENCES).split())


@pytest.mark.parametrize("sentence", SENTENCES)
def test_a_sentence_of_plain_words_is_quoted(sentence: str) -> None:
    assert quotable(f"{sentence}.") == sentence


def test_a_quote_is_one_line() -> None:
    assert quotable("It is\n too\tlong") == "It is too long"


@pytest.mark.parametrize("wrap", WRAPS)
@pytest.mark.parametrize("secret", SECRETS)
def test_a_sentence_with_a_host_a_path_a_key_or_an_id_is_not_quoted(secret: str, wrap: str) -> None:
    assert quotable(f"Error in {wrap.format(secret)} of 'prompt'") == ""


@given(
    before=st.lists(PLAIN, max_size=60),
    secret=st.sampled_from(SECRETS),
    wrap=st.sampled_from(WRAPS),
    after=st.lists(PLAIN, max_size=60),
)
def test_a_secret_is_found_wherever_it_stands(
    before: list[str], secret: str, wrap: str, after: list[str]
) -> None:
    assert quotable(" ".join([*before, wrap.format(secret), *after])) == ""


LETTERS = string.ascii_letters + string.digits
LABELS = st.lists(st.text(string.ascii_lowercase, min_size=2, max_size=9), min_size=1, max_size=4)
SUFFIXES = st.sampled_from(["ai", "cloud", "com", "dev", "internal", "io", "local", "net", "svc"])
HOSTS = st.tuples(LABELS, SUFFIXES).map(lambda host: ".".join([*host[0], host[1]]))
ADDRESSES = st.ip_addresses().map(str)
KEYS = st.text(LETTERS, min_size=20, max_size=60).map("{}0".format)
HEX = st.uuids().flatmap(lambda uuid: st.sampled_from([str(uuid), uuid.hex, uuid.hex[:16]]))
PATHS = (
    st.lists(st.text(string.ascii_lowercase + "_", min_size=1), min_size=2).map("/".join).map("/{}".format)
)


@given(secret=HOSTS | ADDRESSES | KEYS | HEX | PATHS, wrap=st.sampled_from(WRAPS))
def test_whatever_has_the_form_of_a_secret_is_not_quoted(secret: str, wrap: str) -> None:
    assert quotable(f"The value of {wrap.format(secret)} is refused") == ""


@given(st.text(max_size=400))
def test_a_quote_is_nothing_or_short_and_harmless_text(text: str) -> None:
    quote = quotable(text)
    assert len(quote) <= 300
    assert not set(quote) & set("/\\@\n")


def test_a_long_sentence_is_cut_between_words_and_says_so() -> None:
    quote = quotable("required properties, " * 40)
    assert 270 < len(quote) <= 300
    assert quote.endswith(("required properties, and more", "required, and more"))


def test_what_is_behind_the_cut_is_read_too() -> None:
    assert quotable("long " * 100 + "sk-live-12345") == ""


def test_a_text_too_long_to_be_a_sentence_is_not_quoted() -> None:
    assert quotable("long " * 4001) == ""
