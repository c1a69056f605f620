"""The JSON Schema that editors use agrees with what the gateway reads."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml

from gateway.settings import SettingsError, json_schema, load

ENVIRON = {"CLOUDFLARE_ACCOUNT_ID": "a", "CLOUDFLARE_API_TOKEN": "t", "ONE": "1"}

GOOD = """
server: {host: 127.0.0.1, port: "${PORT}"}
keys: {master: "${PENSTOCK_MASTER_KEY}"}
data_dir: /var/lib/penstock
backends:
  cloudflare: {kind: workers_ai, account_id: "${ID}", api_token: "${TOKEN}", catalogue: "${CATALOGUE:-open}"}
  several:
    kind: workers_ai
    account_id: a
    api_token: ["${TOKEN}", {env: TOKEN}, {file: /run/secrets/cf}, {exec: [show, token], refresh: 60}]
  one: {kind: workers_ai, account_id: a, api_token: {file: "${FILE}"}}
models:
  small:
    {targets: [{backend: cloudflare, model: "@cf/a/b"}], defaults: {max_tokens: 1024}, translation: lenient}
deadlines: {gap: 2.5}
errors: {quote_backends: false}
"""


def fields(schema: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(schema, dict):
        for name, field in schema.get("properties", {}).items():
            yield f"{path}.{name}", field
        for name, part in schema.items():
            yield from fields(part, f"{path}/{name}")


def said_there(schema: Any, field: dict[str, Any]) -> str | None:
    """What is said of a section where its fields are."""
    named = (form["$ref"].rsplit("/", 1)[1] for form in [field, *field.get("anyOf", ())] if "$ref" in form)
    return next((schema["$defs"][name].get("description") for name in named), None)


def test_it_is_a_schema_of_draft_2020_12() -> None:
    schema = json_schema()
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    jsonschema_rs.Draft202012Validator(schema)


def test_every_field_has_a_description() -> None:
    schema = json_schema()
    described = {
        path: field.get("description") or said_there(schema, field) for path, field in fields(schema)
    }
    assert len(described) > 30
    assert [path for path, description in described.items() if not description] == []


def test_a_good_file_is_valid() -> None:
    jsonschema_rs.Draft202012Validator(json_schema()).validate(yaml.safe_load(GOOD))


# How people write what is text to the gateway, and more to YAML.
GOOD_FORMS = [
    "server:\nkeys: {master: }\nmodels:\nbackends:\ndata_dir:",
    'server: {port: "8080", drain: "2.5", workers: "${ONE}"}',
    "models: {a: {targets: [{backend: cloudflare, model: '@cf/a/b', tier: }], tell_way: 'no'}}",
    "backends: {a: {kind: workers_ai, account_id: 12345, api_token: 1234567}}",
    "backends: {a: {kind: openai, base_url: 'http://h', api_key: 1234, lacks: ['${LACKS:-vision}']}}",
    "backends: {a: {kind: openai, base_url: '${URL:-http://h}', headers: {x-version: 2}, probe: 1e1}}",
    "backends: {a: {kind: openai, base_url: 'HTTPS://h/v1/', proxy: 'http://p:3128'}}",
    "server: {trusted_proxies: [10.0.0.0/8, '::1'], cors: ['*', 'https://h', 'https://h:8443/']}",
    "redis_url: redis+sentinel://:${ONE}@a:1,b:2/name\nkeys: {pepper: '${P:-0123456789abcdef}'}",
    "limits: {rpm: 1_000, burst: {requests: '5'}}\nerrors: {quote_backends: yes}",
]
BAD_FORMS = [
    "sever: {}",
    "server: {port: 65536}",
    "server: {port: a}",
    "server: {port: '8 0'}",
    "server: {host: ''}",
    "server: {workers: 1.5}",
    "server: {trusted_proxies: [nginx]}",
    "server: {cors: [h.example]}",
    "keys: {master: short}",
    "keys: {master: two words of sixteen}",
    "redis_url: localhost:6379",
    "models: {a: }",
    "models: {a: {targets: []}}",
    "models: {a: {targets: [{backend: cloudflare, model: '@cf/a/b'}], balance: random}}",
    "backends: {a: {kind: workers_ai, account_id: a, api_token: {tokn: b}}}",
    "backends: {a: {kind: workers_ai, account_id: a, api_token: []}}",
    "backends: {a: {kind: workers_ai, account_id: a, api_token: {}}}",
    "backends: {a: {kind: workers_ai, account_id: a, api_token: {env: ONE, file: b}}}",
    "backends: {a: {kind: workers_ai, account_id: a, api_token: {env: ONE, refresh: 5}}}",
    "backends: {a: {kind: workers_ai, account_id: a b, api_token: t}}",
    "backends: {a: {kind: workers_ai, account_id: a, api_token: two words}}",
    "backends: {a: {kind: workers_ai, account_id: , api_token: t}}",
    "backends: {a: {kind: openai, base_url: 'h:8000'}}",
    "backends: {a: {kind: openai, base_url: 'http://h', proxy: 'https://p'}}",
    "backends: {a: {kind: openai, base_url: 'http://h', tls: {key: k.pem}}}",
    "backends: {a: {kind: openai, base_url: 'http://h', headers: {x-version: }}}",
    "backends: {a: {kind: openai}}",
]


@pytest.mark.parametrize("text", GOOD_FORMS)
def test_what_the_gateway_takes_is_valid(tmp_path: Path, text: str) -> None:
    file = tmp_path / "penstock.yaml"
    file.write_text(text)
    load(file, ENVIRON)
    jsonschema_rs.Draft202012Validator(json_schema()).validate(yaml.safe_load(text))


@pytest.mark.parametrize("text", BAD_FORMS)
def test_what_the_gateway_refuses_is_invalid(tmp_path: Path, text: str) -> None:
    file = tmp_path / "penstock.yaml"
    file.write_text(text)
    with pytest.raises(SettingsError):
        load(file, ENVIRON)
    assert not jsonschema_rs.Draft202012Validator(json_schema()).is_valid(yaml.safe_load(text))
