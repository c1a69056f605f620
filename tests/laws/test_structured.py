"""Whatever a model says: what ends well after a schema satisfies the client's schema, or else is an error."""

import json
from functools import partial
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.laws.exchange import SEED, Translated, translated, whole
from tests.laws.exchange import streamed as stream_of
from translators.deltas import Delta, Failed, Finish, Text, Usage
from translators.errors import INVALID_OUTPUT

MODELS = [SEED, "@cf/zai-org/glm-4.7-flash", "@cf/mistralai/mistral-small-3.1-24b-instruct", "@cf/new/model"]
NAMES = st.sampled_from(["a", "b", "next", "items", "$ref", "π"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-9, 9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)

# What OpenAI's strict mode allows: every property required and no others, enumerations, bounds, anyOf,
# references, recursion.
_REFERENCES = st.sampled_from(["#", "#/$defs/Leaf", "#/$defs/Node"]).map(lambda place: {"$ref": place})
_LEAVES = st.one_of(
    st.sampled_from(["string", "number", "integer", "boolean", "null"]).map(lambda kind: {"type": kind}),
    st.sampled_from(["string", "integer"]).map(lambda kind: {"type": [kind, "null"]}),
    st.lists(st.integers(0, 3) | st.text(max_size=2), min_size=1, max_size=3).map(
        lambda some: {"enum": some}
    ),
    st.builds(lambda value: {"const": value}, st.integers(0, 3) | st.text(max_size=2)),
    st.integers(-9, 9).map(lambda low: {"type": "number", "minimum": low}),
    st.sampled_from(["^a*$", "[0-9]", r"^\w+$"]).map(lambda each: {"type": "string", "pattern": each}),
    _REFERENCES,
)


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


_PROPERTIES = st.recursive(
    _LEAVES,
    lambda inner: st.one_of(
        inner.map(lambda items: {"type": "array", "items": items}),
        st.lists(inner, min_size=1, max_size=3).map(lambda some: {"anyOf": some}),
        st.dictionaries(NAMES, inner, max_size=3).map(_object),
    ),
    max_leaves=6,
)
_NODE = _object({"next": {"anyOf": [{"$ref": "#/$defs/Node"}, {"type": "null"}]}})
SCHEMAS = st.dictionaries(NAMES, _PROPERTIES, max_size=3).map(
    lambda properties: {**_object(properties), "$defs": {"Leaf": {"type": "string"}, "Node": _NODE}}
)


_SCALARS = {
    "string": st.text(max_size=4),
    "integer": st.integers(-9, 9),
    "number": st.integers(-9, 9) | st.floats(-9, 9),
    "boolean": st.booleans(),
    "null": st.none(),
}


def _fitting(schema: Any, root: Any, depth: int = 0) -> st.SearchStrategy[Any]:
    """Mostly values that a schema accepts; where recursion goes on, anything."""
    if depth > 4:
        return VALUES
    inner = partial(_fitting, root=root, depth=depth + 1)
    match schema:
        case {"$ref": str(place)}:
            return inner(root if place == "#" else root["$defs"][place.rpartition("/")[2]])
        case {"anyOf": some}:
            return st.sampled_from(some).flatmap(inner)
        case {"enum": some}:
            return st.sampled_from(some)
        case {"properties": properties}:
            return st.fixed_dictionaries({name: inner(each) for name, each in properties.items()})
        case {"items": items}:
            return st.lists(inner(items), max_size=2)
        case {"const": value}:
            return st.just(value)
        case {"pattern": _}:
            return st.sampled_from(["", "aa", "a7"])
        case _:
            kinds = schema["type"]
            return _SCALARS[kinds if isinstance(kinds, str) else kinds[0]]


@st.composite
def _texts(draw: st.DrawFn, schema: dict[str, Any]) -> str:
    """What a model may say: JSON that mostly fits, in some wrapping, perhaps cut or followed by more."""
    fitting = _fitting(schema, schema)
    value = draw(fitting | fitting | VALUES)
    text = json.dumps(value, ensure_ascii=draw(st.booleans()))
    wrap = draw(st.sampled_from(["{}", " {}\n", "```json\n{}\n```", "Here: {} I hope it helps.", "{}{}"]))
    said = wrap.replace("{}", text)
    cut = draw(st.sampled_from([None, None, None, len(said) // 2, len(said) - 1]))
    return draw(st.sampled_from([said[:cut], said, json.dumps(said)]) | st.text(max_size=20))


def _run(exchange: Translated, texts: list[str], size: int) -> list[Delta]:
    """All that the client sees where each call is answered with the next text, in pieces."""
    out: list[Delta] = []
    calls = exchange.dialogue.first()
    for text in texts:
        pieces = [Text(0, text[at : at + size]) for at in range(0, len(text), size)]
        out += exchange.dialogue.take(0, [*pieces, Finish(0, "stop"), Usage(5, 3)])
        calls = exchange.dialogue.next()
        if not calls:
            break
    assert not calls, "two answers decide"
    return out


@pytest.mark.parametrize("strict", [True, False])
@given(
    data=st.data(),
    schema=SCHEMAS,
    model=st.sampled_from(MODELS),
    size=st.integers(1, 9),
    stream=st.booleans(),
)
def test_what_ends_well_satisfies_the_schema(
    data: st.DataObject, schema: dict[str, Any], model: str, size: int, *, stream: bool, strict: bool
) -> None:
    texts = [data.draw(_texts(schema)), data.draw(_texts(schema))]
    form = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema, "strict": strict}}
    messages = [{"role": "user", "content": "hi"}]
    exchange = translated(
        {"model": "m", "messages": messages, "response_format": form, "stream": stream}, model
    )
    *out, last = _run(exchange, texts, size)
    if isinstance(last, Failed):
        assert last.error.code == INVALID_OUTPUT
        assert [type(delta) for delta in out] == [Usage]
        return
    answer = whole(exchange, [*out, last])
    assert answer["choices"][0]["finish_reason"] == "stop"
    content = answer["choices"][0]["message"]["content"]
    assert not strict or jsonschema_rs.is_valid(schema, json.loads(content))
    assert any(content in text or _quoted(text, content) for text in texts)
    if stream:
        raw = stream_of(exchange, [*out, last])
        assert raw.endswith(b"data: [DONE]\n\n")


def _quoted(text: str, content: str) -> bool:
    """Whether the content stands in the JSON string that the text is."""
    try:
        value = json.loads(text)
    except ValueError:
        return False
    return isinstance(value, str) and content in value
