"""Strategies for conversations: every role, every kind of part, calls and their results in every form."""

from hypothesis import strategies as st

from tests.laws.bodies.values import FILLED, NAMES, TEXTS, Body, Strategy, fields, rarely

# One pixel: the smallest image that is one.
PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGA"
    "WjR9awAAAABJRU5ErkJggg=="
)


def _text_part(kind: str = "text") -> Strategy:
    hints = {"prompt_cache_breakpoint": st.just({"mode": "explicit"})} if kind == "text" else {}
    return fields({"type": st.just(kind), kind: TEXTS}, hints)


_TEXT_CONTENT = TEXTS | st.lists(_text_part(), max_size=3)
_DETAILS = {"detail": st.sampled_from(["auto", "low", "high"])}


def _images(urls: Strategy) -> Strategy:
    return fields({"url": urls}, _DETAILS).map(lambda image: {"type": "image_url", "image_url": image})


_ABSENT = st.sampled_from(["https://example.com/cat.png", "data:image/png;base64,###"])
_AUDIO = st.sampled_from(["wav", "mp3"]).map(
    lambda form: {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": form}}
)
_FILE = st.sampled_from([{"file_id": "file-1"}, {"filename": "a.pdf", "file_data": "JVBERi0="}, {}]).map(
    lambda file: {"type": "file", "file": file}
)
PICTURES = _images(st.just(PIXEL))
MEDIA = PICTURES | _images(_ABSENT) | _AUDIO | _FILE


def _speech(role: str, content: Strategy) -> Strategy:
    return fields({"role": st.just(role), "content": content}, {"name": NAMES})


def _function_call(call_id: str, name: str, arguments: str) -> Body:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def _custom_call(call_id: str, name: str, text: str) -> Body:
    return {"id": call_id, "type": "custom", "custom": {"name": name, "input": text}}


_CALLS = st.sampled_from([_function_call, _function_call, _custom_call])
_ARGUMENTS = st.sampled_from([
    "{}", '{"city":"Oslo"}', "", "no json", '{"a":[1,{"b":null}]}', "[1]", "null", '{"a":"\u2028\\u00e9"}',
])  # fmt: skip
# Any text is an id; some products' own, some of ours with and without a backend's in it.
_IDS = st.text(min_size=1, max_size=8) | st.sampled_from([
    "functions.f:0", "call_1", "toolu_01", "call_psabcdefghijklx0x0",
    "call_psabcdefghijklx0x1-ZnVuY3Rpb25zLmY6MA",
])  # fmt: skip
_BESIDE_CALLS = st.sampled_from([
    {}, {"content": None}, {"content": ""}, {"content": "Let me see."}, {"content": []},
    {"content": [{"type": "text", "text": "Now."}]}, {"content": None, "refusal": None, "audio": None},
    {"content": None, "reasoning_content": "hm"}, {"content": None, "function_call": None},
])  # fmt: skip


@st.composite
def _tool_turns(draw: st.DrawFn) -> list[Body]:
    """An assistant's turn with calls, and the answers to all of them, in any order."""
    ids = draw(st.lists(_IDS, min_size=1, max_size=3, unique=True))
    calls = [draw(_CALLS)(call_id, draw(NAMES), draw(_ARGUMENTS)) for call_id in ids]
    turn: Body = {"role": "assistant", "tool_calls": calls} | draw(_BESIDE_CALLS)
    answers = [{"role": "tool", "tool_call_id": call_id, "content": draw(_TEXT_CONTENT)} for call_id in ids]
    return [turn, *(answers if draw(st.booleans()) else answers[::-1])]


@st.composite
def _function_turns(draw: st.DrawFn) -> list[Body]:
    """A call in the deprecated form, where it was not left out, and its answer."""
    name = draw(NAMES)
    call = {"name": name, "arguments": draw(_ARGUMENTS)}
    answer = {"role": "function", "name": name, "content": draw(st.none() | TEXTS)}
    called: Body = {"role": "assistant", "content": None, "function_call": call}
    return [answer] if rarely(draw, 4) else [called, answer]


_ASSISTANT = fields(
    {
        "role": st.just("assistant"),
        "content": TEXTS | st.lists(_text_part() | _text_part("refusal"), max_size=2),
    },
    {
        "refusal": st.none() | TEXTS,
        "name": NAMES,
        "reasoning_content": st.none() | TEXTS,
        "reasoning": st.none() | TEXTS,
        "audio": st.none() | st.just({"id": "audio_1"}),
        "annotations": st.just([]),
        "tool_calls": st.none() | st.just([]),
    },
)
_REFUSED = FILLED.map(lambda words: {"role": "assistant", "content": None, "refusal": words})


_TURNS = st.one_of(
    _speech("system", _TEXT_CONTENT),
    _speech("developer", _TEXT_CONTENT),
    _speech("user", _TEXT_CONTENT),
    _speech("user", TEXTS),
    _ASSISTANT,
    _REFUSED,
    _tool_turns(),
    _function_turns(),
).map(lambda turns: turns if isinstance(turns, list) else [turns])
DIALOGUES = st.lists(_TURNS, min_size=1, max_size=4).map(
    lambda some: [turn for each in some for turn in each]
)


def showing(part: Strategy) -> Strategy:
    """A user's turn that shows more than text."""
    content = st.tuples(part, st.lists(_text_part(), max_size=2)).flatmap(
        lambda drawn: st.permutations([drawn[0], *drawn[1]])
    )
    return _speech("user", content)
