"""The common request, written as OpenAI's, in the form that a product takes."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from translators.asking.answer_filters import Manner
from translators.asking.asker import LEAST_BYTES_PER_TOKEN, Asker, MakeReader
from translators.asking.bodies import encoded
from translators.asking.dialogues import dialogue_of
from translators.asking.judges import ForcedTool, json_judge, together
from translators.asking.names import own_names
from translators.asking.structured import StructuredOutput, in_words
from translators.asking.thinking import with_effort
from translators.asking.turns import with_one_system
from translators.backends.openai_server.messages import Messages
from translators.backends.openai_server.parameters import translate_parameters
from translators.backends.openai_server.response import Reader
from translators.backends.openai_server.servers import Served
from translators.backends.openai_server.structured import translate_format, with_constraint
from translators.call import Stamp
from translators.chat import ChatRequest, Tool
from translators.dialogue import Dialogue
from translators.errors import invalid
from translators.report import Fate, Report
from translators.rounds import Judge
from translators.tools import as_function, forced_names, named_form, offered_tools

_MOST_UNASKED: Final = 16_384  # tokens of an answer whose length nobody has asked for, where there is room
_MOST_UNKNOWN: Final = 4096  # the same where nobody says how much room there is
_SEEDS: Final = 2**63  # engines hold a seed in 64 bits, and JSON knows numbers that cannot be written again


def translate(chat: ChatRequest, model: str, facts: Served, stamp: Stamp, report: Report) -> Dialogue:
    """The calls that answer a request, with the fate of every parameter in the report.

    Raises:
        ApiError: 400 naming the parameter that the server cannot meet.
    """
    for name, detail in chat.left_out.items():
        report.note(name, Fate.TRANSFORMED, detail)
    chat = with_effort(with_constraint(chat, facts, report), facts.takes, report)
    chat = chat if facts.server.developer else with_one_system(chat, report)
    given = {**chat.parameters, **chat.extra}
    fields = {"model": model} | translate_parameters(given, facts, report, own_names(chat))
    fields |= _tools(chat, facts, report)
    output = translate_format(chat, facts, report)
    fields |= output.fields if output is not None else {}
    fields |= _streaming(chat, facts, output, report)
    if chat.continues:
        fields |= facts.server.continues or {}
    prompt_bytes = _prompt_bytes(chat, fields) + (len(output.instruction.encode()) if output else 0)
    limit = facts.server.limit if not chat.prompts else "max_tokens"
    fields[limit] = _limit(chat, facts, prompt_bytes, limit, report)
    segments = ("completions",) if chat.prompts else ("chat", "completions")
    together = _come_together(chat, facts, output)
    fields |= {"n": chat.choices} if together > 1 else {}
    questions = []
    for number, (body, sent) in enumerate(encoded(chat, _bodies(chat, fields, facts, output, report))):
        readers = _readers(stamp, number * together, together)
        asker = Asker(segments, readers, limit, facts.window, prompt_bytes, choices=together)
        questions.append((asker.call(body, encoded=sent), _judge(chat, facts, body, output, asker)))
    manner = Manner(facts.server.thinks_in_text and not chat.prompts, calls="tools" in facts.can)
    return dialogue_of(chat, manner, stamp, questions, together)


def _readers(stamp: Stamp, choice: int, choices: int) -> MakeReader:
    return lambda _body, most, tokens: Reader(stamp, choice, most, tokens, choices)


def _come_together(chat: ChatRequest, facts: Served, output: StructuredOutput | None) -> int:
    """How many choices one call gives.

    Answers that are judged are asked for one by one, and so are those with a seed, for each has one of its
    own. Without chance vLLM gives but one.
    """
    is_judged = (output is not None and output.wanted is not None) or facts.server.tool_choice == "none"
    by_chance = "seed" not in chat.parameters and chat.parameters.get("temperature") != 0
    return chat.choices if facts.server.chooses and by_chance and not is_judged else 1


def _judge(
    chat: ChatRequest, facts: Served, body: Mapping[str, Any], output: StructuredOutput | None, asker: Asker
) -> Judge | None:
    """Where a product does not do by itself what was asked for, each answer is looked at."""
    judges: list[Judge] = []
    names = forced_names(chat)
    if names and "tools" in body and facts.server.tool_choice == "none":
        judges.append(ForcedTool(names, body, asker, takes_choice=False))
    judge = json_judge(output, body, asker) if output is not None else None
    return together(judges if judge is None else [*judges, judge])


def _tools(chat: ChatRequest, facts: Served, report: Report) -> dict[str, Any]:
    for name in ("tools", "tool_choice", "parallel_tool_calls"):
        report.note(name, Fate.KEPT)
    if not chat.tools:
        return {}
    if "tools" not in facts.can:
        report.note("tools", Fate.DROPPED, "the model calls no tools")
        return {}
    tools = offered_tools(chat)
    fields: dict[str, Any] = {"tools": [_tool(tool, facts, report) for tool in tools]} if tools else {}
    if fields:
        fields |= _tool_choice(chat, tools, facts, report)
    elif chat.tool_choice.mode == "none":
        report.note("tool_choice", Fate.EMULATED, "the tools are withheld from the model")
    if not chat.parallel_calls and fields:
        if facts.server.takes_parallel:
            fields["parallel_tool_calls"] = False
        else:
            report.note(
                "parallel_tool_calls", Fate.EMULATED, "calls after the first are left out of the answer"
            )
    return fields


def _tool(tool: Tool, facts: Served, report: Report) -> dict[str, Any]:
    described = {"name": tool.name} | ({"description": tool.description} if tool.description else {})
    if tool.kind == "custom":
        if facts.server.takes_custom_tools:
            form = {"format": dict(tool.format)} if tool.format else {}
            return {"type": "custom", "custom": described | form}
        report.note("tools", Fate.EMULATED, "custom tools are offered as functions with one string")
        return {"type": "function", "function": as_function(tool)}
    function: dict[str, Any] = dict(described)
    # A function without parameters takes none; TGI and some templates want that said.
    function["parameters"] = tool.parameters or {"type": "object", "properties": {}}
    if tool.strict:
        function["strict"] = True
    return {"type": "function", "function": function}


def _tool_choice(chat: ChatRequest, tools: Sequence[Tool], facts: Served, report: Report) -> dict[str, Any]:
    choice, takes = chat.tool_choice, facts.server.tool_choice
    if choice.allowed is not None:
        report.note("tool_choice", Fate.TRANSFORMED, "only the allowed tools are offered")
    if choice.mode == "named":
        report.note("tool_choice", Fate.TRANSFORMED, "only the named tool is offered")
    if not forced_names(chat):
        return {}
    if takes == "none":
        report.note("tool_choice", Fate.EMULATED, "an answer without a call is asked for once more")
        return {}
    if choice.mode == "named" and takes == "all" and tools[0].kind == "function":
        return {"tool_choice": named_form(tools[0].name)}
    return {"tool_choice": "required"}


def _streaming(
    chat: ChatRequest, facts: Served, output: StructuredOutput | None, report: Report
) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    if chat.stream and output is not None and output.wanted is not None:
        report.note("stream", Fate.EMULATED, "a structured answer is sent on once it is whole")
    if chat.stream and (not (output and output.fields) or facts.server.streams_format):
        options = {"include_usage": True}  # the books need it
        if chat.counts_along and facts.server.counts_along:
            options["continuous_usage_stats"] = True
        fields = {"stream": True, "stream_options": options}
    # JSON that was cut at a stop string cannot be checked; then the gateway alone watches over these.
    if chat.stop and (output is None or output.wanted is None):
        fields["stop"] = list(chat.stop)
    is_told = not chat.stop or "stop" in fields
    report.note(
        "stop",
        Fate.KEPT if is_told else Fate.EMULATED,
        "" if is_told else "the gateway ends the answer there",
    )
    return fields


def _limit(chat: ChatRequest, facts: Served, prompt_bytes: int, name: str, report: Report) -> int:
    """What the answer may have; always said, for what is not said the limits cannot reserve."""
    report.sent_as("max_tokens", name)
    window = facts.window
    room = None if window is None else max(1, window - -(-prompt_bytes // LEAST_BYTES_PER_TOKEN))
    if chat.max_tokens is None:
        usual = chat.usual_max_tokens or (_MOST_UNKNOWN if room is None else _MOST_UNASKED)
        limit = usual if room is None else min(usual, room)
        report.note("max_tokens", Fate.DEFAULTED, str(limit))
        return limit
    if room is not None and chat.max_tokens > room:
        note = f"the window has no room for {chat.max_tokens} beside the prompt; it became {room}"
        report.note("max_tokens", Fate.CLAMPED, note)
        return room
    report.note("max_tokens", Fate.KEPT)
    return chat.max_tokens


def _bodies(
    chat: ChatRequest,
    fields: Mapping[str, Any],
    facts: Served,
    output: StructuredOutput | None,
    report: Report,
) -> Iterator[dict[str, Any]]:
    """One body a choice, or one a prompt where the product gives its choices together."""
    singly = chat.choices if "n" not in fields else 1
    if chat.choices > 1 or "n" in chat.sent:
        fate = Fate.EMULATED if singly > 1 else Fate.KEPT
        report.note("n", fate, "each choice is a call of its own" if singly > 1 else "")
    if "seed" in fields and chat.choices * max(1, len(chat.prompts)) > 1:
        report.note("seed", Fate.TRANSFORMED, "each choice has a seed of its own, or all would be the same")
    for number, question in enumerate(_questions(chat, facts, report)):
        body = {**question, **fields}
        if output is not None and output.instruction:
            body = in_words(body, output)
        for choice in range(singly):
            yield _seeded(body, number * chat.choices + choice)


def _questions(chat: ChatRequest, facts: Served, report: Report) -> Iterator[dict[str, Any]]:
    if not chat.prompts:
        yield {"messages": Messages(facts, report).translate(chat.turns)}
        return
    report.note("prompt", Fate.KEPT)
    for prompt in chat.prompts:
        if not prompt:
            raise invalid("'prompt' must not be empty.", "prompt", "empty_string")
        yield {"prompt": prompt}


def _seeded(body: dict[str, Any], choice: int) -> dict[str, Any]:
    seed = body.get("seed")
    if not choice or not isinstance(seed, int):
        return body
    other = seed + choice
    return {**body, "seed": other if -_SEEDS <= other < _SEEDS else other % _SEEDS}


def _prompt_bytes(chat: ChatRequest, fields: Mapping[str, Any]) -> int:
    """Bytes of the longest prompt: of its texts, and of the tools beside them."""
    tools = len(msgspec.json.encode(fields["tools"])) if "tools" in fields else 0
    if chat.prompts:
        return tools + max(len(prompt.encode(errors="surrogatepass")) for prompt in chat.prompts)
    texts = (
        getattr(part, field, None) or ""
        for turn in chat.turns
        for part in turn.parts
        for field in ("text", "arguments")
    )
    return tools + sum(len(text.encode(errors="surrogatepass")) for text in texts)
