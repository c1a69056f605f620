"""Calls as Gemma 4 writes them, with its special tokens and without."""

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from translators.chat import Tool
from translators.model_text.gemma_calls import read_arguments
from translators.model_text.offered import Offered
from translators.model_text.source import Source
from translators.model_text.stated_calls import NoCallError

WEATHER = {
    "type": "object",
    "properties": {
        "city": {"type": "string"},
        "days": {"type": "integer"},
        "metric": {"type": "boolean"},
        "near": {"type": "array", "items": {"type": "string"}},
        "at": {"type": "object"},
        "any": {},
    },
}
OFFERED = Offered({"weather": Tool("weather", parameters=WEATHER), "free": Tool("free")})


def read(text: str, name: str = "weather", size: int = 1_000_000) -> tuple[dict[str, Any], str]:
    """The arguments, and what stands behind them."""
    source = Source()
    reading = read_arguments(source, OFFERED, name)
    for at in range(0, len(text), size):
        source.rest += text[at : at + size]
        try:
            next(reading)
        except StopIteration as end:
            return json.loads(end.value), source.rest + text[at + size :]
    source.ended = True
    with pytest.raises(NoCallError):
        next(reading)
    raise NoCallError


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ("{}", {}),
        ("{ }", {}),
        ('{city:<|"|>Paris<|"|>,days:2}', {"city": "Paris", "days": 2}),
        ('{city:<|"|>a,days:3}{<|"|>}', {"city": "a,days:3}{"}),
        ('{<|"|>city<|"|>:<|"|>Paris<|"|>}', {"city": "Paris"}),
        ('{"city": "Paris", "days": 2}', {"city": "Paris", "days": 2}),
        ("{city:Paris}", {"city": "Paris"}),
        ("{city:}", {"city": ""}),
        ("{city:Paris, France,days:2}", {"city": "Paris, France", "days": 2}),
        ("{city: Paris , days: 2 }", {"city": "Paris", "days": 2}),
        ("{city:2,days:2}", {"city": "2", "days": 2}),
        ("{city:true,metric:true}", {"city": "true", "metric": True}),
        ("{days:soon}", {"days": "soon"}),
        ("{city:[Paris],near:[Rouen,Le Havre]}", {"city": "[Paris]", "near": ["Rouen", "Le Havre"]}),
        ("{near:[],at:{}}", {"near": [], "at": {}}),
        ('{near:[<|"|>a, b<|"|>,<|"|>c<|"|>]}', {"near": ["a, b", "c"]}),
        ('{at:{lat:48.9,name:<|"|>x<|"|>,deep:{a:[1,null]}}}',
         {"at": {"lat": 48.9, "name": "x", "deep": {"a": [1, None]}}}),
        ("{any:1.5}", {"any": 1.5}),
        ("{any:[1}", None),
        ("{city:{a} b}", {"city": "{a} b"}),
        ("{city:{a}}", {"city": "{a}"}),
        ('{city:the "old" town}', {"city": 'the "old" town'}),
    ],
)  # fmt: skip
def test_arguments_are_read_by_the_tools_own_schema(text: str, arguments: Any) -> None:
    for size in (1, 2, 5, 1000):
        if arguments is None:
            with pytest.raises(NoCallError):
                read(text, size=size)
        else:
            assert read(f"{text} and on", size=size) == (arguments, " and on")


def test_a_tool_without_parameters_takes_any_key() -> None:
    assert read("{a:1,b:x y}", "free")[0] == {"a": 1, "b": "x y"}


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "{city:Paris",
        "{Paris}",
        "{town:Paris}",
        "{city:Paris,town:x}",
        "{city:a,city:b}",
        "{city:Paris,}",
        "{city:a]b}",
        "{city:a[b}",
        '{city:5" wide}',
        '{city:<|"|>a}',
        '{city:<|"|>a<|"|> b}',
        '{near:[<|"|>a<|"|>b]}',
        f"{{city:{'x' * 70_000}}}",
        f"{{any:{'{a:' * 130}1{'}' * 130}}}",
        f"{{any:{'[' * 130}{']' * 130}}}",
        '{any:[<|"|>a<|"|> b, [x}',
    ],
)
def test_what_may_mean_more_than_one_thing_is_no_call(text: str) -> None:
    for size in (3, 1_000_000):
        with pytest.raises(NoCallError):
            read(text, size=size)


_TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=8).filter(
    lambda text: '<|"|>' not in text
)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-99, 99) | _TEXTS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.from_regex(r"[a-z]{1,5}", fullmatch=True), inner, max_size=3)
    ),
    max_leaves=6,
)


def _written(value: Any) -> str:
    """A value as the model's template writes it."""
    match value:
        case str():
            return f'<|"|>{value}<|"|>'
        case dict():
            return f"{{{','.join(f'{key}:{_written(each)}' for key, each in value.items())}}}"
        case list():
            return f"[{','.join(map(_written, value))}]"
        case _:
            return json.dumps(value)


@given(
    value=st.dictionaries(st.from_regex(r"[a-z]{1,5}", fullmatch=True), _VALUES, max_size=3),
    size=st.integers(1, 9),
)
def test_what_the_template_writes_is_read_as_it_was_meant(value: dict[str, Any], size: int) -> None:
    assert read(_written(value), "free", size) == (value, "")


def test_time_grows_with_the_text() -> None:
    begun = time.process_time()
    assert read(f"{{a:{'[' * 100}{'1,' * 30_000}1{']' * 100}}}", "free", 100)
    for text in ("{a:" * 20_000, f"{{{'a,' * 30_000}}}", '{a:<|"|>' * 9_000):
        with pytest.raises(NoCallError):
            read(text, "free", 100)
    assert time.process_time() - begun < 10
