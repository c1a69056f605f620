"""Which field a refusal is about: every text of the validator, and any one field of any body broken."""

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st

from gateway.simulator import models
from translators.backends.workers_ai.blame import blame

SEED = "@cf/meta/llama-3.1-8b-instruct-fast"
HI = {"role": "user", "content": "hi"}
M: dict[str, Any] = {"messages": [HI]}
TOOL: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "f",
        "description": "d",
        "parameters": {"type": "object", "properties": {"a": {"type": "string"}}},
    },
}
ZERO = "oneOf at '/' not met, 0 matches: "
NO_PROMPT = "required properties at '/' are 'prompt'"
NO_MESSAGES = "required properties at '/' are 'messages'"
NEITHER = f"{ZERO}{NO_PROMPT}, {NO_MESSAGES}"
TAKEN = "in a form that the model takes"
NOT_TAKEN = "is not taken by the model"
A_FORM = "has a form that the model does not take"
ABSENT = "is missing"
UNTOLD = "is missing, or has a form that the model does not take"


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def told(text: str, *body: Any) -> tuple[str, str] | None:
    fault = blame(text, *body)
    return None if fault is None else ("/".join(fault.path), fault.words)


def got(kind: str) -> str:
    return f"must be a string, but it is {kind}"


def whole(kind: str) -> str:
    return f"must be a whole number, but it is {kind}"


def array(kind: str) -> str:
    return f"must be an array, but it is {kind}"


def mismatch(place: str, wanted: str, *got: str) -> str:
    types = ",".join(f"'{each}'" for each in got)
    return f"Type mismatch of '/{place}', '{wanted}' not in {types}"


def needs(place: str, names: str) -> str:
    return f"required properties at '/{place}' are '{names}'"


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("Type mismatch of '/a', 'string' not in 'number','integer'", "a", got("a number")),
        ("Type mismatch of '/a', 'string' not in 'number'", "a", got("a number")),
        ("Type mismatch of '/a', 'string' not in 'null'", "a", got("null")),
        ("Type mismatch of '/a', 'string' not in 'array','binary'", "a", got("an array")),
        ("Type mismatch of '/a', 'string' not in 'array'", "a", got("an array")),
        ("Type mismatch of '/a', 'string' not in 'object'", "a", got("an object")),
        ("Type mismatch of '/a', 'integer' not in 'number'", "a", whole("a number")),
        ("Type mismatch of '/a', 'array' not in 'string'", "a", "must be an array, but it is a string"),
        ("Type mismatch of '/a/1', 'string' not in 'boolean'", "a/1", got("a boolean")),
        ("Type mismatch of '/a', 'number,null' not in 'string'", "a",
         "must be a number or null, but it is a string"),
        ("Type mismatch of '/a', 'string,null' not in 'string'", "a", A_FORM),
        ("Type mismatch of '/', 'undefined' not in 'object'", "", A_FORM),
        ("required properties at '/' are 'a,z'", "", f"must have 'a' and 'z', each {TAKEN}"),
        ("required properties at '/a' are 'b'", "a/b", UNTOLD),
        ("required properties at '/a/k' are 'b'", "a/k/b", UNTOLD),
        ("required properties at '/a' are 'b,c,d'", "a",
         f"must have 'b', 'c' and 'd', each {TAKEN}"),
        ("oneOf at '/' not met, 2 matches", "prompt", "must not stand beside 'messages'"),
        (f"{ZERO}required properties at '/' are 'a', required properties at '/' are 'b'", "b", UNTOLD),
        ("anyOf at '/' not met: required properties at '/' are 'a'", "a", UNTOLD),
        ("not at '/a' not met", "a", NOT_TAKEN),
        ("const y doesn't match x at '/a'", "a", "must be x"),
        ("const [object Object] doesn't match 1e-7 at '/a'", "a", "must be 1e-7"),
        ("enum c not in a,b at '/a'", "a", "must be a or b"),
        ("enum x not in /srv/x at '/a'", "a", "has a value that the model does not take"),
        ("enum should be an array at '/a'", "a", NOT_TAKEN),
        ("Length of '/a' must be <= 3", "a", "must have at most 3 characters"),
        ("Length of '/a' must be >= 1 not met", "a", "must have at least 1 characters"),
        ("'/a' must be >= 0", "a", "must be at least 0"),
        ("'/a' must be > 0", "a", "must be more than 0"),
        ("'/a' must be <= 2", "a", "must be at most 2"),
        ("'/a' must be < 2", "a", "must be less than 2"),
        ("'/a' must be >= -1.5e-7", "a", "must be at least -1.5e-7"),
        ("'/a' must be multiple of 8", "a", "must be a multiple of 8"),
        ("'/a' failed test ^a+$ patttern", "a", "does not match its pattern"),
        ("minProperties at '/' is 2, got 1", "", "has too few fields"),
        ("maxProperties at '/' is undefined, got 2", "", "has too many fields"),
        ("Additional or unevaluated properties '/b, /c' at '/' not allowed", "b", NOT_TAKEN),
        ("Additional or unevaluated properties '/a/b' at '/a' not allowed", "a/b", NOT_TAKEN),
        ("No schema for path '/a/0'", "a/0", NOT_TAKEN),
        # With what other unions left behind.
        (f"{mismatch('b', 'integer', 'null')}: {mismatch('a', 'array', 'string')}", "b", whole("null")),
        (("required properties at '/' are 'a': Type mismatch of '/a', 'string' not in 'number','integer', "
          "Type mismatch of '/a', 'boolean' not in 'number','integer'"), "a",
         "must be a string or a boolean, but it is a number"),
        (("Additional or unevaluated properties '/a' at '/' not allowed: Type mismatch of '/a', 'string' not "
          "in 'number','integer'"), "a", NOT_TAKEN),
        ("required properties at '/' are 'a': Length of '/a' must be >= 3 not met", "a",
         "must have at least 3 characters"),
        ((f"{ZERO}required properties at '/' are 'q', required properties at '/' are 'r', "
          "oneOf at '/' not met, 0 matches, required properties at '/' are 'b'"), "b", UNTOLD),
        ("enum system not in user,assistant at '/messages/0/role'", "messages/0/role",
         "must be user or assistant"),
    ],
)  # fmt: skip
def test_every_text_of_the_validator_is_told_in_words(text: str, place: str, words: str) -> None:
    assert told(text) == (place, words)


def test_words_of_somebody_else_blame_nothing() -> None:
    for text in (
        "",
        "Invalid input",
        "'seed' is odd",
        "Invalid data for image - reason invalid base64 encoding",
    ):
        assert blame(text) is None


ROLE_AND_CONTENT = "role,content"
TWO_MATCHES = "oneOf at '/' not met, 2 matches"
BAD_CONTENT = "messages/0/content"


@pytest.mark.parametrize(
    ("body", "texts", "place", "words"),
    [
        ({}, [NO_PROMPT, NO_MESSAGES], "messages", ABSENT),
        ([M], [NO_PROMPT, NO_MESSAGES], "", "must be an object, but it is an array"),
        ("x", [NO_PROMPT, NO_MESSAGES], "", "must be an object, but it is a string"),
        (None, [NO_PROMPT, NO_MESSAGES], "", "must be an object, but it is null"),
        ({"messages": [user([])]}, [NO_PROMPT, mismatch(BAD_CONTENT, "string", "array")], BAD_CONTENT,
         got("an array")),
        ({"messages": [HI, user(None)]}, [NO_PROMPT, mismatch("messages/1/content", "string", "null")],
         "messages/1/content", got("null")),
        ({"messages": [HI, {"role": "user"}]}, [NO_PROMPT, needs("messages/1", ROLE_AND_CONTENT)],
         "messages/1/content", ABSENT),
        ({"messages": [{"content": "hi"}]}, [NO_PROMPT, needs("messages/0", ROLE_AND_CONTENT)],
         "messages/0/role", ABSENT),
        ({"messages": None}, [NO_PROMPT, NO_MESSAGES], "messages", array("null")),
        ({"messages": "hi"}, [NO_PROMPT, mismatch("messages", "array", "string")], "messages",
         array("a string")),
        ({"messages": HI}, [NO_PROMPT, needs("messages/role", ROLE_AND_CONTENT)], "messages",
         array("an object")),
        ({"messages": [HI, None]}, [NO_PROMPT, needs("messages/1", ROLE_AND_CONTENT)], "messages/1",
         "must be an object, but it is null"),
        ({"prompt": ""}, ["Length of '/prompt' must be >= 1 not met", NO_MESSAGES], "prompt",
         "must have at least 1 characters"),
        ({"prompt": 5}, [mismatch("prompt", "string", "number", "integer"), NO_MESSAGES], "prompt",
         got("a number")),
        ({"prompt": None}, [mismatch("prompt", "string", "null"), NO_MESSAGES], "prompt", got("null")),
        ({**M, "temperature": 6}, ["'/temperature' must be <= 5"], "temperature", "must be at most 5"),
        ({**M, "max_tokens": None}, [mismatch("max_tokens", "integer", "null")], "max_tokens", whole("null")),
        ({**M, "stream": "yes"}, [mismatch("stream", "boolean", "string")], "stream",
         "must be a boolean, but it is a string"),
        ({"temperature": 6, "messages": [user(None)]},
         ["'/temperature' must be <= 5", mismatch(BAD_CONTENT, "string", "null")], "temperature",
         "must be at most 5"),
        ({"prompt": "x", "lora": 5}, [mismatch("lora", "string", "number", "integer"), NO_MESSAGES], "lora",
         got("a number")),
        ({**M, "image": "abc", "temperature": 9},
         [mismatch("image", "array", "string"), "'/temperature' must be <= 5"], "temperature",
         "must be at most 5"),
        ({**M, "functions": [{"name": "f"}]}, [NO_PROMPT, needs("functions/0", "name,code")],
         "functions/0/code", ABSENT),
        ({**M, "tools": "x"}, [NO_PROMPT, mismatch("tools", "array", "string")], "tools", array("a string")),
        ({**M, "tools": [TOOL], "top_p": 9},
         ["'/top_p' must be <= 2", needs("tools/0/parameters", "type,properties"),
          needs("a", "type,description")],
         "top_p", "must be at most 2"),
        # Content unions: what good messages leave behind stands before what the bad one does.
        ({"messages": [HI, HI, user(None)]},
         [NO_PROMPT, mismatch(BAD_CONTENT, "array", "string"),
          mismatch("messages/1/content", "array", "string"), mismatch("messages/2/content", "string", "null"),
          needs("messages/2", ROLE_AND_CONTENT)],
         "messages/2/content", got("null")),
        ({"messages": [HI, user(None)]},
         [NO_PROMPT, mismatch(BAD_CONTENT, "array", "string"), needs("messages/1", ROLE_AND_CONTENT)],
         "messages/1/content", A_FORM),
        ({"messages": [user([{"text": "a"}, {"text": "b"}])]},
         [NO_PROMPT, mismatch(BAD_CONTENT, "string", "array"), needs("messages/0", ROLE_AND_CONTENT)],
         BAD_CONTENT, got("an array")),
        ({"messages": [user("a"), *[user([{"text": "x"}])] * 16, {"role": "assistant"}]},
         [NO_PROMPT, mismatch(BAD_CONTENT, "array", "string"), needs("messages/17", ROLE_AND_CONTENT)],
         "messages/17/content", ABSENT),
        # Objects that were not sent, and kinds that a tool is not.
        ({**M, "tools": [TOOL], "seed": "x"},
         [mismatch("seed", "integer", "string"), needs("audio", "voice,format"),
          "enum function not in custom at '/tools/0/type'"],
         "seed", whole("a string")),
        ({**M, "tools": [TOOL]}, ["enum function not in custom at '/tools/0/type'"], "tools/0/type",
         "must be custom"),
        ({"messages": [HI, True]}, [NO_PROMPT, NO_MESSAGES], "messages/1",
         "must be an object, but it is a boolean"),
        ({"messages": [HI, {"x": 1}]}, [NO_PROMPT, NO_MESSAGES], "messages/1", A_FORM),
        ({"messages": [HI]}, [NO_PROMPT, NO_MESSAGES], "messages", A_FORM),
        # All there, all strings, and refused all the same.
        (M, [NO_PROMPT, needs("messages/0", ROLE_AND_CONTENT)], "messages/0",
         f"must have 'role' and 'content', each {TAKEN}"),
    ],
)  # fmt: skip
def test_the_body_tells_what_is_really_at_fault(body: Any, texts: list[str], place: str, words: str) -> None:
    assert told(ZERO + ", ".join(texts), body) == (place, words)


def test_a_prompt_beside_messages_is_the_one_too_many() -> None:
    fault = ("prompt", "must not stand beside 'messages'")
    assert told(TWO_MATCHES) == told(TWO_MATCHES, {"prompt": "a", **M}) == fault


def test_without_the_body_the_form_is_guessed_by_what_is_missing() -> None:
    assert told(f"{ZERO}Type mismatch of '/prompt', 'string' not in 'null', {NO_MESSAGES}") == (
        "prompt",
        got("null"),
    )
    assert told(NEITHER) == ("messages", UNTOLD)
    assert told(f"{ZERO}{NO_PROMPT}") == ("messages", ABSENT)


# What a body may hold beside its messages, by what the models' schemas take.
SCALARS: dict[str, st.SearchStrategy[Any]] = {
    "max_tokens": st.integers(1, 4096),
    "temperature": st.floats(0, 2),
    "top_p": st.floats(0.01, 1),
    "seed": st.integers(1, 9999),
    "frequency_penalty": st.floats(0, 2),
    "presence_penalty": st.floats(0, 2),
    "stream": st.booleans(),
    "response_format": st.just({"type": "json_object"}),
}
LEGACY = {"top_k": st.integers(1, 50), "repetition_penalty": st.floats(0.1, 2)}
OPENAI = {
    "stop": st.lists(st.text(max_size=5), min_size=1, max_size=3),
    "stream_options": st.just({"include_usage": True}),
    "tool_choice": st.sampled_from(["auto", {"type": "function", "function": {"name": "f"}}]),
    "top_logprobs": st.integers(0, 20),
}
WRONG = (None, True, 7, 7.5, "wrong", [], ["x"], [{}], {}, {"x": 1}, -1e9, 1e9)
# Breaking one of these breaks what holds it; which of the two is at fault is a matter of taste.
NESTED = ("function", "tool_choice", "stop", "response_format", "content")


@st.composite
def valid_bodies(draw: st.DrawFn, model: models.Model) -> dict[str, Any]:
    body: dict[str, Any] = draw(st.fixed_dictionaries({}, optional=SCALARS))
    body |= draw(st.fixed_dictionaries({}, optional=OPENAI if model.speaks_openai else LEGACY))
    if model.family != "legacy_guard" and draw(st.booleans()):
        body["tools"] = [TOOL] * draw(st.integers(1, 2))
    if not model.speaks_openai and model.family != "legacy_guard" and draw(st.booleans()):
        body["prompt"] = draw(st.text(min_size=1, max_size=5))
        body.pop("tools", None)
        return body
    roles = st.sampled_from(["user", "assistant"])
    body["messages"] = [
        {"role": draw(roles), "content": draw(st.text(max_size=5))} for _ in range(draw(st.integers(1, 4)))
    ]
    return body


def places_in(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    children = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for key, child in children:
        yield (*path, key)
        yield from places_in(child, (*path, key))


@st.composite
def broken_bodies(draw: st.DrawFn) -> tuple[models.Model, dict[str, Any], tuple[Any, ...]]:
    """A body in which one field has a wrong value, or is missing."""
    model = models.models()[draw(st.sampled_from(sorted(models.models())))]
    body = json.loads(json.dumps(draw(valid_bodies(model))))  # parts of it are shared by all that are drawn
    assume(model.refusal(body) is None)
    path = draw(st.sampled_from(list(places_in(body))))
    holder = body
    for key in path[:-1]:
        holder = holder[key]
    is_form = path in {("messages",), ("prompt",)}  # without it nobody knows which form was meant
    if isinstance(holder, dict) and not is_form and draw(st.integers(0, 3)) == 0:
        del holder[path[-1]]
    else:
        holder[path[-1]] = copy.deepcopy(draw(st.sampled_from(WRONG)))
    return model, body, path


@settings(suppress_health_check=[HealthCheck.filter_too_much])  # the validator overlooks many mistakes
@given(broken_bodies())
def test_of_one_broken_field_that_one_is_blamed(
    broken: tuple[models.Model, dict[str, Any], tuple[Any, ...]],
) -> None:
    model, body, path = broken
    text = model.refusal(body)
    assume(text is not None)
    assert text is not None
    event(f"{model.family}: {path[0]}")
    fault = blame(text, body)
    assert fault is not None
    field = tuple(map(str, path))
    inside = fault.path[: len(field)] == field  # the wrong value may hold what is at fault
    assert inside or (fault.path == field[:-1] and fault.path[-1] in NESTED), (text, fault)
