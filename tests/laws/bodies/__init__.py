"""Strategies for request bodies: whatever OpenAI's specification allows, and worse.

Source: OpenAI's specification, `CreateChatCompletionRequest` and `CreateCompletionRequest`. The bodies are
coherent (a tool choice names a tool, a tool's answer names a call), since what contradicts itself is
refused and would test little.
"""

from collections.abc import Mapping

from hypothesis import strategies as st

from tests.laws.bodies.messages import DIALOGUES, MEDIA, PICTURES, PIXEL, showing
from tests.laws.bodies.parameters import (
    AUDIO_PARAMETERS,
    CHAT_PARAMETERS,
    COMPLETION_PARAMETERS,
    EVERY_PARAMETER,
    EXTRAS,
    TOOL_PARAMETERS,
)
from tests.laws.bodies.spoilt import spoilt
from tests.laws.bodies.tools import EMBEDDED_FUNCTIONS, OLD_FUNCTIONS, TOOLS, tool_choices
from tests.laws.bodies.values import FILLED, JSON_VALUES, NAMES, TEXTS, Body, Strategy, fields, rarely

__all__ = [
    "AUDIO_PARAMETERS",
    "CHAT_PARAMETERS",
    "EVERY_PARAMETER",
    "JSON_VALUES",
    "NAMES",
    "PICTURES",
    "PIXEL",
    "TEXTS",
    "TOOL_PARAMETERS",
    "Body",
    "any_bodies",
    "chat_bodies",
    "completion_bodies",
    "spoilt",
]


@st.composite
def _tool_fields(draw: st.DrawFn) -> Body:
    """Tools of today, deprecated functions, both, or none; with a choice that they allow."""
    body: Body = {}
    tools: list[Body] = []
    if draw(st.booleans()):
        tools = body["tools"] = draw(TOOLS)
    if rarely(draw, 4):
        functions = body["functions"] = draw(OLD_FUNCTIONS)
        tools = tools or [{"type": "function", "function": each} for each in functions]
        names = [tool["function"]["name"] for tool in tools if tool["type"] == "function"]
        if draw(st.booleans()):
            choices = ["none", "auto", *({"name": name} for name in names)]
            body["function_call"] = draw(st.sampled_from(choices))
    elif rarely(draw, 8):
        body["functions"] = draw(EMBEDDED_FUNCTIONS)
    if draw(st.booleans()):
        body["tool_choice"] = draw(tool_choices(tools))
    return body


@st.composite
def _some(
    draw: st.DrawFn, parameters: Mapping[str, Strategy], likely: Mapping[str, int] | None = None
) -> Body:
    """Some of the parameters, the likely once in so many times at least; now and then one is null."""
    least = draw(st.integers(0, min(5, len(parameters))))
    names = draw(st.lists(st.sampled_from(sorted(parameters)), unique=True, min_size=least, max_size=8))
    names += [name for name, one_in in (likely or {}).items() if name not in names and rarely(draw, one_in)]
    return {name: None if rarely(draw, 8) else draw(parameters[name]) for name in names}


# What changes most of the rest, once in so many requests at least.
_LIKELY = {"stream": 2, "response_format": 3, "reasoning_effort": 4, "n": 8, "stop": 8}
_STREAM_OPTIONS = st.none() | fields(
    {}, {"include_usage": st.booleans(), "include_obfuscation": st.booleans()}
)


def _with_stream_options(draw: st.DrawFn, body: Body) -> Body:
    if body.get("stream") and draw(st.booleans()):
        body["stream_options"] = draw(_STREAM_OPTIONS)
    return body


@st.composite
def chat_bodies(
    draw: st.DrawFn, *, media: Strategy | None = MEDIA, one_in: int = 12, extras: bool = True
) -> Body:
    """A body for `/v1/chat/completions`.

    Once in so many times it shows one of the media, which not every model takes; without, all ask for text.
    """
    body: Body = {"model": "small", "messages": draw(DIALOGUES)}
    body |= draw(_tool_fields())
    body |= draw(_some(CHAT_PARAMETERS, _LIKELY))
    if media is not None and rarely(draw, one_in):
        body["messages"] = [*body["messages"], draw(showing(media))]
    elif media is MEDIA and rarely(draw, 50):
        body |= draw(_some(AUDIO_PARAMETERS))
    if extras:
        body |= draw(_some(EXTRAS))
    return _with_stream_options(draw, body)


@st.composite
def completion_bodies(draw: st.DrawFn) -> Body:
    """A body for `/v1/completions`."""
    body: Body = {"model": "small", "prompt": draw(FILLED | st.lists(FILLED, min_size=1, max_size=3))}
    body |= draw(_some(COMPLETION_PARAMETERS))
    body |= {name: value for name, value in draw(_some(EXTRAS)).items() if name != "prompt"}
    return _with_stream_options(draw, body)


@st.composite
def any_bodies(draw: st.DrawFn, *, media: Strategy | None = MEDIA) -> Body:
    """A body for either endpoint, the older one less often."""
    body: Body = draw(completion_bodies() if rarely(draw, 6) else chat_bodies(media=media))
    return body
