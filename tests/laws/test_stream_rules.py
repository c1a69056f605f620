"""The canonical stream, rules R1 to R12, over generated answers to every kind of question."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.laws import answers, bodies, stream_rules
from tests.laws.exchange import Answer, Translated, deltas_of, streamed, translated
from tests.laws.families import Family, each_family
from translators.chat import ChatRequest
from translators.deltas import Failed, Finish, Reasoning, Refusal, Text


@each_family
@given(body=bodies.chat_bodies(media=None), data=st.data())
def test_every_stream_of_chat_obeys_the_rules(
    family: Family, body: dict[str, Any], data: st.DataObject
) -> None:
    exchange, raw, broken = _answered(family, body, data)
    if broken:
        assert _wants_json(exchange.request)  # no answer is better than a wrong one
        stream_rules.check_broken(raw)
        return
    include_usage = exchange.request.include_usage
    stream_rules.check_chat(raw, choices=exchange.request.choices, include_usage=include_usage)


@each_family
@given(body=bodies.completion_bodies(), data=st.data())
def test_every_stream_of_completions_obeys_the_rules(
    family: Family, body: dict[str, Any], data: st.DataObject
) -> None:
    exchange, raw, broken = _answered(family, body, data)
    if broken:
        assert _wants_json(exchange.request)
        stream_rules.check_broken(raw)
        return
    choices = exchange.request.choices * len(exchange.request.prompts)
    stream_rules.check_completion(raw, choices=choices, include_usage=exchange.request.include_usage)


def _wants_json(request: ChatRequest) -> bool:
    asks = {"guided_json", "structured_outputs"}
    return request.response_format is not None or not asks.isdisjoint(request.extra)


def _answered(family: Family, body: dict[str, Any], data: st.DataObject) -> tuple[Translated, bytes, bool]:
    """The client's stream of generated answers to a question, and whether it broke."""
    model = data.draw(st.sampled_from(family.models))
    exchange = translated(body | {"stream": True, "stream_options": body.get("stream_options")}, model)
    spoken = [data.draw(answers.one_of(family.shapes)) for _ in exchange.dialogue.first()]
    deltas = deltas_of(exchange, [each.streamed() for each in spoken])
    return exchange, streamed(exchange, deltas), isinstance(deltas[-1], Failed)


def test_thinking_alone_ends_with_an_empty_text_as_the_whole_answer_does() -> None:
    exchange = translated({"model": "small", "messages": [{"role": "user", "content": "hi"}]})
    raw = streamed(exchange, [Reasoning(0, "hm"), Reasoning(0, "."), Finish(0, "length")])
    chunks = stream_rules.check_chat(raw, choices=1, include_usage=False)
    (choice,) = stream_rules.accumulated(chunks)["choices"]
    assert choice["message"]["reasoning_content"] == "hm."
    assert choice["message"]["content"] == ""


@pytest.mark.parametrize(("last", "content"), [(Text(0, "so"), "so"), (Refusal(0, "no"), None)])
def test_thinking_before_an_answer_leaves_the_answer_alone(last: Text | Refusal, content: str | None) -> None:
    exchange = translated({"model": "small", "messages": [{"role": "user", "content": "hi"}]})
    raw = streamed(exchange, [Reasoning(0, "hm"), last, Finish(0, "stop")])
    chunks = stream_rules.check_chat(raw, choices=1, include_usage=False)
    (choice,) = stream_rules.accumulated(chunks)["choices"]
    assert choice["message"]["content"] == content


# Each is one deviation from the canonical form; the check must notice it.
_HEAD = b'{"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":'
_ROLE = (
    _HEAD + b'[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}]}'
)
_END = _HEAD + b'[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}]}'
_DEVIATIONS = {
    "no role": [_END],
    "role twice": [_ROLE, _ROLE, _END],
    "no finish": [_ROLE],
    "two finishes": [_ROLE, _END, _END],
    "an odd reason": [_ROLE, _END.replace(b'"stop"', b'"eos_token"')],
    "usage that nobody asked for": [_ROLE, _END[:-1] + b',"usage":null}'],
    "another id": [_ROLE.replace(b'"c"', b'"d"'), _END],
    "another object": [_ROLE.replace(b".chunk", b""), _END.replace(b".chunk", b"")],
    "an error of null": [_ROLE[:-1] + b',"error":null}', _END],
    "no choices": [_ROLE, _HEAD + b"[]}", _END],
    "choices of null": [_ROLE, _HEAD + b"null}", _END],
    "a delta of null": [_ROLE, _END.replace(b"{}", b"null")],
    "obfuscation": [_ROLE[:-1] + b',"obfuscation":"x"}', _END],
    "an index from 1": [_ROLE.replace(b'"index":0', b'"index":1'), _END.replace(b'"index":0', b'"index":1')],
}


def _events(chunks: list[bytes]) -> bytes:
    return b"".join(b"data: " + chunk + b"\n\n" for chunk in [*chunks, b"[DONE]"])


def test_the_canonical_form_passes_the_check() -> None:
    stream_rules.check_chat(_events([_ROLE, _END]), choices=1, include_usage=False)


@pytest.mark.parametrize("name", _DEVIATIONS)
def test_the_check_notices(name: str) -> None:
    with pytest.raises((AssertionError, ValueError, TypeError)):
        stream_rules.check_chat(_events(_DEVIATIONS[name]), choices=1, include_usage=False)


def test_the_check_notices_a_bare_end_of_line() -> None:
    raw = _events([_ROLE, _END]).replace(b"\n\n", b"\r\n\r\n")
    with pytest.raises(AssertionError):
        stream_rules.check_chat(raw, choices=1, include_usage=False)


def test_an_answer_in_an_unknown_form_is_an_error_and_no_stream() -> None:
    exchange = translated({"model": "small", "messages": [{"role": "user", "content": "hi"}]})
    raw = streamed(exchange, deltas_of(exchange, [Answer(b"<html>", {"content-type": "text/html"})]))
    assert stream_rules.check_broken(raw)["code"] == "bad_backend_answer"
