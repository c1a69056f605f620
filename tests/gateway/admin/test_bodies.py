"""What operators send: every mistake is told at once, with its place and what to do; nothing breaks."""

import json
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from time import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.api.admin import times
from gateway.api.admin.bodies import ForeignKey, KeyChanges, KeyListing, NewKey, NewTeam, Rotation
from gateway.api.admin.changes import fields_of, merged, patched_key
from gateway.api.admin.reading import decoded, read
from gateway.keys.register import new_key
from tests.gateway.admin.conftest import Asks, Json
from tests.gateway.served import Served
from translators.errors import ApiError

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from([*NewKey.model_fields, "nonsense"])


def _refusal(body: Json, model: Any = NewKey) -> ApiError:
    with pytest.raises(ApiError) as raised:
        read(model, body)
    assert raised.value.status == 400
    return raised.value


def test_all_mistakes_of_a_body_are_told_at_once() -> None:
    error = _refusal(
        {
            "nmae": "x",
            "role": "admn",
            "models": ["llama-[", ""],
            "limits": {"rpm": -1, "tmp": 1, "tpm": "60", "per_model": {"a": {"rpm": True}}},
            "expires_in": "3 weeks",
            "allowed_ips": ["10.0.0.0/99"],
            "metadata": {"a": 1},
            "defaults": {"temprature": 1},
        }
    )
    assert error.message == (
        "models[0]: has a bracket without its other half: '[ab]' stands for 'a' or 'b'; "
        "models[1]: should not be empty; "
        "limits.rpm: should be greater than or equal to 0; "
        "limits.tpm: should be a whole number; "
        "limits.per_model.a.rpm: should be a whole number; "
        "limits.tmp: is no field here (did you mean 'tpm'?); "
        "metadata.a: should be text; "
        "role: should be 'inference', 'read_only' or 'admin' (did you mean 'admin'?); "
        "expires_in: should be a time such as '30s', '15m', '24h' or '30d', or a number of seconds; "
        "allowed_ips[0]: should be an address or a network, such as '203.0.113.7' or '10.0.0.0/8'; "
        "defaults.temprature: is no field here (did you mean 'temperature'?); "
        "name: is required; "
        "nmae: is no field here (did you mean 'name'?)."
    )
    assert (error.param, error.code) == ("models[0]", "invalid_value")


@pytest.mark.parametrize(
    ("fields", "param", "words"),
    [
        ({"name": ""}, "name", "should not be empty"),
        ({"name": None}, "name", "should be text"),
        ({"name": " ci"}, "name", "without spaces around"),
        ({"name": "a\nb"}, "name", "one line"),
        ({"name": "x" * 201}, "name", "at most 200"),
        ({"name": 5}, "name", "should be text"),
        ({"models": "a"}, "models", "should be an array"),
        ({"models": ["a]"]}, "models[0]", "bracket"),
        ({"models": ["[]"]}, "models[0]", "bracket"),
        ({"models": [" a"]}, "models[0]", "pattern"),
        ({"models": ["a"] * 101}, "models", "at most 100"),
        ({"models": [None]}, "models[0]", "should be text"),
        ({"limits": []}, "limits", "should be an object"),
        ({"limits": {"rpm": 1.5}}, "limits.rpm", "whole number"),
        ({"limits": {"rpm": 10**16}}, "limits.rpm", "less than or equal"),
        ({"limits": {"rpm": 10**40}}, "limits.rpm", ""),
        ({"limits": {"burst": {"seconds": 0}}}, "limits.burst.seconds", "greater than or equal to 0.1"),
        ({"limits": {"away": "shut"}}, "limits.away", "'share', 'open' or 'closed'"),
        ({"limits": {"per_model": {"[": {}}}}, "limits.per_model.[", "bracket"),
        ({"limits": {"per_model": {"a": {"per_model": {}}}}}, "limits.per_model.a.per_model", "no field"),
        ({"limits": {"per_model": {f"m{i}": {} for i in range(17)}}}, "limits.per_model", "at most 16"),
        ({"expires_in": 0}, "expires_in", "more than nothing"),
        ({"expires_in": -5}, "expires_in", "should be a time"),
        ({"expires_in": "-5d"}, "expires_in", "should be a time"),
        ({"expires_in": True}, "expires_in", "should be a time"),
        ({"expires_in": "99999d"}, "expires_in", "36500 days"),
        ({"expires_in": 1e300}, "expires_in", "should be a time"),
        ({"expires_in": 10**400}, "expires_in", "should be a time"),
        ({"expires_in": -(10**5000)}, "expires_in", "should be a time"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at", "in the past"),
        ({"expires_at": "2090-01-01"}, "expires_at", "date and time with its offset"),
        ({"expires_at": "2090-01-01T00:00:00"}, "expires_at", "date and time with its offset"),
        ({"expires_at": "2090-02-31T00:00:00Z"}, "expires_at", "date and time with its offset"),
        ({"expires_at": "9999-12-31T23:59:59-00:01"}, "expires_at", "before the year 10000"),
        ({"expires_at": "0001-01-01T00:00:00+00:01"}, "expires_at", "in the past"),
        ({"expires_at": 4_000_000_000}, "expires_at", "date and time with its offset"),
        ({"expires_in": "1d", "expires_at": "2090-01-01T00:00:00Z"}, None, "set one of the two"),
        ({"allowed_ips": ["example.com"]}, "allowed_ips[0]", "address or a network"),
        ({"metadata": {f"k{i}": "" for i in range(17)}}, "metadata", "at most 16"),
        ({"metadata": {"k" * 65: ""}}, f"metadata.{'k' * 65}", "at most 64"),
        ({"metadata": {"k": "v" * 513}}, "metadata.k", "at most 512"),
        ({"tags": ["x"] * 65}, "tags", "at most 64"),
        ({"team": 7}, "team", "should be text"),
        ({"team_id": "team_x"}, "team_id", "did you mean 'team'?"),
        ({"rpm": 60}, "rpm", "is no field here"),
    ],
)
def test_a_mistake_is_told_at_its_place(fields: Json, param: str | None, words: str) -> None:
    error = _refusal({"name": "ci", **fields})
    assert error.param == param
    assert words in error.message


def test_what_all_models_say_of_a_field_that_is_none() -> None:
    assert "did you mean 'grace'" in _refusal({"grce": "1h"}, Rotation).message
    assert "30 days at most" in _refusal({"grace": "31d"}, Rotation).message
    assert "did you mean 'sha256'" in _refusal({"name": "x", "sha25": ""}, ForeignKey).message
    assert "is no field here" in _refusal({"name": "x", "role": "admin"}, NewTeam).message
    assert "did you mean 'after'" in _refusal({"aftr": ""}, KeyListing).message
    many = _refusal({f"x{number}": 1 for number in range(30)}).message
    assert many.endswith("; and 11 more mistakes.")


@pytest.mark.parametrize("body", [b"{", b"\xff", b'{"a": 1}}', b"[" * 5000, b'{"name": NaN}'])
def test_what_is_no_json_is_told(body: bytes) -> None:
    with pytest.raises(ApiError) as raised:
        decoded(body)
    assert (raised.value.status, raised.value.code) == (400, "invalid_json")


@pytest.mark.parametrize("body", [b"[]", b"null", b'"x"', b"1"])
def test_what_is_no_object_is_told(body: bytes) -> None:
    with pytest.raises(ApiError, match="should be one JSON object"):
        decoded(body)


def _fields_of_new(body: Json) -> Json:
    return fields_of(read(NewKey, body))


def _unless_refused(read_fields: Callable[[], Json]) -> Json | None:
    """The fields; None where they are refused, which is what a mistake comes to and nothing else."""
    with suppress(ApiError):
        return read_fields()
    return None


@given(st.dictionaries(FIELDS, JSON))
def test_any_body_is_a_key_or_a_refusal(body: Json) -> None:
    for given_fields in (body, {"name": "x", **body}):
        fields = _unless_refused(partial(_fields_of_new, given_fields))
        if fields is not None:
            new_key(fields, "sk-...")


@given(st.dictionaries(FIELDS, JSON))
def test_any_patch_changes_a_key_or_is_refused(patch: Json) -> None:
    key = new_key({"name": "x", "quota": {"rpm": 1}, "metadata": {"a": "b"}, "expires": 1.0}, "sk-...")
    fields = _unless_refused(partial(patched_key(patch), key))
    if fields is not None:
        new_key({"name": "x", **fields}, "sk-...")


@given(JSON, JSON)
def test_a_merge_patch_holds_to_its_standard(old: Any, patch: Any) -> None:
    """As RFC 7396 says it, but that a null for what is not there stays for the reader to judge."""

    def by_the_book(target: Any, change: Any) -> Any:
        if not isinstance(change, dict):
            return change
        result = dict(target) if isinstance(target, dict) else {}
        for name, value in change.items():
            if value is None:
                result.pop(name, None)
            else:
                result[name] = by_the_book(result.get(name), value)
        return result

    assert _cleaned(merged(old, patch)) == _cleaned(by_the_book(old, patch))


def _cleaned(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _cleaned(each) for name, each in value.items() if each is not None}
    return repr(value)


def test_a_name_cannot_be_cleared() -> None:
    key = new_key({"name": "x"}, "sk-...")
    with pytest.raises(ApiError, match="cannot be cleared") as raised:
        patched_key({"name": None})(key)
    assert raised.value.param == "name"
    assert patched_key({"role": None})(new_key({"name": "x", "role": "admin"}, "")) == {"role": "inference"}


def test_a_patch_may_clear_one_end_and_set_the_other() -> None:
    key = new_key({"name": "x", "expires": 1.0}, "sk-...")
    fields = patched_key({"expires_in": None, "expires_at": "2090-01-01T00:00:00+02:00"})(key)
    assert fields["expires"] == datetime(2089, 12, 31, 22, tzinfo=UTC).timestamp()
    assert read(KeyChanges, {}) == KeyChanges()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30),
        ("15m", 900),
        ("24h", 86_400),
        ("30d", 2_592_000),
        ("1.5h", 5400),
        ("90", 90),
        (90, 90),
        (0.5, 0.5),
    ],
)
def test_a_length_of_time_is_read(text: object, seconds: float) -> None:
    assert times.seconds(text) == seconds


@given(st.datetimes(min_value=datetime(1971, 1, 1), max_value=datetime(9998, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001 - as the strategy wants it
def test_a_moment_that_is_written_is_read_again(at: datetime) -> None:
    seconds = at.replace(microsecond=0).timestamp()
    assert times.moment(times.written(seconds)) == seconds


def test_expiry_counts_from_now() -> None:
    fields = fields_of(read(NewKey, {"name": "x", "expires_in": "1h"}))
    assert abs(fields["expires"] - time() - 3600) < 5
    later = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    assert fields_of(read(NewKey, {"name": "x", "expires_at": later}))["expires"] > time()


async def test_a_body_over_64_kib_is_refused(stored: Served) -> None:
    body = json.dumps({"name": "x" * 70_000}).encode()
    answer = await stored.client.post("/admin/v1/keys", content=body)
    assert answer.status_code == 413
    assert "65536 bytes" in answer.json()["error"]["message"]


async def test_a_form_is_no_body(stored: Served) -> None:
    answer = await stored.client.post("/admin/v1/keys", data={"name": "x"})
    assert answer.status_code == 415


async def test_nothing_can_be_sent_where_nothing_can_be_set(ask: Asks) -> None:
    made = (await ask("POST", "/keys", {"name": "ci"})).json()
    refused = await ask("POST", f"/keys/{made['id']}/disable", {"why": "x"})
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "why")
