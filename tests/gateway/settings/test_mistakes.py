"""The texts that people read when their configuration is wrong, whole and exact."""

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from gateway.settings import SettingsError, load

Mistakes = Callable[..., str]

ACCOUNT = {"CLOUDFLARE_ACCOUNT_ID": "0123abc", "CLOUDFLARE_API_TOKEN": "token-of-the-account"}


@pytest.fixture
def mistakes_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mistakes:
    monkeypatch.chdir(tmp_path)

    def mistakes(text: str | bytes, **environ: str) -> str:
        raw = text if isinstance(text, bytes) else dedent(text).lstrip("\n").encode()
        Path("penstock.yaml").write_bytes(raw)
        with pytest.raises(SettingsError) as raised:
            load(None, {**ACCOUNT, **environ})
        return str(raised.value)

    return mistakes


def shown(text: str) -> str:
    return dedent(text).strip("\n")


def test_all_mistakes_show_at_once_in_the_order_of_the_file(mistakes_of: Mistakes) -> None:
    text = """
        server: {port: 80a}
        backends:
          cloudflare:
            kind: workers-ai
            account_id: a/b
            catalogue: opn
        modls: {}
        """
    assert mistakes_of(text) == shown("""
        penstock.yaml:1:16: server.port: should be a whole number
          | server: {port: 80a}
          |                ^
        penstock.yaml:3:3: backends.cloudflare.api_token: is required
          |   cloudflare:
          |   ^
        penstock.yaml:4:11: backends.cloudflare.kind: should be 'workers_ai' or 'openai' (did you mean 'workers_ai'?)
          |     kind: workers-ai
          |           ^
        penstock.yaml:5:17: backends.cloudflare.account_id: has a character that does not belong there: use letters, digits, '_' and '-'
          |     account_id: a/b
          |                 ^
        penstock.yaml:6:16: backends.cloudflare.catalogue: should be 'open' or 'listed' (did you mean 'open'?)
          |     catalogue: opn
          |                ^
        penstock.yaml:7:1: modls: is not a setting (did you mean 'models'?)
          | modls: {}
          | ^
        """)  # noqa: E501 - a mistake is one line


def test_a_target_of_an_unknown_backend_shows_beside_other_mistakes(mistakes_of: Mistakes) -> None:
    text = """
        models:
          small: {targets: [{backend: cloudfare, model: "@cf/a/b"}], defaults: {max_tokens: 0}}
          big: {targets: []}
          none:
        """
    assert mistakes_of(text) == shown("""
        penstock.yaml:2:31: models.small.targets.0.backend: there is no backend of this name (did you mean 'cloudflare'?)
          |   small: {targets: [{backend: cloudfare, model: "@cf/a/b"}], defaults: {max_tokens: 0}}
          |                               ^
        penstock.yaml:2:85: models.small.defaults.max_tokens: should be greater than or equal to 1
          |   small: {targets: [{backend: cloudfare, model: "@cf/a/b"}], defaults: {max_tokens: 0}}
          |                                                                                     ^
        penstock.yaml:3:18: models.big.targets: should hold at least one entry
          |   big: {targets: []}
          |                  ^
        penstock.yaml:4:8: models.none: should be a mapping of settings
          |   none:
          |        ^
        """)  # noqa: E501 - a mistake is one line


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("server: 5", "1:9: server: should be a mapping of settings"),
        ("server: {host: ''}", "1:16: server.host: should not be empty"),
        ("server: {host: [a]}", "1:16: server.host: should be text"),
        ("server: {port: 65536}", "1:16: server.port: should be less than or equal to 65535"),
        ("server: {body_limit: 1.5}", "1:22: server.body_limit: should be a whole number"),
        ("deadlines: {gap: 0}", "1:18: deadlines.gap: should be greater than 0"),
        ("deadlines: {gap: soon}", "1:18: deadlines.gap: should be a number"),
        ("deadlines: {gap: .inf}", "1:18: deadlines.gap: should be a number"),
        ("deadlines: {gap: inf}", "1:18: deadlines.gap: should be a finite number"),
        ("errors: {quote_backends: perhaps}", "1:26: errors.quote_backends: should be true or false"),
        ("data_dir: {}", "1:11: data_dir: should be a path"),
        ("backends: {a: {kind: [openai]}}", "1:22: backends.a.kind: should be 'workers_ai' or 'openai'"),
        ("backends: {a: {kind: {}, server: vllm}}", "backends.a.kind: should be 'workers_ai' or 'openai'"),
        ("models: []", "1:9: models: should be a mapping of names"),
        ("models: {'': {targets: [{backend: cloudflare, model: m}]}}", "should not be empty"),
        ("models: {a: {targets: {}}}", "1:23: models.a.targets: should be a list"),
        ("models: {a: {targets: [{backend: cloudflare}]}}", "models.a.targets.0.model: is required"),
        ("models: {a: {targets: [{backend: cloudflare, model: ''}]}}", "model: should not be empty"),
        (
            "models: {a: {targets: [{backend: cloudflare, model: cf/a/b}]}}",
            "1:53: models.a.targets.0.model: is no model id of Workers AI: it should be like '@cf/",
        ),
        (
            "models: {a: {targets: [{backend: cloudflare, model: '@cf/../b'}]}, b: {targets: []}}",
            "1:53: models.a.targets.0.model: is no model id of Workers AI",
        ),
        (
            "models: {a: {targets: [{backend: cloudflare, model: m}], translation: strickt}}",
            "(did you mean 'strict'?)",
        ),
        ("a: !vault b", "1:4: a: has a YAML tag: these are not read, and text with '!' needs quotes"),
        ("? [a]\n: 1", "1:3: ?: is a key that is no text; a value with '{' or '[' needs quotes"),
        ("- a", "1:1: should be a mapping of sections"),
    ],
)
def test_a_wrong_value_is_named_with_what_it_should_be(
    mistakes_of: Mistakes, text: str, message: str
) -> None:
    assert message in mistakes_of(text)


@pytest.mark.parametrize(
    ("base_url", "message"),
    [
        ("ftp://host", "should be an address such as 'https://host/path'"),
        ("https://", "should be an address such as 'https://host/path'"),
        ("https://host:port", "should be an address such as 'https://host/path'"),
        ("https://[::1", "should be an address such as 'https://host/path'"),
        ("https://a..b/v4", "should be an address such as 'https://host/path'"),
        ("https://127.0.0..1", "should be an address such as 'https://host/path'"),
        ("https://ho st", "should be an address such as 'https://host/path'"),
        ("https://user:pass@host", "should hold no user name, query or fragment"),
        ("https://host?key=1", "should hold no user name, query or fragment"),
        ("https://host/#top", "should hold no user name, query or fragment"),
    ],
)
def test_a_base_url_is_a_plain_http_address(mistakes_of: Mistakes, base_url: str, message: str) -> None:
    text = f"backends: {{a: {{kind: workers_ai, account_id: a, api_token: t, base_url: '{base_url}'}}}}"
    assert message in mistakes_of(text)


def test_a_fallback_that_no_request_could_take_is_a_mistake(mistakes_of: Mistakes) -> None:
    text = """
        models:
          small:
            targets: [{backend: cloudflare, model: "@cf/a/b"}]
            fallbacks: [lareg, "@cf/a/c", small]
          large: {targets: [{backend: cloudflare, model: "@cf/a/b"}]}
        """
    assert mistakes_of(text) == shown("""
        penstock.yaml:4:17: models.small.fallbacks.0: there is no model of this name (did you mean 'large'?)
          |     fallbacks: [lareg, "@cf/a/c", small]
          |                 ^
        """)
    listed = "backends: {cloudflare: {kind: workers_ai, account_id: a, api_token: t, catalogue: listed}}\n"
    assert "models.small.fallbacks.1: there is no model of this name" in mistakes_of(listed + dedent(text))


def test_a_key_that_is_set_twice_is_a_mistake_at_its_second_place(mistakes_of: Mistakes) -> None:
    assert mistakes_of("server: {port: 1}\nserver: {port: 2}\n") == shown("""
        penstock.yaml:2:1: server: is set twice, first on line 1: keep one of them
          | server: {port: 2}
          | ^
        """)


def test_a_mistake_of_what_is_merged_shows_where_it_stands(mistakes_of: Mistakes) -> None:
    text = """
        backends:
          a: &all {kind: workers_ai, account_id: a, api_token: t, catalogue: opn}
          b: {<<: *all, account_id: b, catalogue: open}
          c: {<<: *all, account_id: c}
        """
    assert mistakes_of(text) == shown("""
        penstock.yaml:2:70: backends.a.catalogue: should be 'open' or 'listed' (did you mean 'open'?)
          |   a: &all {kind: workers_ai, account_id: a, api_token: ********, catalogue: opn}
          |                                                                             ^
        penstock.yaml:2:70: backends.c.catalogue: should be 'open' or 'listed' (did you mean 'open'?)
          |   a: &all {kind: workers_ai, account_id: a, api_token: ********, catalogue: opn}
          |                                                                             ^
        """)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("server: {<<: 5}", "1:14: server.<<: should name a mapping: `<<: *name`"),
        ("server: {<<: [5]}", "1:15: server.<<: should name a mapping: `<<: *name`"),
        ("server: {<<: {prot: 1}}", "1:15: server.prot: is not a setting (did you mean 'port'?)"),
        ("server: {'<<': {port: 1}}", "1:10: server.<<: is not a setting"),
        ("server: &a {<<: *a}", "unfolds into too many values: use fewer aliases"),
        ("server: {<<: {port: 1, port: 2}}", "1:24: server.port: is set twice, first on line 1"),
    ],
)
def test_what_cannot_be_merged_is_a_mistake(mistakes_of: Mistakes, text: str, message: str) -> None:
    assert message in mistakes_of(text)


def test_what_is_merged_again_and_again_is_refused(mistakes_of: Mistakes) -> None:
    bomb = "a0: &a0 {x: 1}\n" + "".join(
        f"a{level}: &a{level} {{<<: [{', '.join([f'*a{level - 1}'] * 10)}]}}\n" for level in range(1, 9)
    )
    assert "unfolds into too many values: use fewer aliases" in mistakes_of(bomb)


def test_an_unset_variable_is_a_mistake_at_its_column(mistakes_of: Mistakes) -> None:
    assert mistakes_of('server: {host: "a-${HOST_NAME}"}') == shown("""
        penstock.yaml:1:19: server.host: the environment variable HOST_NAME is not set: set it, or write ${HOST_NAME:-default}
          | server: {host: "a-${HOST_NAME}"}
          |                   ^
        """)  # noqa: E501 - a mistake is one line


@pytest.mark.parametrize(
    "written", ["${1}", "${PORT:8080}", "${PORT-80}", "${PORT:?unset}", "${PORT", "${PORT:-${B", "${ PORT }"]
)
def test_what_is_no_form_of_a_variable_is_a_mistake(mistakes_of: Mistakes, written: str) -> None:
    message = (
        "1:12: data_dir: has a '${' that is neither ${NAME} nor ${NAME:-default}: write '$${' for the text"
    )
    assert message in mistakes_of(f"data_dir: '{written}'", PORT="1")


def test_a_variable_in_a_default_is_a_mistake_where_it_is_needed_and_not_set(mistakes_of: Mistakes) -> None:
    assert mistakes_of("data_dir: '${A:-/x/${B}}'") == shown("""
        penstock.yaml:1:20: data_dir: the environment variable B is not set: set it, or write ${B:-default}
          | data_dir: '${A:-/x/${B}}'
          |                    ^
        """)


def test_defaults_nested_without_end_are_a_mistake(mistakes_of: Mistakes) -> None:
    nested = "${A:-" * 2000 + "x" + "}" * 2000
    assert "data_dir: has a '${' that is neither" in mistakes_of(f"data_dir: '{nested}'")


def test_a_mistake_of_a_variables_value_shows_the_line_that_names_it(mistakes_of: Mistakes) -> None:
    assert mistakes_of('server: {port: "${PORT}"}', PORT="eighty") == shown("""
        penstock.yaml:1:16: server.port: should be a whole number
          | server: {port: "${PORT}"}
          |                ^
        """)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "server:\n\tport: 1\n",
            """
            penstock.yaml:2:1: is not valid YAML: found character '\\t' that cannot start any token; indent with spaces, not tabs
              |  port: 1
              | ^
            """,  # noqa: E501 - a mistake is one line
        ),
        (
            "server: {port: ${PORT}}\n",
            """
            penstock.yaml:1:17: is not valid YAML: expected ',' or '}', but got '{'; inside {...} a value with ${...} needs quotes
              | server: {port: ${PORT}}
              |                 ^
            """,  # noqa: E501 - a mistake is one line
        ),
        (
            "server:\n  host: 'a\n  port: 1\n",
            """
            penstock.yaml:2:9: is not valid YAML: found unexpected end of stream
              |   host: 'a
              |         ^
            """,
        ),
        (
            "server: [port: 1\n",
            """
            penstock.yaml:1:9: is not valid YAML: expected ',' or ']', but got '<stream end>'
              | server: [port: 1
              |         ^
            """,
        ),
        (
            "server: {}\nkeys\n\nstore: {}\n",
            """
            penstock.yaml:2:1: is not valid YAML: could not find expected ':'
              | ********
              | ^
            """,
        ),
        (
            "server:\n  port: 1\n host: x\n",
            """
            penstock.yaml:3:2: is not valid YAML: expected <block end>, but found '<block mapping start>'; indent what belongs together alike
              |  host: x
              |  ^
            """,  # noqa: E501 - a mistake is one line
        ),
        (
            "---\nserver: {}\n---\nserver: {}\n",
            """
            penstock.yaml:3:1: is not valid YAML: found another document
              | ---
              | ^
            """,
        ),
        (
            "server: {host: \x07}\n",
            """
            penstock.yaml:1:16: is not valid YAML: a control character
              | server: {host:  }
              |                ^
            """,
        ),
    ],
)
def test_broken_yaml_is_shown_in_the_same_form(mistakes_of: Mistakes, text: str, expected: str) -> None:
    assert mistakes_of(text) == shown(expected)


def test_text_that_is_not_utf_8_is_refused_at_its_place(mistakes_of: Mistakes) -> None:
    assert mistakes_of(b"server: {}\nkeys: \xff") == "penstock.yaml:2:7: is not UTF-8 text"
    marked = "\ufeff# \N{GREEK SMALL LETTER MU} ".encode() + b"\xb5"
    assert mistakes_of(marked) == "penstock.yaml:1:5: is not UTF-8 text"
    assert mistakes_of("server: {}".encode("utf-16")) == "penstock.yaml:1:1: is not UTF-8 text"


def test_a_file_of_over_a_mebibyte_is_refused(mistakes_of: Mistakes) -> None:
    assert (
        mistakes_of(b" " * (1024 * 1024 + 1)) == "penstock.yaml: is over 1 MiB: this is no configuration file"
    )


def test_aliases_that_unfold_without_end_are_refused(mistakes_of: Mistakes) -> None:
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]\n" for level in range(1, 9)
    )
    assert "unfolds into too many values: use fewer aliases" in mistakes_of(bomb)
    assert "unfolds into too many values: use fewer aliases" in mistakes_of("a: &a [*a]")


def test_deep_nesting_is_refused_before_the_stack_ends(mistakes_of: Mistakes) -> None:
    assert "1:33: is not valid YAML: values nested more than 32 deep" in mistakes_of("[" * 20_000)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "missing.yaml"
    with pytest.raises(SettingsError, match=f"{missing}: cannot be read: No such file or directory"):
        load(missing, ACCOUNT)


def test_a_long_line_is_cut_around_its_mistake(mistakes_of: Mistakes) -> None:
    target = f"{{backend: cloudflare, model: '@cf/a/{'m' * 100}'}}"
    text = f"models: {{a: {{targets: [{target}, {target}], translation: strickt}}}}"
    first, line, caret = mistakes_of(text).splitlines()
    assert first.startswith(f"penstock.yaml:1:{text.index('strickt') + 1}:")
    assert len(line) < 110
    assert line[caret.index("^") :].startswith("strickt")


def test_without_any_backend_the_message_says_what_to_set() -> None:
    with pytest.raises(SettingsError) as raised:
        load(None, {})
    assert str(raised.value) == (
        "environment: backends: no backend is set: "
        "add one under `backends`, or set CLOUDFLARE_ACCOUNT_ID and CLOUDFLARE_API_TOKEN"
    )


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"CLOUDFLARE_ACCOUNT_ID": "a"}, "CLOUDFLARE_API_TOKEN: backends.cloudflare.api_token: is required"),
        ({"CLOUDFLARE_API_TOKEN": "a"}, "CLOUDFLARE_ACCOUNT_ID: backends.cloudflare.account_id: is required"),
        (
            {**ACCOUNT, "CLOUDFLARE_BASE_URL": "nowhere"},
            "CLOUDFLARE_BASE_URL: backends.cloudflare.base_url: should be an address such as 'https://host/path'",
        ),
        (
            {**ACCOUNT, "PENSTOCK__SERVER__PROT": "1"},
            "PENSTOCK__SERVER__PROT: server.prot: is not a setting (did you mean 'port'?)",
        ),
        ({**ACCOUNT, "PENSTOCK__SEVER__PORT": "1"}, "PENSTOCK__SEVER__PORT: sever: is not a setting"),
        (
            {"PENSTOCK__BACKENDS__OWN__KIND": "openai"},
            "PENSTOCK__BACKENDS__OWN__KIND: backends.own.base_url: is required",
        ),
        (
            {**ACCOUNT, "PENSTOCK__SERVER__PORT": "a"},
            "PENSTOCK__SERVER__PORT: server.port: should be a whole number",
        ),
        (
            {**ACCOUNT, "PENSTOCK_MASTER_KEY": "short"},
            (
                "PENSTOCK_MASTER_KEY: keys.master: is too short: use at least 16 characters, "
                "for example from `openssl rand -hex 24`"
            ),
        ),
    ],
)
def test_a_mistake_of_the_environment_names_its_variable(environ: dict[str, str], message: str) -> None:
    with pytest.raises(SettingsError) as raised:
        load(None, environ)
    assert str(raised.value).startswith(f"environment: {message}")


def test_what_the_environment_adds_is_no_mistake_of_the_file(mistakes_of: Mistakes) -> None:
    text = "backends:\n  a: {kind: workers_ai, account_id: a}\n"
    assert mistakes_of(text, PENSTOCK__BACKENDS__B__KIND="openai") == shown("""
        environment: PENSTOCK__BACKENDS__B__KIND: backends.b.base_url: is required
        penstock.yaml:2:3: backends.a.api_token: is required
          |   a: {kind: workers_ai, account_id: a}
          |   ^
        """)


def test_the_forms_of_a_credential_show_their_mistakes_at_their_place(mistakes_of: Mistakes) -> None:
    text = """
        backends:
          a: {kind: workers_ai, account_id: a, api_token: {file: /token, env: A_TOKEN}}
          b: {kind: workers_ai, account_id: b, api_token: {fil: /token}}
          c: {kind: workers_ai, account_id: c, api_token: {exec: [], refresh: 0}}
          d: {kind: workers_ai, account_id: d, api_token: []}
          e: {kind: workers_ai, account_id: e, api_token: {env: NOT_SET}}
          f:
            kind: workers_ai
            account_id: f
            api_token:
              - secret words
              - {file: /token, refresh: 5}
              - {env: NOT_SET}
              - {exec: show secret}
              - [one]
        """
    assert mistakes_of(text, A_TOKEN="x") == shown("""
        penstock.yaml:2:51: backends.a.api_token: should have one of 'env', 'file' and 'exec'
          |   a: {kind: workers_ai, account_id: a, api_token: {file: /token, env: A_TOKEN}}
          |                                                   ^
        penstock.yaml:3:52: backends.b.api_token.fil: is not a setting (did you mean 'file'?)
          |   b: {kind: workers_ai, account_id: b, api_token: {fil: ********}}
          |                                                    ^
        penstock.yaml:4:58: backends.c.api_token.exec: should hold at least one entry
          |   c: {kind: workers_ai, account_id: c, api_token: {exec: [], refresh: 0}}
          |                                                          ^
        penstock.yaml:4:71: backends.c.api_token.refresh: should be greater than or equal to 1
          |   c: {kind: workers_ai, account_id: c, api_token: {exec: [], refresh: 0}}
          |                                                                       ^
        penstock.yaml:5:51: backends.d.api_token: should hold at least one entry
          |   d: {kind: workers_ai, account_id: d, api_token: []}
          |                                                   ^
        penstock.yaml:6:57: backends.e.api_token.env: the environment variable NOT_SET is not set
          |   e: {kind: workers_ai, account_id: e, api_token: {env: NOT_SET}}
          |                                                         ^
        penstock.yaml:11:9: backends.f.api_token.0: should be one word of visible ASCII characters
          |       - ********
          |         ^
        penstock.yaml:12:9: backends.f.api_token.1: has a 'refresh', which goes with 'exec' alone
          |       - {file: /token, refresh: 5}
          |         ^
        penstock.yaml:13:15: backends.f.api_token.2.env: the environment variable NOT_SET is not set
          |       - {env: NOT_SET}
          |               ^
        penstock.yaml:14:16: backends.f.api_token.3.exec: should be a list
          |       - {exec: ********}
          |                ^
        penstock.yaml:15:9: backends.f.api_token.4: should be one of several credentials, and no list
          |       - [********]
          |         ^
        """)


def test_wrong_entries_are_not_told_as_missing_ones(mistakes_of: Mistakes) -> None:
    text = """
        models: {a: {targets: [{backend: cloudflare, modle: m}]}}
        """
    assert mistakes_of(text) == shown("""
        penstock.yaml:1:24: models.a.targets.0.model: is required
          | models: {a: {targets: [{backend: cloudflare, modle: ********}]}}
          |                        ^
        penstock.yaml:1:46: models.a.targets.0.modle: is not a setting (did you mean 'model'?)
          | models: {a: {targets: [{backend: cloudflare, modle: ********}]}}
          |                                              ^
        """)


def test_a_name_that_may_not_be_shows_at_its_place(mistakes_of: Mistakes) -> None:
    text = """
        backends:
          a:
            {kind: workers_ai, account_id: a, api_token: t,
             headers: {Host: x, "x y": z}}
          "": {kind: workers_ai, account_id: a, api_token: t}
        """
    assert mistakes_of(text) == shown("""
        penstock.yaml:4:16: backends.a.headers.Host: is a header that the gateway writes itself
          |      headers: {Host: ********, "x y": ********}}
          |                ^
        penstock.yaml:4:25: backends.a.headers.x y: should be the name of an HTTP header
          |      headers: {Host: ********, "x y": ********}}
          |                                ^
        penstock.yaml:5:3: backends.: should not be empty
          |   "": {kind: workers_ai, account_id: a, api_token: ********}
          |   ^
        """)


def test_networks_and_origins_show_their_mistakes_at_their_place(mistakes_of: Mistakes) -> None:
    text = """
        server:
          trusted_proxies: [10.0.0.0/8, 10.0.0.0/33, nginx, "::1"]
          cors: ["https://a.example", https://b.example/chat, c.example, "null", "*"]
        """
    assert mistakes_of(text) == shown("""
        penstock.yaml:2:33: server.trusted_proxies.1: should be a network, such as '10.0.0.0/8'
          |   trusted_proxies: [10.0.0.0/8, 10.0.0.0/33, nginx, "::1"]
          |                                 ^
        penstock.yaml:2:46: server.trusted_proxies.2: should be a network, such as '10.0.0.0/8'
          |   trusted_proxies: [10.0.0.0/8, 10.0.0.0/33, nginx, "::1"]
          |                                              ^
        penstock.yaml:3:31: server.cors.1: should be an origin without a path, such as 'https://host'
          |   cors: ["https://a.example", https://b.example/chat, c.example, "null", "*"]
          |                               ^
        penstock.yaml:3:55: server.cors.2: should be an address such as 'https://host/path'
          |   cors: ["https://a.example", https://b.example/chat, c.example, "null", "*"]
          |                                                       ^
        penstock.yaml:3:66: server.cors.3: should be an address such as 'https://host/path'
          |   cors: ["https://a.example", https://b.example/chat, c.example, "null", "*"]
          |                                                                  ^
        """)
