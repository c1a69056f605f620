"""Structured output: the bare schema, and never in a stream."""

from typing import Any

import pytest

from tests.laws.exchange import translated
from translators.errors import ApiError

PLAIN = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": True}


def _format(form: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    exchange = translated(PLAIN | {"response_format": form})
    return exchange.bodies[0], exchange.fates()


def test_text_is_what_comes_anyway_and_is_not_sent_since_newer_models_refuse_the_word() -> None:
    body, fates = _format({"type": "text"})
    assert "response_format" not in body
    assert body["stream"] is True
    assert (fates["response_format"], fates["stream"]) == ("kept", "kept")


def test_json_is_asked_for_whole_and_the_stream_is_ours() -> None:
    body, fates = _format({"type": "json_object"})
    assert body["response_format"] == {"type": "json_object"}
    assert "stream" not in body
    assert (fates["response_format"], fates["stream"]) == ("kept", "emulated")


def test_a_schema_is_sent_bare_with_its_references_resolved() -> None:
    schema = {"properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": {"A": {"type": "string"}}}
    body, fates = _format({"type": "json_schema", "json_schema": {"name": "n", "schema": schema}})
    bare = {"properties": {"a": {"type": "string"}}}
    assert body["response_format"] == {"type": "json_schema", "json_schema": bare}
    assert fates["response_format"] == "transformed"


def test_an_envelope_without_a_schema_asks_for_any_object() -> None:
    body, _ = _format({"type": "json_schema", "json_schema": {"name": "n"}})
    assert body["response_format"] == {"type": "json_object"}


def test_a_schema_out_of_bounds_is_refused_at_its_place() -> None:
    with pytest.raises(ApiError) as caught:
        _format({"type": "json_schema", "json_schema": {"name": "n", "schema": {"a": {"$ref": "http://x"}}}})
    assert caught.value.param == "response_format.json_schema.schema"
