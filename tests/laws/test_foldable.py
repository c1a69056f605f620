"""Law 4: streamed and whole answers to one question agree up to ids and the spelling of arguments."""

import json
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from tests.laws import answers, families, stream_rules
from tests.laws.answers import SHAPES, Shape, each_shape
from tests.laws.bodies import NAMES, TEXTS
from tests.laws.exchange import (
    CATALOGUE,
    SEED,
    Translated,
    deltas_of,
    read,
    streamed,
    translated,
    whole,
)
from tests.laws.families import Family, each_family
from translators.deltas import Block, Choice, Completion, Finish, Usage, WholeCall, fold, unfold
from translators.filters.stop import Stop

# Models that think in the text, between tags.
THINKERS = [
    model
    for model, facts in CATALOGUE.models.items()
    if "reasoning" in facts.can and facts.family == "legacy"
]
PLAIN = {"model": "small", "messages": [{"role": "user", "content": "hi"}]}


def _comparable(completion: Completion) -> list[Any]:
    """A completion without ids and with its arguments as values."""
    choices: list[Any] = []
    for choice in completion.choices:
        calls = [(call.index, call.name, json.loads(call.arguments)) for call in choice.calls]
        choices.append((choice.index, choice.text_of("text") or "", calls, choice.reason))
    usage = completion.usage
    return [choices, None if usage is None or usage.estimated else usage]


@each_shape
@given(data=st.data())
def test_a_whole_answer_and_a_stream_of_the_same_content_are_the_same(
    shape: Shape, data: st.DataObject
) -> None:
    made = data.draw(answers.spoken(shape)).done()
    from_stream, from_whole = (_comparable(fold(read(each))) for each in (made.streamed(), made.whole()))
    assert from_stream[0] == from_whole[0]
    # Streams of some spellings do not tell what they used.
    assert from_stream[1] in {None, from_whole[1]}


@each_shape
@given(data=st.data(), whole_answer=st.booleans())
def test_an_answer_says_what_the_backend_said(
    shape: Shape,
    data: st.DataObject,
    whole_answer: bool,  # noqa: FBT001 - drawn by hypothesis
) -> None:
    made = data.draw(answers.spoken(shape)).done()
    (choice,) = fold(read(made.whole() if whole_answer else made.streamed())).choices
    assert (choice.text_of("text") or "").removeprefix(made.preface) == made.said.text
    assert (choice.text_of("reasoning") or "") == ("" if made.preface else "".join(made.said.thinking))
    assert [(call.name, json.loads(call.arguments)) for call in choice.calls] == list(made.said.calls)


@given(model=st.sampled_from(THINKERS), data=st.data())
def test_thinking_in_the_text_is_told_from_the_text(model: str, data: st.DataObject) -> None:
    made = data.draw(answers.spoken(SHAPES["thinking"])).done()
    exchange = translated(PLAIN, model)
    (choice,) = fold(deltas_of(exchange, [made.streamed()])).choices
    # What a model that always thinks says without a tag is thinking where it is cut.
    assume(made.preface or choice.reason != "length")
    assume(made.preface or not any(tag in made.said.text for tag in ("<think>", "</think>")))
    thought = "".join(made.said.thinking)
    assume("</think>" not in thought)
    if made.preface and not thought.strip():
        thought = ""  # white space between the tags is no thought
    assert (choice.text_of("reasoning") or "") == thought
    assert (choice.text_of("text") or "") == (made.said.text.lstrip() if made.preface else made.said.text)


# ---- fold and unfold

_BLOCKS = st.builds(Block, st.sampled_from(["text", "refusal", "reasoning"]), TEXTS)
_REASONS = st.sampled_from(["stop", "length", "tool_calls", "content_filter"])


@st.composite
def _choices(draw: st.DrawFn, index: int) -> Choice:
    items: list[Block | WholeCall] = []
    for item in draw(st.lists(_BLOCKS | st.none(), max_size=5)):
        calls = sum(isinstance(each, WholeCall) for each in items)
        if item is None:
            arguments = json.dumps(draw(answers.ARGUMENTS))
            items.append(WholeCall(calls, f"call_{index}_{calls}", draw(NAMES), arguments))
        elif not (items and isinstance(items[-1], Block) and items[-1].kind == item.kind):
            items.append(item)  # two blocks of one kind beside each other are one
    return Choice(index, tuple(items), draw(_REASONS))


@st.composite
def completions(draw: st.DrawFn) -> Completion:
    """Any whole answer, also of backends that reason and refuse."""
    choices = [draw(_choices(index)) for index in range(draw(st.integers(1, 3)))]
    usage = st.builds(Usage, st.integers(0, 99), st.integers(0, 99), st.none() | st.integers(0, 9))
    return Completion(tuple(choices), draw(st.none() | usage))


@given(completion=completions())
def test_what_is_unfolded_folds_to_the_same(completion: Completion) -> None:
    assert fold(unfold(completion)) == completion


@given(completion=completions(), include_usage=st.booleans())
def test_openais_sdk_reads_our_stream_as_our_whole_answer(
    completion: Completion,
    include_usage: bool,  # noqa: FBT001 - drawn by hypothesis
) -> None:
    exchange = _asking(PLAIN, include_usage=include_usage)
    raw = streamed(exchange, unfold(completion))
    asked = include_usage and completion.usage is not None
    chunks = stream_rules.chunks_of(raw)
    _assert_agree(stream_rules.accumulated(chunks), whole(exchange, unfold(completion)), usage=asked)


def _asking(body: dict[str, Any], model: str = SEED, *, include_usage: bool) -> Translated:
    return translated(body | {"stream": True, "stream_options": {"include_usage": include_usage}}, model)


def _assert_agree(accumulated: dict[str, Any], answer: dict[str, Any], *, usage: bool) -> None:
    assert [_message(choice) for choice in accumulated["choices"]] == [
        _message(choice) for choice in answer["choices"]
    ]
    assert accumulated.get("usage") == (answer["usage"] if usage else None)
    assert (accumulated["id"], accumulated["model"]) == (answer["id"], answer["model"])


def _message(choice: dict[str, Any]) -> dict[str, Any]:
    """What a client reads of a choice; the accumulating SDK adds an index to calls, and parsed arguments."""
    message = choice["message"]
    calls = [
        (call["id"], call["type"], call["function"]["name"], call["function"]["arguments"])
        for call in message.get("tool_calls") or []
    ]
    fields = {name: message.get(name) for name in ("role", "content", "refusal", "reasoning_content")}
    scores = (choice.get("logprobs") or {}).get("content")
    return {**fields, "calls": calls, "scores": scores, "finish_reason": choice["finish_reason"]}


# ---- the whole way

_STOPS = st.lists(st.text("ab ", min_size=1, max_size=3), min_size=1, max_size=3)


@each_family
@given(data=st.data(), stops=st.none() | _STOPS, include_usage=st.booleans())
def test_a_client_gets_the_same_answer_streamed_and_whole(
    family: Family,
    data: st.DataObject,
    stops: list[str] | None,
    include_usage: bool,  # noqa: FBT001 - drawn
) -> None:
    asked = data.draw(families.asked(family))
    body, answer = PLAIN | {"stop": stops}, asked.answer.done().streamed()
    streaming = _asking(body, asked.model, include_usage=include_usage)
    raw = streamed(streaming, deltas_of(streaming, [answer]))
    chunks = stream_rules.check_chat(raw, choices=1, include_usage=include_usage)
    at_once = translated(body, asked.model)
    _assert_agree(
        stream_rules.accumulated(chunks), whole(at_once, deltas_of(at_once, [answer])), usage=include_usage
    )


@each_family
@given(data=st.data())
def test_a_client_gets_the_same_answer_from_a_backend_that_streams_and_one_that_does_not(
    family: Family, data: st.DataObject
) -> None:
    asked = data.draw(families.asked(family))
    made, got = asked.answer.done(), []
    for answer in (made.streamed(), made.whole()):
        exchange = translated(PLAIN, asked.model)
        got.append([_without_ids(each) for each in whole(exchange, deltas_of(exchange, [answer]))["choices"]])
    assert got[0] == got[1]


def _without_ids(choice: dict[str, Any]) -> dict[str, Any]:
    message = _message(choice)
    calls = [(kind, name, json.loads(arguments)) for _, kind, name, arguments in message["calls"]]
    return {**message, "calls": calls}


@given(
    pieces=st.lists(st.text("abc ", max_size=4), min_size=1, max_size=8),
    stops=st.lists(st.text("abc", min_size=1, max_size=4), min_size=1, max_size=3),
)
def test_a_stop_string_ends_a_stream_where_it_ends_the_whole_text(
    pieces: list[str], stops: list[str]
) -> None:
    text = "".join(pieces)
    deltas = read(answers.stream([{"response": piece} for piece in pieces]))
    stop = Stop(tuple(stops), 1)
    out = [each for delta in deltas for each in stop.feed(delta)]
    (choice,) = fold(out).choices
    ends = [(text.find(each) + len(each), text.find(each)) for each in stops if each in text]
    expected = text[: min(ends)[1]] if ends else text
    assert (choice.text_of("text") or "") == expected
    assert stop.satisfied == bool(ends)
    assert sum(isinstance(each, Finish) for each in out) == 1


def test_an_answer_of_nothing_is_an_empty_text() -> None:
    answer = answers.stream([{"response": ""}])
    exchange = _asking(PLAIN, include_usage=False)
    chunks = stream_rules.check_chat(
        streamed(exchange, deltas_of(exchange, [answer])), choices=1, include_usage=False
    )
    (choice,) = stream_rules.accumulated(chunks)["choices"]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("", "stop")
