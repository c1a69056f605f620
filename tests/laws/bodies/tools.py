"""Strategies for tools and tool choices: JSON Schemas of every spelling, functions, custom tools."""

from collections.abc import Mapping

from hypothesis import strategies as st

from tests.laws.bodies.values import NAMES, TEXTS, Body, Strategy, fields

_SCALARS = st.sampled_from(["string", "number", "integer", "boolean"])


def _described(required: Mapping[str, Strategy]) -> Strategy:
    return fields(required, {"description": TEXTS, "title": TEXTS, "default": st.none() | st.integers()})


_LEAVES = st.one_of(
    _described({"type": _SCALARS}),
    _described(
        {"type": st.lists(_SCALARS, min_size=1, max_size=2, unique=True).map(lambda kinds: [*kinds, "null"])}
    ),
    _described({"anyOf": _SCALARS.map(lambda kind: [{"type": kind}, {"type": "null"}])}),
    _described({"oneOf": st.lists(_SCALARS.map(lambda kind: {"type": kind}), min_size=1, max_size=3)}),
    _described({"enum": st.lists(st.integers() | TEXTS | st.none(), min_size=1, max_size=3)}),
    _described({"const": st.integers() | TEXTS | st.booleans()}),
    _described({"$ref": st.sampled_from(["#/$defs/Leaf", "#/$defs/Node", "#/$defs/Pair", "#"])}),
    st.just({}),
    st.booleans(),
)


def _containers(inner: Strategy) -> Strategy:
    return st.one_of(
        _described({"type": st.just("array"), "items": inner}),
        _described({"type": st.just("object"), "properties": st.dictionaries(TEXTS, inner, max_size=2)}),
        _described({"allOf": st.lists(inner, min_size=1, max_size=2)}),
        _described({"anyOf": st.tuples(inner, st.just({"type": "null"})).map(list)}),
    )


PROPERTIES = st.recursive(_LEAVES, _containers, max_leaves=4)

# What the references above name: a leaf, a schema that contains itself, and two that contain each other.
_DEFINITIONS = {
    "Leaf": {"type": "string", "description": "a leaf"},
    "Node": {
        "type": "object",
        "properties": {"next": {"$ref": "#/$defs/Node"}, "pair": {"$ref": "#/$defs/Pair"}},
    },
    "Pair": {"type": "array", "items": {"anyOf": [{"$ref": "#/$defs/Node"}, {"$ref": "#/$defs/Leaf"}]}},
}

_PROPERTY_MAPS = st.dictionaries(st.sampled_from(["city", "unitSystem", "a-b", "$ref", "", "π"]), PROPERTIES)

OBJECT_SCHEMAS = st.one_of(
    fields(
        {"properties": _PROPERTY_MAPS},
        {
            "type": st.just("object"),
            "required": st.lists(st.sampled_from(["city", "a-b", "missing"]), unique=True),
            "additionalProperties": st.booleans(),
            "$schema": st.just("https://json-schema.org/draft/2020-12/schema"),
            "title": TEXTS,
        },
    ),
    st.lists(
        _PROPERTY_MAPS.map(lambda each: {"type": "object", "properties": each}), min_size=1, max_size=2
    ).map(lambda members: {"allOf": members}),
    st.just({"type": "object"}),
    st.just({}),
    st.just({"$ref": "#/$defs/Node"}),
).map(lambda schema: {**schema, "$defs": _DEFINITIONS})


_FUNCTIONS = fields(
    {"name": NAMES},
    {"description": st.none() | TEXTS, "parameters": OBJECT_SCHEMAS, "strict": st.none() | st.booleans()},
)

_GRAMMARS = st.sampled_from([("lark", "start: WORD"), ("regex", "[a-z]+")]).map(
    lambda grammar: {"type": "grammar", "grammar": {"syntax": grammar[0], "definition": grammar[1]}}
)
_CUSTOM = fields({"name": NAMES}, {"description": TEXTS, "format": st.just({"type": "text"}) | _GRAMMARS})
TOOLS = st.lists(
    st.one_of(
        _FUNCTIONS.map(lambda function: {"type": "function", "function": function}),
        _CUSTOM.map(lambda custom: {"type": "custom", "custom": custom}),
    ),
    min_size=1,
    max_size=3,
    unique_by=lambda tool: tool[tool["type"]]["name"],
)
# The deprecated form, and Workers AI's own functions of the same name, which have code.
OLD_FUNCTIONS = st.lists(_FUNCTIONS, min_size=1, max_size=2, unique_by=lambda each: each["name"])
EMBEDDED_FUNCTIONS = st.lists(
    NAMES.map(lambda name: {"name": name, "code": "return 1"}), min_size=1, max_size=2
)


def _named(tool: Body) -> Body:
    return {"type": tool["type"], tool["type"]: {"name": tool[tool["type"]]["name"]}}


def tool_choices(tools: list[Body]) -> Strategy:
    """Every form of `tool_choice` that some tools allow."""
    if not tools:
        return st.sampled_from(["none", "auto"])
    named = st.sampled_from(tools).map(_named)
    allowed = st.builds(
        lambda mode, some: {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": some}},
        st.sampled_from(["auto", "required"]),
        st.lists(named, min_size=1, max_size=2),
    )
    return st.sampled_from(["none", "auto", "required"]) | named | allowed
