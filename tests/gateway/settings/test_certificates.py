"""Certificates are looked at when the settings are read: what is wrong with one is told in its place."""

import shutil
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.settings import SettingsError, load
from tests.faults.test_upstream_connections import VALID, made_certificate

Mistakes = Callable[[str], str]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a certificate, its key, and both in one; another's key, the key encrypted, and no certificate."""
    folder = tmp_path_factory.mktemp("certificates")
    made_certificate(folder, VALID)
    other = tmp_path_factory.mktemp("other")
    made_certificate(other, VALID)
    shutil.copy(other / "key.pem", folder / "other.pem")
    encrypt = ["openssl", "pkey", "-in", "key.pem", "-aes256", "-passout", "pass:word", "-out", "locked.pem"]
    subprocess.run(encrypt, check=True, cwd=folder, timeout=30, capture_output=True)
    (folder / "empty.pem").touch()
    return folder


@pytest.fixture
def mistakes_of(folder: Path, tmp_path: Path) -> Mistakes:
    def mistakes(tls: str) -> str:
        file = tmp_path / "penstock.yaml"
        where = tls.replace("HERE", str(folder))
        file.write_text(
            f"backends:\n  own: {{kind: openai, base_url: 'https://h'}}\n  b:\n    kind: openai\n"
            f"    base_url: https://h\n    tls: {where}\n"
        )
        try:
            load(file, {"HOME": str(tmp_path)})
        except SettingsError as error:
            return str(error).replace(f"{file}:", "").replace(str(folder), "HERE").splitlines()[0]
        return ""

    return mistakes


@pytest.mark.parametrize(
    "tls",
    [
        "{ca: HERE/made.pem}",
        "{cert: HERE/localhost.pem}",
        "{cert: HERE/localhost.pem, key: }",
        "{ca: HERE/localhost.pem, cert: HERE/made.pem, key: HERE/key.pem}",
    ],
)
def test_files_that_can_be_used_are_no_mistake(mistakes_of: Mistakes, tls: str) -> None:
    assert mistakes_of(tls) == ""


UNUSABLE = (
    "6:10: backends.b.tls: has a 'cert' that cannot be used: it and its 'key' are to be in PEM form, go "
    "together, and the key is not to be encrypted"
)


@pytest.mark.parametrize(
    ("tls", "mistake"),
    [
        ("{ca: HERE/nothing}", "6:15: backends.b.tls.ca: cannot be read: No such file or directory"),
        ("{ca: HERE}", "6:15: backends.b.tls.ca: cannot be read: Is a directory"),
        ("{ca: HERE/empty.pem}", "6:15: backends.b.tls.ca: holds no certificates in PEM form"),
        ("{ca: HERE/key.pem}", "6:15: backends.b.tls.ca: holds no certificates in PEM form"),
        ("{cert: HERE/nothing}", "6:17: backends.b.tls.cert: cannot be read: No such file or directory"),
        ("{key: HERE/key.pem}", "6:10: backends.b.tls: has a 'key', which goes with a 'cert'"),
        ("{cert: HERE/empty.pem}", UNUSABLE),
        ("{cert: HERE/made.pem}", UNUSABLE),
        ("{cert: HERE/made.pem, key: HERE/other.pem}", UNUSABLE),
        ("{cert: HERE/made.pem, key: HERE/locked.pem}", UNUSABLE),
    ],
)
def test_files_that_cannot_be_used_are_a_mistake(mistakes_of: Mistakes, tls: str, mistake: str) -> None:
    assert mistakes_of(tls) == mistake


def test_the_systems_certificates_count_where_none_are_set(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "penstock.yaml"
    file.write_text(
        "backends:\n  a: {kind: openai, base_url: 'https://h'}\n"
        f"  b: {{kind: openai, base_url: 'https://h', tls: {{ca: {folder / 'made.pem'}}}}}\n"
    )
    backends = load(file, {"HOME": str(tmp_path)}).backends
    contexts = {name: backend.tls.context() for name, backend in backends.items()}
    assert all(context.verify_mode == ssl.CERT_REQUIRED for context in contexts.values())
    assert contexts["b"].cert_store_stats()["x509"] == 1
