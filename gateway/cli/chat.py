"""The demo's chat: a question, a tool call, the tool's result and the answer, streamed over HTTP."""

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

Message = dict[str, Any]

QUESTION = "What is the weather in Lisbon?"
WEATHER = {"temperature_celsius": 21, "sky": "clear", "wind": "a light breeze from the sea"}
TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city right now.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "description": "Name of the city."}},
            "required": ["city"],
        },
    },
}


class ChatError(Exception):
    """The chat did not go as it should."""


@dataclass(slots=True)
class Answer:
    """One streamed answer, put together."""

    text: str = ""
    calls: dict[int, Message] = field(default_factory=dict)
    finish_reason: str | None = None
    total_tokens: int = 0

    def add(self, chunk: dict[str, Any]) -> str:
        """Take one chunk in, and give the text it brought."""
        self.total_tokens = (chunk.get("usage") or {}).get("total_tokens", self.total_tokens)
        text = ""
        for choice in chunk.get("choices", []):
            delta = choice["delta"]
            text += delta.get("content") or ""
            self.finish_reason = choice.get("finish_reason") or self.finish_reason
            for piece in delta.get("tool_calls") or []:
                self._add_call(piece)
        self.text += text
        return text

    def _add_call(self, piece: dict[str, Any]) -> None:
        empty = {"id": "", "type": "function", "function": {"name": "", "arguments": ""}}
        call = self.calls.setdefault(piece["index"], empty)
        call["id"] = piece.get("id") or call["id"]
        function = piece.get("function", {})
        call["function"]["name"] += function.get("name") or ""
        call["function"]["arguments"] += function.get("arguments") or ""


async def chat(client: httpx.AsyncClient, model: str, say: Callable[[str], None]) -> bool:
    """Hold the whole conversation, and tell whether the model called the tool."""
    messages: list[Message] = [{"role": "user", "content": QUESTION}]
    say(f"you    {QUESTION}\n")
    answer = await _ask(client, model, messages, say)
    calls = list(answer.calls.values())
    if calls:
        messages.append({"role": "assistant", "content": answer.text or None, "tool_calls": calls})
        messages.extend(_result(call, say) for call in calls)
        answer = await _ask(client, model, messages, say)
    if not answer.text:
        raise ChatError("the model gave no answer in words")
    say(f"       ({answer.total_tokens} tokens)\n")
    return bool(calls)


def _result(call: Message, say: Callable[[str], None]) -> Message:
    function = call["function"]
    result = json.dumps(WEATHER)
    say(f"call   {function['name']}({function['arguments']})\n")
    say(f"tool   {result}\n")
    return {"role": "tool", "tool_call_id": call["id"], "content": result}


async def _ask(
    client: httpx.AsyncClient, model: str, messages: list[Message], say: Callable[[str], None]
) -> Answer:
    answer = Answer()
    body = {
        "model": model,
        "messages": messages,
        "tools": [TOOL],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    async for chunk in _chunks(client, body):
        text = answer.add(chunk)
        if text:
            say(text if len(answer.text) > len(text) else f"model  {text}")
    if answer.text:
        say("\n")
    if answer.finish_reason is None:
        raise ChatError("the answer ended without a finish_reason")
    return answer


async def _chunks(client: httpx.AsyncClient, body: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
    async with client.stream("POST", "chat/completions", json=body) as response:
        if response.is_error:
            reply = (await response.aread()).decode(errors="replace")
            raise ChatError(f"the gateway answered with status {response.status_code}: {reply}")
        async for line in response.aiter_lines():
            data = line.removeprefix("data: ")
            if data == "[DONE]":
                return
            if data == line:  # blank lines and comments
                continue
            chunk = json.loads(data)
            if "error" in chunk:
                raise ChatError(f"the stream broke: {chunk['error'].get('message')}")
            yield chunk
    raise ChatError("the stream ended without [DONE]")
