"""What a request may ask for that a model cannot meet: the only good reasons for a 400."""

import re
from collections.abc import Mapping
from typing import Any, Final

from translators.backends.workers_ai.catalogue import Facts

_MISSING: Final = object()
_STEP: Final = re.compile(r"([^.\[\]]+)|\[(\d+)\]")


def cannot_be_met(parameter: str, body: Mapping[str, Any], facts: Facts) -> bool:
    """Whether the parameter of this name asks for something that a model with these facts lacks."""
    value = _at(parameter, body)
    if value is _MISSING:
        return False
    match parameter.partition(".")[0].partition("[")[0]:
        case "audio":
            return True
        case "modalities":
            return "audio" in value
        case "image":
            return _holds_image(body)
        case "messages":
            return _cannot_be_read(value, facts)
    return False


def _at(parameter: str, body: Mapping[str, Any]) -> Any:
    """The value that `messages[0].content[1]` names."""
    value: Any = body
    for key, index in _STEP.findall(parameter):
        try:
            value = value[key] if key else value[int(index)]
        except (KeyError, IndexError, TypeError):
            return _MISSING
    return value


def sees(facts: Facts) -> bool:
    """Whether a model takes images."""
    return "vision" in facts.can or facts.content == "image_parts"


def _cannot_be_read(part: Any, facts: Facts) -> bool:
    """Sound, a file, an image for a model that sees none, or the URL of one that is not at hand."""
    if isinstance(part, str):
        return not part.startswith("data:image/") or "#" in part
    if part.get("type") == "image_url":
        return not sees(facts)
    return part.get("type") in {"input_audio", "file"}


def _holds_image(body: Mapping[str, Any]) -> bool:
    contents = [message.get("content") for message in body.get("messages", ())]
    parts = [part for content in contents if isinstance(content, list) for part in content]
    return any(part.get("type") == "image_url" for part in parts)
