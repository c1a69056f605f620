"""Bodies of which some fields hold anything at all, or nothing."""

from hypothesis import strategies as st

from tests.laws.bodies.parameters import EVERY_PARAMETER
from tests.laws.bodies.values import JSON_VALUES, TEXTS, Body, Strategy

# Numbers that overflow something, references to nowhere, and everything that JSON has.
_NOWHERE = st.sampled_from([
    "#/$defs/none", "#/allOf/" + "9" * 5000, "https://example.com/schema.json", "file:///etc/passwd",
])  # fmt: skip
HOSTILE = st.one_of(
    JSON_VALUES,
    st.sampled_from([10**400, -(10**400), 1e308, 2**64, -1, 0, "", [], {}, [None], {"": None}]),
    st.lists(TEXTS, min_size=5, max_size=6),  # one more than there may be of stop strings
    _NOWHERE.map(lambda reference: {"type": "object", "properties": {"a": {"$ref": reference}}}),
)


@st.composite
def spoilt(draw: st.DrawFn, bodies: Strategy) -> Body:
    """A body with up to three hostile values, in place of a field or inside its last element."""
    body: Body = draw(bodies)
    names = sorted({*body, *EVERY_PARAMETER})
    for name in draw(st.lists(st.sampled_from(names), min_size=1, max_size=3)):
        value = body.get(name)
        if isinstance(value, list) and value and isinstance(value[-1], dict) and draw(st.booleans()):
            inner = dict(value[-1])
            key = draw(st.sampled_from(sorted(inner) or ["type"]))
            inner[key] = draw(HOSTILE)
            body[name] = [*value[:-1], inner]
        else:
            body[name] = draw(HOSTILE)
    return body
