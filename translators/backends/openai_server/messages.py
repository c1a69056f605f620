"""Turns as OpenAI's messages, which all these servers take; what a product lacks stands in its row."""

from typing import Any, assert_never

from translators import chat
from translators.backends.openai_server.servers import Served
from translators.chat import Turn
from translators.errors import invalid
from translators.report import Fate, Report
from translators.tools import restore_call_id, wrap_custom

Message = dict[str, Any]
Shown = chat.Text | chat.Refusal | chat.Result | chat.Image | chat.Audio | chat.File


class Messages:
    """The messages of one request."""

    def __init__(self, facts: Served, report: Report) -> None:
        self._facts = facts
        self._report = report
        self._functions = 0  # calls in the old form, which have no id

    def translate(self, turns: tuple[Turn, ...]) -> list[Message]:
        """All messages in order.

        Raises:
            ApiError: 400 naming a part that the model cannot take.
        """
        self._report.note("messages", Fate.KEPT)
        return [self._message(turn) for turn in turns]

    def _message(self, turn: Turn) -> Message:
        match turn.parts:
            case (chat.Result() as result,):
                return self._result(result)
        message: Message = {"role": self._role(turn), "content": self._content(turn)}
        if turn.name is not None:
            message["name"] = turn.name
        message |= self._thinking(turn)
        calls = [self._call(part) for part in turn.parts if isinstance(part, chat.Call)]
        if calls:
            message["tool_calls"] = calls
        return message

    def _role(self, turn: Turn) -> str:
        if turn.role != "developer" or self._facts.server.developer:
            return turn.role
        # Chat templates know no such role (llama.cpp#20079, vllm#42407).
        self._report.note("messages", Fate.TRANSFORMED, "developer turns become system turns")
        return "system"

    def _content(self, turn: Turn) -> str | list[dict[str, Any]]:
        """Text as a string, for templates that know no parts; parts only where there is more than text."""
        parts = [
            self._part(part, f"{turn.place}.content[{number}]")
            for number, part in enumerate(turn.parts)
            if not isinstance(part, chat.Reasoning | chat.Call)
        ]
        if any(part["type"] != "text" for part in parts):
            return parts
        if len(parts) > 1:
            self._report.note("messages", Fate.TRANSFORMED, "text parts are joined to one string")
        return "".join(part["text"] for part in parts)

    def _part(self, part: Shown, where: str) -> dict[str, Any]:
        match part:
            case chat.Text(text) | chat.Refusal(text) | chat.Result(text):
                return {"type": "text", "text": text}
            case chat.Image(url, detail):
                if "vision" not in self._facts.can:
                    raise invalid(
                        f"'{where}' is an image, and this model takes none. Choose a model with vision.",
                        where,
                        "unsupported_value",
                    )
                return {"type": "image_url", "image_url": {"url": url} | _given(detail=detail)}
            case chat.Audio(data, form):
                return {"type": "input_audio", "input_audio": {"data": data, "format": form}}
            case chat.File(filename, data, file_id):
                return {"type": "file", "file": _given(filename=filename, file_data=data, file_id=file_id)}
            case _:
                assert_never(part)

    def _thinking(self, turn: Turn) -> dict[str, str]:
        texts = [part.text for part in turn.parts if isinstance(part, chat.Reasoning)]
        if not texts:
            return {}
        field = self._facts.server.thoughts
        if not field:
            self._report.note("messages", Fate.TRANSFORMED, "the thinking of earlier turns is not sent again")
            return {}
        return {field: "".join(texts)}

    def _call(self, call: chat.Call) -> dict[str, Any]:
        call_id = restore_call_id(call.id) if call.id else self._function_id()
        if call.kind == "custom" and self._facts.server.takes_custom_tools:
            custom = {"name": call.name, "input": call.arguments}
            return {"id": call_id, "type": "custom", "custom": custom}
        arguments = wrap_custom(call.arguments) if call.kind == "custom" else call.arguments or "{}"
        return {"id": call_id, "type": "function", "function": {"name": call.name, "arguments": arguments}}

    def _result(self, result: chat.Result) -> Message:
        if result.call_id is None:
            self._report.note("messages", Fate.TRANSFORMED, "function turns become tool turns")
            call_id = f"call_function{max(0, self._functions - 1)}"
        else:
            call_id = restore_call_id(result.call_id)
        return {"role": "tool", "tool_call_id": call_id, "content": result.text}

    def _function_id(self) -> str:
        self._functions += 1
        return f"call_function{self._functions - 1}"


def _given(**fields: str | None) -> dict[str, str]:
    return {name: value for name, value in fields.items() if value is not None}
