"""Tool calls as models write them into their text, read while the text comes.

A model that was offered tools may answer with a call in the spelling that it was trained on, which the
server did not recognise: a JSON object (gpt-oss, Llama 3; stated_calls.py), Python (python_calls.py), or one
between marks of its chat template (Hermes and Qwen, GLM, DeepSeek, Llama's tags, Mistral, Kimi, the channels
of gpt-oss, and Gemma 4 with its special tokens or without). Each spelling is a generator that yields where it
needs more text and raises `NoCallError` as soon as the text cannot be a call in it; so nobody is kept waiting
for text that is just text.

It is a call only where the whole text is, the name is one of the tools that were offered, and the arguments
are a JSON object and no definition of the tool. A code fence around all of it makes no difference (llamas
and small Qwens like one); a call amid words, in a fence or out of it, is shown and not made. Marks of a chat
template are nothing else. What else an answer may look like (an object, a list, Python, a fence) is a call
only where its arguments fit the tool's schema, or a call had to come; and never where JSON was asked for.

Behind a call some models play the tool as well: `<tool_response` and all that follows is made up, and left
out.
"""

import re
from collections.abc import Callable
from typing import Final

from translators.model_text.gemma_calls import BARE_GEMMA, GEMMA, read_gemma
from translators.model_text.offered import Offered, object_of
from translators.model_text.python_calls import called, called_in_lines, python_text
from translators.model_text.source import (
    Reading,
    Source,
    expect,
    json_text,
    one_behind_space,
    one_of,
    space,
    until,
    up_to,
)
from translators.model_text.stated_calls import (
    Look,
    NoCallError,
    SpelledCall,
    any_of,
    made,
    stated_calls,
)

OPEN: Final = "<tool_call>"
CLOSE: Final = "</tool_call>"
RESPONSE: Final = "<tool_response"

_LONGEST_NAME: Final = 256  # characters of a parameter's name

_PYTHON_TAG: Final = "<|python_tag|>"
_FUNCTION: Final = "<function="
_PARAMETER: Final = "<parameter="
_MISTRAL: Final = "[TOOL_CALLS]"
_KIMI: Final = "<|tool_calls_section_begin|>"
_KIMI_CALL: Final = "<|tool_call_begin|>"
# DeepSeek's marks have a full-width bar and a low block, which are easily taken for other characters.
_DEEPSEEK: Final = "<\uff5ctool\u2581calls\u2581begin\uff5c>"
_DEEPSEEK_END: Final = "<\uff5ctool\u2581calls\u2581end\uff5c>"
_DEEPSEEK_CALL: Final = "<\uff5ctool\u2581call\u2581begin\uff5c>"
_DEEPSEEK_CALL_END: Final = "<\uff5ctool\u2581call\u2581end\uff5c>"
_DEEPSEEK_NAMED: Final = "<\uff5ctool\u2581sep\uff5c>"
# gpt-oss names whom it speaks to behind its channel or before it; servers may strip the marks from that.
_HARMONY: Final = tuple(
    f"{before}to=functions."
    for before in (
        "<|channel|>commentary ", "<|start|>assistant<|channel|>commentary ", "<|start|>assistant ",
        "commentary ", "assistantcommentary ",
    )
)  # fmt: skip
_HEADER: Final = re.compile(r"(?:\s|json|code|commentary|<\|(?:channel|constrain|message)\|>)*")
_LONGEST_HEADER: Final = 64
_FENCE: Final = "```"
_FENCED: Final = ("", "json", "xml", "tool_call", "tool_code")  # what a fence around a call says of itself
ENDS: Final = ("<|eom_id|>", "<|eot_id|>", "<|im_end|>")  # of a turn; they belong to no text

# How a call may begin: in spellings that are nothing else, and in those that may be an answer as well.
TEMPLATES: Final = (
    OPEN, _PYTHON_TAG, _FUNCTION, _MISTRAL, _KIMI, _KIMI_CALL, _DEEPSEEK, _DEEPSEEK_CALL, *_HARMONY,
    GEMMA, BARE_GEMMA,
)  # fmt: skip
ALL: Final = (*TEMPLATES, "{", "[", _FENCE)

_AGAIN: Final = (_KIMI_CALL, _DEEPSEEK_CALL)  # begin each call, with or without a mark before all of them

Calls = Reading[list[SpelledCall]]


def read_calls(source: Source, offered: Offered, marks: tuple[str, ...], *, forced: bool) -> Calls:
    """The calls that the whole text is.

    Args:
        source: The text.
        offered: The tools that were offered.
        marks: How a call may begin: `TEMPLATES` or `ALL`.
        forced: Whether a call had to come.

    Raises:
        NoCallError: As soon as it is none.
    """
    yield from space(source)
    mark = yield from expect(source, *marks)
    calls = yield from read_behind(mark, source, offered)
    yield from _end(source)
    if not (forced or mark in TEMPLATES or all(offered.fit(each.name, each.arguments) for each in calls)):
        raise NoCallError
    return calls


def read_behind(mark: str, source: Source, offered: Offered) -> Calls:
    """The calls that stand behind a mark, in the spelling that it begins."""
    if mark in _AGAIN:
        source.rest = mark + source.rest
    return (yield from _SPELLINGS[mark](source, offered))


def read_marked(source: Source, offered: Offered) -> Calls:
    """What stands behind `<tool_call>`: JSON, in a fence or not, Qwen's elements, or GLM's."""
    yield from space(source)
    if source.rest[:1] in ("{", "["):
        return (yield from _stated(source, offered, marked=True))
    if source.rest[:1] == "`":
        yield from expect(source, _FENCE)
        return (yield from _read_fenced(source, offered))
    if source.rest[:1] == "<":
        yield from expect(source, _FUNCTION)
        return [(yield from _function(source, offered))]
    name = yield from _name(source, offered, ("\n", "<"))
    arguments = yield from _keys_and_values(source, offered, name)
    return [made(offered, name, arguments)]


def _stated(source: Source, offered: Offered, *, marked: bool) -> Calls:
    text = yield from json_text(source, Look(offered, marked=marked))
    return stated_calls(text, offered, marked=marked)


def _objects(source: Source, offered: Offered, *, marked: bool) -> Calls:
    """One object or several, as Llama separates them."""
    calls: list[SpelledCall] = []
    while True:
        calls += yield from _stated(source, offered, marked=marked)
        yield from one_behind_space(source, (";",))
        if (yield from one_behind_space(source, ("{",))) is None:
            return calls
        source.rest = "{" + source.rest


def _function(source: Source, offered: Offered) -> Reading[SpelledCall]:
    """What stands behind `<function=`: a name, and its arguments as JSON or as elements."""
    name = yield from _name(source, offered, (">",))
    yield from space(source)
    if source.rest[:1] == "{":
        arguments = yield from json_text(source)
        yield from one_behind_space(source, ("</function>",))
    else:
        arguments = yield from _elements(source, offered, name)
    return made(offered, name, arguments)


def _elements(source: Source, offered: Offered, name: str) -> Reading[str]:
    """The parameters as Qwen writes them, up to the end of the function, or of the call where that misses."""
    members: dict[str, str] = {}
    while (yield from expect(source, _PARAMETER, "</function>", CLOSE)) == _PARAMETER:
        key = yield from until(source, ">", _LONGEST_NAME)
        text = yield from up_to(source, "</parameter>")
        # The template sets a value between two line ends.
        members[key] = offered.typed(name, key, text.removeprefix("\n").removesuffix("\n"))
        yield from space(source)
    return object_of(members)


def _keys_and_values(source: Source, offered: Offered, name: str) -> Reading[str]:
    """GLM's parameters: an element for the key and one for the value."""
    members: dict[str, str] = {}
    yield from space(source)
    yield from expect(source, "<arg_key>")
    while True:
        key = yield from until(source, "</arg_key>", _LONGEST_NAME)
        yield from space(source)
        yield from expect(source, "<arg_value>")
        members[key] = offered.typed(name, key, (yield from up_to(source, "</arg_value>")))
        if (yield from one_behind_space(source, ("<arg_key>",))) is None:
            return object_of(members)


def _read_hermes(source: Source, offered: Offered) -> Calls:
    calls: list[SpelledCall] = []
    while True:
        calls += yield from read_marked(source, offered)
        yield from one_behind_space(source, (CLOSE,))
        if (yield from one_behind_space(source, (OPEN,))) is None:
            return calls


def _read_functions(source: Source, offered: Offered) -> Calls:
    calls: list[SpelledCall] = []
    while True:
        calls.append((yield from _function(source, offered)))
        yield from one_behind_space(source, (CLOSE,))  # Qwen may leave out the mark before it alone
        if (yield from one_behind_space(source, (_FUNCTION,))) is None:
            return calls


def _read_python_tag(source: Source, offered: Offered) -> Calls:
    """JSON, or Python as Llama calls what is built into it: `f.call(query="x")`."""
    yield from space(source)
    if source.rest[:1] == "{":
        return (yield from _objects(source, offered, marked=True))
    openings = [f"{name}{opening}" for name in offered.names for opening in ("(", ".call(")]
    text = yield from python_text(source, openings, ENDS[0])
    return called(f"[{text}]", offered)


def _read_mistral(source: Source, offered: Offered) -> Calls:
    """A list of objects, or a name before its arguments (the newer form), with or without an id."""
    yield from space(source)
    if source.rest.startswith("["):
        return (yield from _stated(source, offered, marked=True))
    calls: list[SpelledCall] = []
    while True:
        name = yield from _name(source, offered, ("[", "{"))
        if (yield from one_of(source, ("[CALL_ID]", "[ARGS]"))) == "[CALL_ID]":
            yield from until(source, "[ARGS]", _LONGEST_NAME)
        calls.append(made(offered, name, (yield from _arguments(source))))
        if (yield from one_behind_space(source, (_MISTRAL,))) is None:
            return calls


def _read_kimi(source: Source, offered: Offered) -> Calls:
    calls: list[SpelledCall] = []
    while True:
        if (yield from one_behind_space(source, (_KIMI_CALL,))) is None:
            break
        prefix = yield from one_of(source, ("functions.",))
        name = yield from _name(source, offered, (":",))
        number = yield from until(source, "<|tool_call_argument_begin|>", 4)
        arguments = yield from _arguments(source)
        calls.append(made(offered, name, arguments, f"{prefix or ''}{name}:{number.strip()}"))
        yield from space(source)
        yield from expect(source, "<|tool_call_end|>")
    yield from one_behind_space(source, ("<|tool_calls_section_end|>",))
    return any_of(calls)


def _read_deepseek(source: Source, offered: Offered) -> Calls:
    """R1 writes `function` before the name and a fence around the arguments; V3.1 does neither."""
    calls: list[SpelledCall] = []
    while True:
        if (yield from one_behind_space(source, (_DEEPSEEK_CALL,))) is None:
            break
        yield from one_of(source, (f"function{_DEEPSEEK_NAMED}",))
        name = yield from _name(source, offered, ("\n", _DEEPSEEK_NAMED))
        yield from space(source)
        fence = yield from one_of(source, (f"{_FENCE}json", _FENCE))
        calls.append(made(offered, name, (yield from _arguments(source))))
        if fence:
            yield from space(source)
            yield from expect(source, _FENCE)
        yield from one_behind_space(source, (_DEEPSEEK_CALL_END,))
    yield from one_behind_space(source, (_DEEPSEEK_END,))
    return any_of(calls)


def _read_harmony(source: Source, offered: Offered) -> Calls:
    name = yield from _name(source, offered, (" ", "<", "{"))
    kind = yield from until(source, "{", _LONGEST_HEADER)
    if not _HEADER.fullmatch(kind):
        raise NoCallError
    source.rest = "{" + source.rest
    arguments = yield from _arguments(source)
    yield from one_behind_space(source, ("<|call|>",))
    return [made(offered, name, arguments)]


def _read_bare_gemma(source: Source, offered: Offered) -> Calls:
    """Words begin so as well, so the calls have to be all of their line."""
    calls = yield from read_gemma(source, offered)
    behind = yield from one_of(source, ("\n", *ENDS, RESPONSE))
    if behind is None and source.rest:
        raise NoCallError
    source.rest = (behind or "") + source.rest
    return calls


def _read_object(source: Source, offered: Offered) -> Calls:
    source.rest = "{" + source.rest
    return (yield from _objects(source, offered, marked=False))


def _read_list(source: Source, offered: Offered) -> Calls:
    source.rest = "[" + source.rest
    return (yield from _stated(source, offered, marked=False))


def _read_brackets(source: Source, offered: Offered) -> Calls:
    """A list of objects, or of calls as Python writes them."""
    yield from space(source)
    if source.rest.startswith("{"):
        return (yield from _read_list(source, offered))
    text = yield from python_text(source, [f"{name}(" for name in offered.names], ENDS[0])
    return called(f"[{text}", offered)


def _read_fenced(source: Source, offered: Offered) -> Calls:
    kind = (yield from until(source, "\n", max(map(len, _FENCED)))).strip()
    if kind not in _FENCED:
        raise NoCallError
    yield from space(source)
    if kind == "tool_code":  # Gemma's
        openings = [f"{before}{name}(" for name in offered.names for before in ("", "print(")]
        calls = called_in_lines((yield from python_text(source, openings, _FENCE)), offered)
    else:
        mark = yield from expect(source, *_IN_FENCES)
        calls = yield from _IN_FENCES[mark](source, offered)
        yield from space(source)
    yield from expect(source, _FENCE)
    return calls


_IN_FENCES: Final[dict[str, Callable[[Source, Offered], Calls]]] = {
    OPEN: _read_hermes,
    _FUNCTION: _read_functions,
    "{": _read_object,
    "[": _read_list,
}
_SPELLINGS: Final[dict[str, Callable[[Source, Offered], Calls]]] = {
    **_IN_FENCES,
    "[": _read_brackets,
    _FENCE: _read_fenced,
    _PYTHON_TAG: _read_python_tag,
    _MISTRAL: _read_mistral,
    _KIMI: _read_kimi,
    _KIMI_CALL: _read_kimi,
    _DEEPSEEK: _read_deepseek,
    _DEEPSEEK_CALL: _read_deepseek,
    **dict.fromkeys(_HARMONY, _read_harmony),
    GEMMA: read_gemma,
    BARE_GEMMA: _read_bare_gemma,
}


def _name(source: Source, offered: Offered, ends: tuple[str, ...]) -> Reading[str]:
    """Take a tool's name and one of the marks that may follow it, of which the beginning of one is left."""
    yield from space(source)
    whole = {f"{name}{end}": name for name in offered.names for end in ends}
    found = yield from expect(source, *whole)
    if found[-1] in "{<[":
        source.rest = found[-1] + source.rest
    return whole[found]


def _arguments(source: Source) -> Reading[str]:
    yield from space(source)
    if source.rest[:1] != "{":
        raise NoCallError
    return (yield from json_text(source))


def _end(source: Source) -> Reading[None]:
    """See that nothing more comes but the end of a turn, or what a model says in the place of its tool."""
    found: str | None = ""
    while found is not None and found != RESPONSE:
        yield from space(source)
        found = yield from one_of(source, (*ENDS, RESPONSE))
    source.answered = found is not None
    while source.answered and not source.ended:
        source.rest = ""
        yield
    if not (source.answered or (source.ended and RESPONSE.startswith(source.rest))):
        raise NoCallError
