"""Law 4: streamed and whole answers to one question agree up to ids and the spelling of arguments."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.laws import answers, stream_rules
from tests.laws.answers import Said, Spelling
from tests.laws.bodies import NAMES, TEXTS
from tests.laws.exchange import Answer, Translated, deltas_of, read, streamed, translated, whole
from translators.deltas import Block, Choice, Completion, Finish, Usage, WholeCall, fold, unfold
from translators.filters.stop import Stop

PLAIN = {"model": "small", "messages": [{"role": "user", "content": "hi"}]}


def _comparable(completion: Completion) -> list[Any]:
    """A completion without ids and with its arguments as values."""
    choices: list[Any] = []
    for choice in completion.choices:
        calls = [(call.index, call.name, json.loads(call.arguments)) for call in choice.calls]
        choices.append((choice.index, choice.text_of("text") or "", calls, choice.reason))
    usage = completion.usage
    return [choices, None if usage is None or usage.estimated else usage]


@given(said=answers.SAID, spelling=answers.SPELLINGS, text=st.booleans(), nested=st.booleans())
def test_a_whole_answer_and_a_stream_of_the_same_content_are_the_same(
    said: Said,
    spelling: Spelling,
    text: bool,  # noqa: FBT001 - drawn by hypothesis
    nested: bool,  # noqa: FBT001 - drawn by hypothesis
) -> None:
    from_stream = fold(read(answers.stream(said, _ended(spelling))))
    from_whole = fold(read(answers.whole(said, text_arguments=text, nested=nested)))
    assert _comparable(from_stream) == _comparable(from_whole)


@given(said=answers.SAID, spelling=answers.SPELLINGS)
def test_an_answer_says_what_the_backend_said(said: Said, spelling: Spelling) -> None:
    (choice,) = fold(read(answers.stream(said, _ended(spelling)))).choices
    assert (choice.text_of("text") or "") == said.text
    assert [(call.name, json.loads(call.arguments)) for call in choice.calls] == list(said.calls)


def _ended(spelling: Spelling) -> Spelling:
    return Spelling(**{**vars(spelling), "done": True})


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


def _asking(body: dict[str, Any], *, include_usage: bool) -> Translated:
    return translated(body | {"stream": True, "stream_options": {"include_usage": include_usage}})


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
    return {**fields, "calls": calls, "finish_reason": choice["finish_reason"]}


# ---- the whole way

_STOPS = st.lists(st.text("ab ", min_size=1, max_size=3), min_size=1, max_size=3)


@given(said=answers.SAID, spelling=answers.SPELLINGS, stops=st.none() | _STOPS, include_usage=st.booleans())
def test_a_client_gets_the_same_answer_streamed_and_whole(
    said: Said,
    spelling: Spelling,
    stops: list[str] | None,
    include_usage: bool,  # noqa: FBT001 - drawn
) -> None:
    body = PLAIN | {"stop": stops}
    answer = answers.stream(said, _ended(spelling))
    streaming = _asking(body, include_usage=include_usage)
    raw = streamed(streaming, deltas_of(streaming, [answer]))
    chunks = stream_rules.check_chat(raw, choices=1, include_usage=include_usage)
    at_once = translated(body)
    _assert_agree(
        stream_rules.accumulated(chunks), whole(at_once, deltas_of(at_once, [answer])), usage=include_usage
    )


@given(
    pieces=st.lists(st.text("abc ", max_size=4), max_size=8),
    stops=st.lists(st.text("abc", min_size=1, max_size=4), min_size=1, max_size=3),
)
def test_a_stop_string_ends_a_stream_where_it_ends_the_whole_text(
    pieces: list[str], stops: list[str]
) -> None:
    said = Said(pieces=tuple(pieces))
    deltas = read(answers.stream(said, Spelling()))
    stop = Stop(tuple(stops), 1)
    out = [each for delta in deltas for each in stop.feed(delta)]
    (choice,) = fold(out).choices
    ends = [(said.text.find(each) + len(each), said.text.find(each)) for each in stops if each in said.text]
    expected = said.text[: min(ends)[1]] if ends else said.text
    assert (choice.text_of("text") or "") == expected
    assert stop.satisfied == bool(ends)
    assert sum(isinstance(each, Finish) for each in out) == 1


def test_an_answer_of_nothing_is_an_empty_text() -> None:
    answer = Answer(b"data: [DONE]\n\n", {"content-type": "text/event-stream"})
    exchange = _asking(PLAIN, include_usage=False)
    chunks = stream_rules.check_chat(
        streamed(exchange, deltas_of(exchange, [answer])), choices=1, include_usage=False
    )
    (choice,) = stream_rules.accumulated(chunks)["choices"]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("", "stop")
