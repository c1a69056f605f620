"""Turns, written as messages of `role` and `content`, both strings, which every schema takes.

Where the model's content union takes image parts, a turn with images becomes an array of parts; where
only the field `image` exists and the model sees, the one image goes there. `tool_calls`, `tool_call_id`
and `name` are not in the schema but pass its validator, and the models' chat templates use them.
"""

from math import inf
from typing import Any, Final

from translators import chat
from translators.backends.workers_ai.catalogue import Facts
from translators.backends.workers_ai.images import read_image
from translators.chat import Part, Turn
from translators.errors import invalid
from translators.report import Fate, Report
from translators.tools import restore_call_id, wrap_custom

Message = dict[str, Any]

_DATA_URL: Final = "data:image/"
_BROKEN_DATA_URL: Final = "data:\u200bimage/"  # a zero-width space

_SYSTEM: Final = "developer turns become system turns"

_DETAILS: Final = ("auto", "low", "high")  # of images, in OpenAI's schema


class Messages:
    """The messages of one request, and the image where it goes beside them."""

    def __init__(self, facts: Facts, report: Report) -> None:
        self._facts = facts
        self._report = report
        self._names: dict[str, str] = {}  # call id -> the name of the tool, for the tool's answer
        self._functions = 0  # calls in the old form, which have no id
        self._looks_for_images = facts.looks_for_images
        self._longest = inf if facts.text_limit is None else facts.text_limit  # in UTF-16 units
        self.image: list[int] | None = None

    def translate(self, turns: tuple[Turn, ...]) -> list[Message]:
        """All messages in order.

        Raises:
            ApiError: 400 naming a part that the model cannot take.
        """
        self._report.note("messages", Fate.KEPT)
        messages = [self._message(turn) for turn in turns]
        return [self._judged(message) for message in messages] if self._facts.guards else messages

    def _judged(self, message: Message) -> Message:
        """A message as a model takes it that judges what users and assistants said to one another."""
        role = "assistant" if message["role"] == "assistant" else "user"
        if message.keys() != {"role", "content"} or role != message["role"]:
            note = "all turns become plain ones of users and assistants"
            self._report.note("messages", Fate.TRANSFORMED, note)
        return {"role": role, "content": message["content"]}

    def _message(self, turn: Turn) -> Message:
        first = turn.parts[0] if len(turn.parts) == 1 else None
        if isinstance(first, chat.Text) and turn.name is None and turn.role != "developer":  # nearly all
            return {"role": turn.role, "content": self._whole(first.text, turn)}
        if isinstance(first, chat.Result):
            return self._result(first, turn)
        if turn.role == "developer":
            self._report.note("messages", Fate.TRANSFORMED, _SYSTEM)
        name = {"name": turn.name} if turn.name is not None and self._facts.speaks_openai else {}
        if turn.name is not None and not name:
            self._report.note("messages", Fate.TRANSFORMED, "names of speakers are not sent")
        role = "system" if turn.role == "developer" else turn.role
        if isinstance(first, chat.Text):
            return {"role": role, "content": self._whole(first.text, turn), **name}
        message: Message = {"role": role, "content": self._content(turn), **name}
        if self._facts.takes_thoughts:
            message |= self._thinking(turn)
        calls = [self._call(part) for part in turn.parts if isinstance(part, chat.Call)]
        if calls:
            message["tool_calls"] = calls
        return message

    def _whole(self, text: str, turn: Turn) -> str:
        """The text of a turn that holds nothing else."""
        if self._looks_for_images:
            text = self._harmless(text)
        if len(text) * 2 > self._longest:  # a character has two units at most
            self._check_length(text, turn)
        return text

    def _content(self, turn: Turn) -> str | list[dict[str, Any]]:
        texts: list[str] = []
        parts: list[dict[str, Any]] = []
        for k, part in enumerate(turn.parts):
            match part:
                case chat.Text(words) | chat.Refusal(words):
                    text = self._harmless(words)
                    texts.append(text)
                    parts.append({"type": "text", "text": text})
                case chat.Image():
                    parts += self._image(part, turn.role, f"{turn.place}.content[{k}]")
                case chat.Reasoning() if not self._facts.takes_thoughts:
                    note = "the thinking of earlier turns is not sent again"
                    self._report.note("messages", Fate.TRANSFORMED, note)
                case chat.Audio() | chat.File():
                    raise _cannot_take(part, f"{turn.place}.content[{k}]")
        has_images = len(parts) > len(texts)
        if not parts:
            # Content null beside tool calls is legal in OpenAI and refused by the schema.
            self._report.note("messages", Fate.TRANSFORMED, "missing content becomes an empty string")
        if len(texts) > 1 and not has_images:
            self._report.note("messages", Fate.TRANSFORMED, "text parts are joined to one string")
        text = "".join(texts)
        if len(text) * 2 > self._longest:
            self._check_length(text, turn)
        return parts if has_images else text

    def _harmless(self, text: str) -> str:
        return harmless(text, "messages", self._facts, self._report)

    def _thinking(self, turn: Turn) -> dict[str, str]:
        """Replayed thinking, never inside the content, which garbles it.

        It has two names: vLLM reads the one (release notes of Cloudflare's provider), SGLang the other, and
        answers of Workers AI bear the marks of both.
        """
        texts = [self._harmless(part.text) for part in turn.parts if isinstance(part, chat.Reasoning)]
        return dict.fromkeys(("reasoning", "reasoning_content"), "".join(texts)) if texts else {}

    def _image(self, image: chat.Image, role: chat.Role, where: str) -> list[dict[str, Any]]:
        """An image as a part; or none, where it went into the field `image`."""
        if self._facts.content != "image_parts" and "vision" not in self._facts.can:
            raise invalid(
                f"'{where}' is an image, and this model takes none. Choose a model with vision.",
                where,
                "unsupported_value",
            )
        if self._facts.content == "openai" and role != "user":
            raise invalid(
                f"'{where}' is an image, and this model takes images in users' turns only.",
                where,
                "unsupported_value",
            )
        data, url = read_image(image.url, f"{where}.image_url.url")
        if url != image.url:
            note = "an image's URL becomes the plain one of the type that its bytes tell"
            self._report.note("messages", Fate.TRANSFORMED, note)
        details = _DETAILS if self._facts.content == "openai" else ()
        if image.detail not in (None, "auto", *details):
            self._report.note("messages", Fate.TRANSFORMED, "the detail of images is not sent")
        if self._facts.content in ("openai", "image_parts"):
            detail = {"detail": image.detail} if image.detail in details else {}
            return [{"type": "image_url", "image_url": {"url": url, **detail}}]
        if self.image is not None:
            raise invalid(
                f"'{where}' is a second image, and this model takes one.", where, "unsupported_value"
            )
        self.image = list(data)
        self._report.note("messages", Fate.TRANSFORMED, "the image goes into the field 'image'")
        return []

    def _check_length(self, text: str, turn: Turn) -> None:
        limit, length = self._longest, utf16_length(text)
        if length > limit:
            where = f"{turn.place}.content"
            raise invalid(
                f"'{where}' has {length} characters, and this model takes at most {limit} in one message. "
                "Split the text over several messages.",
                where,
                "string_above_max_length",
            )

    def _call(self, call: chat.Call) -> dict[str, Any]:
        call_id = restore_call_id(call.id) if call.id else self._function_id()
        self._names[call.id or call_id] = call.name
        arguments = call.arguments or "{}"
        if call.kind == "custom":
            arguments = wrap_custom(call.arguments)
        function = {"name": call.name, "arguments": self._harmless(arguments)}
        return {"id": call_id, "type": "function", "function": function}

    def _result(self, result: chat.Result, turn: Turn) -> Message:
        if len(result.text) * 2 > self._longest:
            self._check_length(result.text, turn)
        if result.call_id is None:
            self._report.note("messages", Fate.TRANSFORMED, "function turns become tool turns")
            # OpenAI's schema wants an id also where the call is not among the turns.
            call_id = f"call_function{max(0, self._functions - 1)}"
        else:
            call_id = restore_call_id(result.call_id)
        name = result.name or self._names.get(result.call_id or "")
        text = self._harmless(result.text)
        message: Message = {"role": "tool", "content": text, "tool_call_id": call_id}
        return message if name is None else {**message, "name": name}

    def _function_id(self) -> str:
        self._functions += 1
        return f"call_function{self._functions - 1}"


def harmless(text: str, parameter: str, facts: Facts, report: Report) -> str:
    """Text in which the server finds no image: it scans even plain text for data URLs (code 8006)."""
    if not facts.looks_for_images or _DATA_URL not in text:
        return text
    report.note(parameter, Fate.TRANSFORMED, "data URLs in text are broken by an invisible character")
    return text.replace(_DATA_URL, _BROKEN_DATA_URL)


def utf16_length(text: str) -> int:
    """Length in UTF-16 code units, which is what Workers AI's validator counts."""
    return len(text) + sum(character > "\uffff" for character in text)


def _cannot_take(part: Part, where: str) -> Exception:
    kind = "audio" if isinstance(part, chat.Audio) else "a file"
    return invalid(f"'{where}' is {kind}, and this model takes text only.", where, "unsupported_value")
