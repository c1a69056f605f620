"""What a configuration becomes: the file, the environment, variables and defaults."""

from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.settings import Sampling, Settings, Target, load, load_environment, locate

ENVIRON = {"CLOUDFLARE_ACCOUNT_ID": "0123abc", "CLOUDFLARE_API_TOKEN": "token", "HOME": "/home/someone"}
SHAPE = """
server: {host: 127.0.0.2, port: 8081}
keys: {master: "${PENSTOCK_MASTER_KEY}"}
backends:
  cloudflare: {kind: workers_ai, account_id: "${CLOUDFLARE_ACCOUNT_ID}", api_token: "${CLOUDFLARE_API_TOKEN}",
               base_url: "https://api.example.com/v4/", catalogue: listed}
models:
  small:
    {targets: [{backend: cloudflare, model: "@cf/a/b"}], defaults: {max_tokens: 1024}, translation: strict}
"""


@pytest.fixture
def loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Settings]:
    monkeypatch.chdir(tmp_path)

    def load_text(text: str, **environ: str) -> Settings:
        Path("penstock.yaml").write_text(text)
        return load(None, {**ENVIRON, **environ})

    return load_text


def test_the_whole_shape_is_read(loaded: Callable[..., Settings]) -> None:
    settings = loaded(SHAPE, PENSTOCK_MASTER_KEY="sixteen-letters!")
    backend = settings.backends["cloudflare"]
    route = settings.models["small"]
    assert (settings.server.host, settings.server.port) == ("127.0.0.2", 8081)
    assert settings.keys.master is not None
    assert settings.keys.master.get_secret_value() == "sixteen-letters!"
    assert (backend.account_id, backend.api_token.get_secret_value()) == ("0123abc", "token")
    assert (backend.base_url, backend.catalogue) == ("https://api.example.com/v4", "listed")
    assert route.targets == (Target(backend="cloudflare", model="@cf/a/b"),)
    assert (route.defaults, route.translation) == (Sampling(max_tokens=1024), "strict")


def test_credentials_in_the_environment_are_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = load(None, ENVIRON)
    assert settings.backends["cloudflare"].base_url == "https://api.cloudflare.com/client/v4"
    assert settings.backends["cloudflare"].catalogue == "open"
    assert (settings.server.host, settings.server.port) == ("127.0.0.1", 8080)
    assert settings.server.body_limit == 20 * 1024 * 1024
    assert settings.keys.master is None
    assert settings.data_dir == Path("/home/someone/.local/share/penstock")
    assert settings.deadlines.model_dump() == {
        "connect": 5,
        "first_byte": 60,
        "whole_answer": None,
        "gap": 30,
        "total": 600,
        "write_stall": 20,
        "header": 5,
        "body_idle": 10,
        "keep_alive": 75,
        "hold_headers": 15,
    }
    assert settings.errors.quote_backends


def test_the_older_name_of_the_token_is_read() -> None:
    settings = load_environment({"CLOUDFLARE_ACCOUNT_ID": "a", "CLOUDFLARE_AUTH_TOKEN": "older"})
    assert settings.backends["cloudflare"].api_token.get_secret_value() == "older"


def test_a_base_url_in_the_environment_goes_with_its_credentials() -> None:
    settings = load_environment({**ENVIRON, "CLOUDFLARE_BASE_URL": "http://127.0.0.1:9/client/v4"})
    assert settings.backends["cloudflare"].base_url == "http://127.0.0.1:9/client/v4"


def test_a_file_without_backends_takes_the_credentials_of_the_environment(
    loaded: Callable[..., Settings],
) -> None:
    assert loaded("server: {port: 1}").backends["cloudflare"].account_id == "0123abc"


def test_a_file_with_backends_leaves_the_environments_credentials_alone(
    loaded: Callable[..., Settings],
) -> None:
    settings = loaded("backends: {mine: {kind: workers_ai, account_id: other, api_token: t}}")
    assert list(settings.backends) == ["mine"]


def test_an_empty_file_or_section_leaves_the_defaults(loaded: Callable[..., Settings]) -> None:
    assert loaded("").server.port == 8080
    assert loaded("server:\n  # port: 1\nkeys:\n  master:\n").server.port == 8080


@pytest.mark.parametrize(
    ("environ", "folder"),
    [
        ({"PENSTOCK_DATA_DIR": "/data", "XDG_DATA_HOME": "/xdg"}, "/data"),
        ({"XDG_DATA_HOME": "/xdg"}, "/xdg/penstock"),
        ({}, "/home/someone/.local/share/penstock"),
    ],
)
def test_the_data_folder_follows_the_environment(environ: dict[str, str], folder: str) -> None:
    assert load_environment({**ENVIRON, **environ}).data_dir == Path(folder)


def test_the_files_data_folder_goes_first(loaded: Callable[..., Settings]) -> None:
    assert loaded("data_dir: here", PENSTOCK_DATA_DIR="/there").data_dir == Path("here")


def test_a_variable_becomes_the_type_that_its_setting_has(loaded: Callable[..., Settings]) -> None:
    text = 'server: {port: "${PORT}"}\ndeadlines:\n  gap: ${GAP:-2.5}\nerrors: {quote_backends: "${QUOTE}"}'
    settings = loaded(text, PORT="9000", QUOTE="false")
    assert settings.server.port == 9000
    assert settings.deadlines.gap == 2.5
    assert not settings.errors.quote_backends


def test_digits_stay_text_where_text_is_wanted(loaded: Callable[..., Settings]) -> None:
    text = "backends: {a: {kind: workers_ai, account_id: 0123e4, api_token: 0x1F}}"
    assert loaded(text).backends["a"].account_id == "0123e4"
    assert loaded(text).backends["a"].api_token.get_secret_value() == "0x1F"


@pytest.mark.parametrize(
    ("written", "environ", "value"),
    [
        ("${A}", {"A": "x"}, "x"),
        ("a${A}b${A}", {"A": "x"}, "axbx"),
        ("${A:-y}", {}, "y"),
        ("${A:-y}", {"A": ""}, "y"),
        ("${A:-}z", {}, "z"),
        ("$${A}", {"A": "x"}, "${A}"),
        ("$A", {"A": "x"}, "$A"),
        ("${A}", {"A": "${B}"}, "${B}"),
        ("${A:-${B}}", {"B": "x"}, "x"),
        ("${A:-${B}}", {"A": "x"}, "x"),
        ("${A:-${B:-${C:-y}}}z", {}, "yz"),
        ("${A:-a${B:-b}c}", {}, "abc"),
        ("${A:-$${B}}", {}, "${B}"),
        ("${A:-{}", {}, "{"),
        ("${A:-b:-c}", {}, "b:-c"),
        ("${A}", {"A": ""}, "127.0.0.1"),
    ],
)
def test_variables_are_filled_in(
    loaded: Callable[..., Settings], written: str, environ: dict[str, str], value: str
) -> None:
    assert loaded(f'server: {{host: "{written}"}}', **environ).server.host == value


def test_a_variable_without_text_leaves_the_master_key_unset(loaded: Callable[..., Settings]) -> None:
    assert loaded('keys: {master: "${MASTER:-}"}').keys.master is None


def test_an_override_goes_over_the_file(loaded: Callable[..., Settings]) -> None:
    settings = loaded("server: {port: 1}", PENSTOCK__SERVER__PORT="2", PENSTOCK__DEADLINES__GAP="3")
    assert settings.server.port == 2
    assert settings.deadlines.gap == 3


def test_anchors_and_aliases_are_read(loaded: Callable[..., Settings]) -> None:
    text = """
models:
  a: &route {targets: [{backend: cloudflare, model: "@cf/a/b"}]}
  b: *route
"""
    settings = loaded(text)
    assert settings.models["a"] == settings.models["b"]


def test_mappings_are_merged(loaded: Callable[..., Settings]) -> None:
    text = """
backends:
  a: &all {kind: workers_ai, account_id: a, api_token: t, max_in_flight: 7, headers: {x-one: "1"}}
  b: {account_id: b, <<: *all}
  c:
    <<: [{account_id: c, max_in_flight: 8}, *all]
    headers: {}
"""
    backends = loaded(text).backends
    assert {name: each.account_id for name, each in backends.items()} == {"a": "a", "b": "b", "c": "c"}
    assert [each.max_in_flight for each in backends.values()] == [7, 7, 8]
    assert [list(each.headers) for each in backends.values()] == [["x-one"], ["x-one"], []]


def test_a_fallback_may_be_what_servers_will_list(loaded: Callable[..., Settings]) -> None:
    text = """
backends: {own: {kind: openai, base_url: "http://gpu-1:8000"}}
models: {small: {targets: [{backend: own, model: m}], fallbacks: [unknown-yet]}}
"""
    assert loaded(text).models["small"].fallbacks == ("unknown-yet",)


def test_paths_may_begin_in_the_users_folder(
    loaded: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    text = (
        "backends: {a: {kind: workers_ai, account_id: a, api_token: {file: ~/token}}}\ndata_dir: ~/penstock"
    )
    settings = loaded(text)
    assert settings.data_dir == Path("/home/someone/penstock")
    assert settings.backends["a"].api_token.file == Path("/home/someone/token")


def test_a_user_without_a_folder_has_the_systems(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", unknown)
    environ = {name: value for name, value in ENVIRON.items() if name != "HOME"}
    assert load_environment(environ).data_dir == Path("/var/lib/penstock")


def test_a_byte_order_mark_and_windows_line_ends_are_read(tmp_path: Path) -> None:
    file = tmp_path / "windows.yaml"
    file.write_bytes(b"\xef\xbb\xbfserver:\r\n  port: 1\r\n")
    assert load(file, ENVIRON).server.port == 1


def test_the_default_file_is_read_only_if_there_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert locate(None) is None
    Path("penstock.yaml").touch()
    assert locate(None) == Path("penstock.yaml")
    assert locate(Path("other.yaml")) == Path("other.yaml")


def test_settings_cannot_be_changed() -> None:
    settings = load_environment(ENVIRON)
    with pytest.raises(ValueError, match="frozen"):
        settings.server.port = 1
