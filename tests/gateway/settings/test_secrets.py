"""No text about a configuration holds a secret, however the configuration is wrong."""

import traceback
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.settings import SettingsError, load

SECRET = "hunter2hunter2"  # shorter than a master key may be


def text_about(text: str, folder: Path, **environ: str) -> str:
    """Everything that is told of a configuration: its mistakes with what lies behind them, or itself."""
    file = folder / "penstock.yaml"
    file.write_text(text)
    try:
        return repr(load(file, environ))
    except SettingsError as error:
        return "".join([str(error), *traceback.format_exception(error)])


@pytest.mark.parametrize(
    "text",
    [
        "keys: {master: SECRET}",
        "keys: {master: 'SECRET'}",
        "keys:\n  master: |\n    SECRET\n",
        "keys: {mastr: SECRET}",
        "keys: {master: [SECRET]}",
        "keys: {master: {a: SECRET}}",
        "keys: {master: {SECRET}}",
        "keys: {master: {{SECRET}}}",
        "keys: {{SECRET}: a, [SECRET]: b}",
        "keys: {mastr: {SECRET}}",
        "backends: {a: {kind: workers_ai, account_id: a, api_token: {SECRET}}}",
        "backends: {a: {kind: workers_ai, account_id: a, api_token: {{SECRET}}}}",
        "backends: {a: {kind: workers_ai, account_id: a, api_token: [{SECRET}, {exec: {SECRET}}]}}",
        "backends: {a: {kind: workers_ai, account_id: a, api_token: {exec: [{SECRET}]}}}",
        "keys: SECRET",
        "keys: [SECRET]",
        "master: SECRET",
        "keys: {master: !secret SECRET}",
        "keys: {master: *SECRET}",
        "keys: {master: &SECRET",
        "keys:\n  master: SECRET: more\n",
        "keys:\n  master: {SECRET: more\n",
        "keys:\n  master: 'SECRET\n",
        "keys:\n  master: 'one\n  SECRET\n",
        "keys: {master: '${NOTHING:-SECRET}'}",
        "keys: {master: '${MASTER}'}",
        "keys: {master: short} # was SECRET",
        "keys:\n  master: {}#SECRET",
        "keys: {master: short, master: SECRET}",
        "PENSTOCK_MASTER_KEY=SECRET",
        "backends: {a: {kind: workers_ai, account_id: a, api_token: 'SECRET and more'}}",
        "backends: {a: {kind: wrong, account_id: a, api_tokn: SECRET}}",
        "backends: {a: {kind: wrong, account_id: a, api_token: SECRET, base_url: 'https://u:SECRET@h'}}",
        "backends: {a: {kind: wrong, account_id: a, api_token: SECRET, base_url: 'ftp://h?SECRET'}}",
        "backends: {a: {kind: wrong, base_url: https://u:SECRET@h, }, }, }",
        "server: {host: {api_token: SECRET}}",
        "\tapi_token: SECRET",
        "api_token:\tSECRET\n\tb: c",
    ],
)
def test_no_mistake_shows_a_secret(tmp_path: Path, text: str) -> None:
    assert SECRET not in text_about(text.replace("SECRET", SECRET), tmp_path, MASTER=SECRET)


@given(
    # Neither makes a key of the secret: the names of keys are shown.
    prefix=st.text("{}[]:,'\"#&*!|>-%@ \n\ta", max_size=8),
    suffix=st.text("{}[],'\"#&*!|>-?%@ \n\ta", max_size=8),
    key=st.sampled_from(["master", "api_token", "tokn"]),
)
def test_no_mangled_line_shows_a_secret(
    tmp_path_factory: pytest.TempPathFactory, prefix: str, suffix: str, key: str
) -> None:
    text = f"keys:\n  {key}: {prefix}{SECRET}{suffix}\n  port: 1\n"
    about = text_about(text, tmp_path_factory.getbasetemp(), PENSTOCK_MASTER_KEY="x")
    assert SECRET not in about


def test_a_secret_is_masked_and_the_caret_still_stands_under_the_mistake(tmp_path: Path) -> None:
    text = "backends: {a: {kind: workers_ai, account_id: a, api_token: hunter2hunter2, catalogue: opn}}"
    _, line, caret = text_about(text, tmp_path).partition("Traceback")[0].splitlines()
    assert "api_token: ********, catalogue: opn" in line
    assert line[caret.index("^") :].startswith("opn")


def test_settings_do_not_show_their_secrets(tmp_path: Path) -> None:
    text = f"""
keys: {{master: {SECRET}{SECRET}}}
backends: {{a: {{kind: workers_ai, account_id: a, api_token: {SECRET}}}}}
"""
    about = text_about(text, tmp_path)
    assert "account_id='a'" in about
    assert SECRET not in about
