"""The JSON Schema that editors use agrees with what the gateway reads."""

from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest
import yaml

from gateway.settings import json_schema

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


def test_it_is_a_schema_of_draft_2020_12() -> None:
    schema = json_schema()
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    jsonschema_rs.Draft202012Validator(schema)


def test_every_field_has_a_description() -> None:
    schema = json_schema()
    described = {
        path: field.get("description") or schema["$defs"][field["$ref"].rsplit("/", 1)[1]].get("description")
        for path, field in fields(schema)
    }
    assert len(described) > 30
    assert [path for path, description in described.items() if not description] == []


def test_a_good_file_is_valid() -> None:
    jsonschema_rs.Draft202012Validator(json_schema()).validate(yaml.safe_load(GOOD))


@pytest.mark.parametrize(
    "text",
    [
        "sever: {}",
        "server: {port: 65536}",
        "server: {port: a}",
        "models: {a: {targets: []}}",
        "backends: {a: {kind: workers_ai, account_id: a, api_token: {tokn: b}}}",
        "backends: {a: {kind: workers_ai, account_id: a, api_token: []}}",
    ],
)
def test_a_wrong_file_is_invalid(text: str) -> None:
    assert not jsonschema_rs.Draft202012Validator(json_schema()).is_valid(yaml.safe_load(text))
