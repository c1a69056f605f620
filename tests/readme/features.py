"""What each model can do through the gateway, found out by asking for it.

Every cell comes from an answer: that of the gateway before the simulated account, or that of
`/v1/translate`, which shows the body that goes to the model.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import httpx

from tests.e2e.test_families import HELLO, SCHEMA, TOOL, WEATHER

Json = dict[str, Any]

YES: Final = "yes"
NO: Final = "-"
EFFORTS: Final = ("minimal", "low", "medium", "high", "xhigh", "max")
PICTURE: Final = "data:image/gif;base64,R0lGODlhAQABAAAAACw="


@dataclass(frozen=True)
class Model:
    """One model behind the gateway."""

    client: httpx.Client
    name: str

    def ask(self, messages: Any = HELLO, **fields: Any) -> Json:
        """The first choice of a whole answer; none where the gateway refuses."""
        answer = self.client.post("chat/completions", json=self._body(messages, fields))
        if answer.status_code == httpx.codes.BAD_REQUEST:
            return {"message": {}, "finish_reason": "refused"}
        assert answer.status_code == httpx.codes.OK, answer.text
        choice: Json = answer.json()["choices"][0]
        return choice

    def say(self, messages: Any = HELLO, **fields: Any) -> str:
        """The text of a whole answer."""
        return self.ask(messages, **fields)["message"].get("content") or ""

    def stream(self, **fields: Any) -> list[Json]:
        """The events of a stream that ends as it should; none of one that does not."""
        body = self._body(HELLO, {"stream": True, **fields})
        *events, done, end = self.client.post("chat/completions", json=body).text.split("\n\n")
        is_whole = (done, end) == ("data: [DONE]", "")
        return [json.loads(event.removeprefix("data: ")) for event in events] if is_whole else []

    def sent(self, messages: Any = HELLO, **fields: Any) -> Json:
        """The body that goes to the model; empty where the gateway refuses."""
        answer = self.client.post("translate", json=self._body(messages, fields))
        return answer.json()["calls"][0]["body"] if answer.status_code == httpx.codes.OK else {}

    def facts(self) -> Json:
        """What `/v1/models` says of it."""
        stated: Json = self.client.get(f"models/{self.name}").json()
        return stated

    def _body(self, messages: Any, fields: Mapping[str, Any]) -> Json:
        return {"model": self.name, "messages": messages, **fields}


def _window(model: Model) -> str:
    window = model.facts().get("context_length")
    return f"{window:,}" if window else NO


def _whole(model: Model) -> str:
    choice = model.ask()
    return YES if choice["finish_reason"] == "stop" and choice["message"]["content"] else NO


def _stream(model: Model) -> str:
    """Streamed: in several pieces, or in one that was made of a whole answer; the same text in any case."""
    deltas = [choice["delta"] for event in model.stream() for choice in event["choices"]]
    pieces = [delta["content"] for delta in deltas if delta.get("content")]
    return YES if pieces and "".join(pieces) == model.say() else NO


def _tools(model: Model) -> str:
    asked = {"tools": [TOOL]}
    if not _calls_the_weather(model.ask(WEATHER, **asked)):
        return NO
    return "native" if "tools" in model.sent(WEATHER, **asked) else "emulated"


def _forced(model: Model) -> str:
    """A tool that the question gives no reason to call."""
    choice = {"type": "function", "function": {"name": "get_weather"}}
    calls = model.ask(tools=[TOOL], tool_choice=choice)["message"].get("tool_calls") or []
    return YES if [call["function"]["name"] for call in calls] == ["get_weather"] else NO


def _calls_the_weather(choice: Json) -> bool:
    functions = [call["function"] for call in choice["message"].get("tool_calls") or []]
    paris = [(each["name"], json.loads(each["arguments"])) for each in functions]
    return choice["finish_reason"] == "tool_calls" and paris == [("get_weather", {"city": "Paris"})]


def _schema(model: Model) -> str:
    form = {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}}
    try:
        fits = json.loads(model.say(response_format=form)).keys() == {"a"}
    except ValueError:
        fits = False
    if not fits:
        return NO
    sent = model.sent(response_format=form)
    return "native" if "response_format" in sent else "guided" if "guided_json" in sent else "prompted"


def _vision(model: Model) -> str:
    """Several schemas take pictures of whose sight Cloudflare's list says nothing."""
    parts = [{"type": "text", "text": "Look"}, {"type": "image_url", "image_url": {"url": PICTURE}}]
    if "see the image" not in model.say([{"role": "user", "content": parts}]):
        return NO
    return YES if "vision" in model.facts().get("capabilities", []) else "taken"


def _thinking(model: Model) -> str:
    """The levels that reach the model as they are, and whether it can be told not to think."""
    if not model.ask()["message"].get("reasoning_content"):
        return NO
    levels = [each for each in EFFORTS if model.sent(reasoning_effort=each).get("reasoning_effort") == each]
    off = model.ask(reasoning_effort="none")["message"].get("reasoning_content") is None
    return ", ".join([*(levels or ["on"]), *(["off"] if off else [])])


def _lora(model: Model) -> str:
    is_able = "lora" in model.facts().get("capabilities", [])
    return YES if is_able and model.sent(lora="mine").get("lora") == "mine" and model.say(lora="mine") else NO


COLUMNS: Final[Mapping[str, Callable[[Model], str]]] = {
    "window": _window,
    "whole": _whole,
    "stream": _stream,
    "tools": _tools,
    "forced tool": _forced,
    "JSON schema": _schema,
    "vision": _vision,
    "thinking": _thinking,
    "LoRA": _lora,
}


def row(model: Model) -> list[str]:
    """The cells of a model."""
    return [f"`{model.name}`", *(cell(model) for cell in COLUMNS.values())]


def table(rows: list[list[str]]) -> str:
    """A table in Markdown."""
    lines = [["model", *COLUMNS], ["---"] * (1 + len(COLUMNS)), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
