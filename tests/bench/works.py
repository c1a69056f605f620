"""The works to measure: what the client asks, what the upstream answers, and what a right answer is.

The upstream knows a work by a mark in the prompt, because that is what every gateway passes on unchanged.
"""

import json
from dataclasses import dataclass
from typing import Any

MODEL = "@cf/meta/llama-3.1-8b-instruct-fast"

EVENTS = 100
PIECES = tuple(f" word{number}" for number in range(EVENTS - 2))  # the last two events end the stream
TEXT = "".join(PIECES)
GAP_SECONDS = 0.02

# Workers AI pads its events with a prefix, of changing length, of this alphabet repeated.
PADDING = "abdefghijklmnoprstuvxyz1234567890" * 2
USAGE = {"prompt_tokens": 40, "completion_tokens": EVENTS - 2, "total_tokens": 40 + EVENTS - 2}


@dataclass(frozen=True)
class Work:
    """One kind of request, and how many connections send it at once."""

    name: str
    title: str
    mark: str
    stream: bool
    connections: int
    paced: bool = False
    seconds: float = 0.0  # that an answer takes, however idle everything is

    def body(self, model: str) -> bytes:
        """The client's request, in OpenAI's form."""
        return _encode(
            {
                "model": model,
                "messages": [
                    {
                        "role": "system",
                        "content": "You are a helpful assistant. Answer in one short paragraph.",
                    },
                    {"role": "user", "content": f"Why do rivers meander? ({self.mark})"},
                ],
                "max_tokens": 256,
                "temperature": 0.7,
                "stream": self.stream,
            }
        )


CHAT = Work("chat", "JSON chat, 32 connections", "work=chat", stream=False, connections=32)
BURST = Work(
    "burst", "100-event stream in one burst, 32 connections", "work=burst", stream=True, connections=32
)
PACED = Work(
    "paced",
    "100-event stream paced at 20 ms, 100 at once",
    "work=paced",
    stream=True,
    connections=100,
    paced=True,
    seconds=EVENTS * GAP_SECONDS,
)
WORKS = (CHAT, BURST, PACED)

# A whole chat after the time that a small and fast model needs for it.
THOUGHT = Work(
    "thought", "JSON chat after 250 ms", "work=thought", stream=False, connections=500, seconds=0.25
)

# A slow stream whose deltas say when the upstream wrote them; `tests.bench.streams` opens many of these.
TIMED = Work("timed", "stream of timed deltas", "work=timed", stream=True, connections=5000)
TIMED_EVENTS = 20
TIMED_GAP_SECONDS = 1.0
TIME_MARK = b" at="


def _encode(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def openai_answer() -> bytes:
    """A whole chat completion in OpenAI's form."""
    message = {"role": "assistant", "content": TEXT}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    return _encode(_openai("chat.completion", choice) | {"usage": USAGE})


def legacy_answer() -> bytes:
    """A whole answer of Workers AI's legacy models, in Cloudflare's envelope."""
    result = {"response": TEXT, "tool_calls": [], "usage": USAGE}
    return _encode({"result": result, "success": True, "errors": [], "messages": []})


def openai_events() -> list[bytes]:
    """A stream in OpenAI's form: the pieces, the finish, [DONE]."""
    deltas: list[tuple[dict[str, str], str | None]] = [({"content": piece}, None) for piece in PIECES]
    deltas[0][0]["role"] = "assistant"
    deltas.append(({}, "stop"))
    choices = ({"index": 0, "delta": delta, "logprobs": None, "finish_reason": end} for delta, end in deltas)
    return _events([_openai("chat.completion.chunk", choice) for choice in choices])


def legacy_events() -> list[bytes]:
    """A stream of Workers AI's legacy models: padded pieces, the usage, [DONE]."""
    pieces: list[dict[str, Any]] = [
        {"response": piece, "tool_calls": [], "p": PADDING[: 4 + number * 7 % 40]}
        for number, piece in enumerate(PIECES)
    ]
    return _events([*pieces, {"response": "", "usage": USAGE}])


def _openai(kind: str, choice: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": "chatcmpl-bench",
        "object": kind,
        "created": 1700000000,
        "model": MODEL,
        "choices": [choice],
    }


def timed_event(seconds: float) -> bytes:
    """One delta of Workers AI's legacy form that says when it was written."""
    text = f"{TIME_MARK.decode()}{seconds:.6f} "
    return _events([{"response": text, "tool_calls": [], "p": PADDING[:20]}])[0]


def _events(values: list[dict[str, Any]]) -> list[bytes]:
    return [b"data: %s\n\n" % _encode(value) for value in values] + [b"data: [DONE]\n\n"]


def fault(work: Work, status: int, body: bytes) -> str | None:
    """Say what is wrong with an answer, by the checks that are cheap enough for each one."""
    if not 200 <= status < 300:
        return f"status {status}: {_quote(body)}"
    if not work.stream:
        return None if TEXT.encode() in body else f"the answer lacks the text: {_quote(body)}"
    if not body.rstrip().endswith(b"data: [DONE]"):
        return f"the stream does not end with [DONE]: ... {_quote(body[-200:])}"
    if (events := body.count(b"data: ")) < EVENTS:
        return f"the stream has {events} events instead of at least {EVENTS}"
    return None


def deep_fault(work: Work, body: bytes) -> str | None:
    """Say what is wrong with the text of an answer that `fault` let pass."""
    try:
        text = _stream_text(body) if work.stream else json.loads(body)["choices"][0]["message"]["content"]
    except (ValueError, LookupError, TypeError) as error:
        return f"the answer is not in OpenAI's form ({error!r}): {_quote(body)}"
    return None if text == TEXT else f"the answer's text is not the upstream's: {text[:200]!r}"


def _stream_text(body: bytes) -> str:
    lines = (line.removeprefix(b"data: ") for line in body.splitlines() if line.startswith(b"data: "))
    chunks = (json.loads(line) for line in lines if line != b"[DONE]")
    return "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])


def _quote(body: bytes) -> str:
    return body[:200].decode(errors="replace")
