"""The common request, written as a request to `/ai/run/{model}` in the schema that the model takes.

This dialect speaks Workers AI's native endpoint, not Cloudflare's OpenAI-shaped `/ai/v1`.
"""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from hashlib import sha256
from typing import Any, Final

import msgspec

from translators.asking import constraints, thinking
from translators.asking.asker import LEAST_BYTES_PER_TOKEN, Asker, MakeReader
from translators.asking.bodies import encoded
from translators.asking.dialogues import dialogue_of
from translators.asking.names import own_names, says_any, takes_none
from translators.asking.structured import StructuredOutput, in_words, told
from translators.asking.thinking import EFFORT, with_effort
from translators.asking.turns import with_one_system
from translators.backends.workers_ai.catalogue import Facts
from translators.backends.workers_ai.judges import judge_for
from translators.backends.workers_ai.messages import Messages, harmless, utf16_length
from translators.backends.workers_ai.parameters import translate_parameters
from translators.backends.workers_ai.places import Sent
from translators.backends.workers_ai.prompted_tools import told_of_tools
from translators.backends.workers_ai.reasoning import TEMPLATE, taken_as_words, will_think
from translators.backends.workers_ai.response import Reader
from translators.backends.workers_ai.structured import translate_format, with_constraint
from translators.backends.workers_ai.tools import OF_TOOLS, translate_tools
from translators.backends.workers_ai.unstreamed import Unstreamed
from translators.call import Stamp
from translators.chat import Call, ChatRequest, Reasoning, Refusal, Result, Text
from translators.dialogue import Dialogue
from translators.errors import ApiError, invalid
from translators.report import Fate, Report
from translators.schemas import Budget
from translators.tools import offered_tools

# A segment of dots would climb out of the account's path with the operator's token. Clients may ask for any
# such name, and plans and limits are kept under it: no real one has half of this length.
_MODEL: Final = re.compile(r"@(?:cf|hf)/(?!\.{1,2}/)[A-Za-z0-9._-]{1,128}/(?!\.{1,2}$)[A-Za-z0-9._-]{1,128}")

# What clients say in the words of other APIs.
_OTHER_WORDS: Final = constraints.ANY_NAME | thinking.ANY_NAME

_WITH_TEXT: Final = (Text, Refusal, Reasoning, Result)  # the parts that are read as their `text`

_THINKING_ROOM: Final = 4096  # tokens; long thoughts have about as many


def is_model_id(name: str) -> bool:
    """Whether a name can be a Workers AI model: `@cf/author/model` or `@hf/author/model`."""
    return _MODEL.fullmatch(name) is not None


def translate(chat: ChatRequest, model: str, facts: Facts, stamp: Stamp, report: Report) -> Dialogue:
    """The calls that answer a request, with the fate of every parameter in the report.

    Raises:
        ApiError: 400 naming the parameter that the model cannot meet; 404 where the id is no model's.
    """
    segments = _segments(model)
    for name, detail in chat.left_out.items():
        report.note(name, Fate.TRANSFORMED, detail)
    if says_any(chat, _OTHER_WORDS):
        chat = with_effort(with_constraint(chat, facts, report), takes_none, report)
    chat = chat if facts.guards else with_one_system(chat, report, facts.text_limit)
    budget = Budget()
    asked, chat = chat, told_of_tools(chat, facts, report, budget)
    output = _output(chat, asked, facts, report, budget)
    fields = _fields(chat, facts, output, report, budget)
    prompt_bytes = _largest_prompt(chat, fields) + (_bytes(output.instruction) if output else 0)
    # Without the chat template a text is continued, and all of what comes is text.
    is_raw, limit = fields.get("raw") is True, facts.limit
    thinks = will_think(fields, facts) and not is_raw
    report.sent_as("max_tokens", limit)
    fields[limit] = _max_tokens(chat, facts, prompt_bytes, report, thinks=thinks)
    headers = _affinity(chat)
    questions = []
    for choice, (body, sent) in enumerate(encoded(chat, _bodies(chat, fields, facts, output, report))):
        asker = Asker(segments, _readers(stamp, choice, asked), limit, facts.window, prompt_bytes, headers)
        judge = judge_for(asked, facts, body, output, asker)
        questions.append((asker.call(body, encoded=sent), judge))
    manner = msgspec.structs.replace(facts.manner, thinks_in_text=False) if is_raw else facts.manner
    dialogue = dialogue_of(asked, manner, stamp, questions)
    may_come_whole = chat.stream and (facts.speaks_openai or facts.family == "unknown")
    return Unstreamed(dialogue) if may_come_whole else dialogue


@lru_cache(1024)
def _segments(model: str) -> tuple[str, ...]:
    """The path of a model."""
    if not is_model_id(model):
        raise ApiError(
            404, f"The model '{model[:100]}' does not exist.", param="model", code="model_not_found"
        )
    return ("ai", "run", *model.split("/"))


def _readers(stamp: Stamp, choice: int, chat: ChatRequest) -> MakeReader:
    return lambda body, most, tokens: Reader(stamp, choice, most, tokens, Sent(body, chat))


def _affinity(chat: ChatRequest) -> dict[str, str]:
    """The header that pins questions with one `prompt_cache_key` to one instance, whose cache has the prompt.

    The key itself is the client's: who shares an account need not know it.
    """
    if "prompt_cache_key" not in chat.parameters and "prompt_cache_key" not in chat.extra:
        return {}
    given = {**chat.parameters, **chat.extra}
    who = msgspec.json.encode([given["prompt_cache_key"], given.get("user")])
    return {"x-session-affinity": sha256(who).hexdigest()[:32]}


def _output(
    chat: ChatRequest, asked: ChatRequest, facts: Facts, report: Report, budget: Budget
) -> StructuredOutput | None:
    form = chat.response_format
    if form is None:
        return None
    has_tools = bool(offered_tools(asked))
    if has_tools and facts.knows_no_tools:  # its calls are text, and a JSON mode would forbid them
        facts = msgspec.structs.replace(facts, json="prompt")
    return translate_format(chat, form, facts, report, budget, with_tools=has_tools)


def _fields(
    chat: ChatRequest, facts: Facts, output: StructuredOutput | None, report: Report, budget: Budget
) -> dict[str, Any]:
    """What of the body is the same for all choices, but the limit, which depends on the prompt."""
    given = {**chat.parameters, **chat.extra}
    as_prompt = bool(chat.prompts) and facts.takes_prompt
    names = own_names(chat) if EFFORT in chat.parameters else {}
    fields = translate_parameters(given, facts, report, names, prompt=as_prompt)
    if chat.tools or not OF_TOOLS.isdisjoint(chat.sent.values()):
        if facts.guards:
            _withhold_tools(chat, report)
        else:
            fields |= translate_tools(chat, facts, report, budget)
    if chat.tools and not chat.parallel_calls and facts.speaks_openai:
        fields["parallel_tool_calls"] = False
    if output is not None:
        fields |= output.fields
    if chat.stream and output is not None:
        report.note("stream", Fate.EMULATED, "a structured answer is sent on once it is whole")
    if chat.stream and not (output and output.fields):
        fields["stream"] = True
        if facts.speaks_openai:  # whoever asked: the books need it
            fields["stream_options"] = {"include_usage": True}
    # JSON that was cut at a stop string cannot be checked; then the gateway alone watches over these.
    if chat.stop and output is None and facts.speaks_openai:
        fields["stop"] = list(chat.stop)
    if chat.stop or "stop" in chat.sent:
        report.note("stop", *_stop_fate(chat, fields))
    return fields


def _withhold_tools(chat: ChatRequest, report: Report) -> None:
    fate = Fate.DROPPED if chat.tools else Fate.KEPT
    for name in OF_TOOLS:
        if name in chat.sent.values():
            report.note(name, fate, "the model judges a dialogue and calls nothing" if chat.tools else "")


def _stop_fate(chat: ChatRequest, fields: dict[str, Any]) -> tuple[Fate, str]:
    """The gateway watches over stop strings in any case; where the backend is told, it ends by itself."""
    if not chat.stop or "stop" in fields:
        return Fate.KEPT, ""
    return Fate.EMULATED, "the gateway ends the answer there"


def _max_tokens(chat: ChatRequest, facts: Facts, prompt_bytes: int, report: Report, *, thinks: bool) -> int:
    """What the answer may have: what was asked for, as far as the window has room beside the prompt.

    The prompt is counted high, for one token too many and the backend refuses the whole request; what it
    refuses in spite of that is really too long.

    The old `max_tokens` is meant for the answer alone, `max_completion_tokens` for thinking as well (OpenAI's
    specification). A model that thinks takes both out of one budget, and thinking alone would use it up.
    """
    room = None if facts.window is None else max(1, facts.window - -(-prompt_bytes // LEAST_BYTES_PER_TOKEN))
    if chat.max_tokens is None:
        usual = chat.usual_max_tokens or facts.default_max_tokens
        usual += _THINKING_ROOM if thinks and chat.usual_max_tokens else 0
        limit = usual if room is None else min(usual, room)
        report.note("max_tokens", Fate.DEFAULTED, f"{limit}; Workers AI's own is 256")
        return limit
    limit = chat.max_tokens
    if thinks and chat.sent.get("max_tokens") == "max_tokens":
        limit += _THINKING_ROOM
        report.note("max_tokens", Fate.TRANSFORMED, f"{_THINKING_ROOM} tokens are added for thinking")
    if room is not None and limit > room:
        note = f"the window has no room for {limit} beside the prompt; it became {room}"
        report.note("max_tokens", Fate.CLAMPED, note)
        return room
    report.note("max_tokens", Fate.KEPT)
    return limit


def _bodies(
    chat: ChatRequest,
    fields: dict[str, Any],
    facts: Facts,
    output: StructuredOutput | None,
    report: Report,
) -> Iterator[dict[str, Any]]:
    """One body a choice, the same where nothing differs.

    The schema has no `n`: each choice is asked for by itself.
    """
    if chat.choices > 1 or "n" in chat.sent:
        fate = Fate.EMULATED if chat.choices > 1 else Fate.KEPT
        report.note("n", fate, "each choice is a call of its own" if chat.choices > 1 else "")
    if "seed" in fields and chat.choices * max(1, len(chat.prompts)) > 1:
        report.note("seed", Fate.TRANSFORMED, "each choice has a seed of its own, or all would be the same")
    words = taken_as_words(fields, facts) if TEMPLATE in fields else ""
    for number, question in enumerate(_questions(chat, facts, report)):
        if "image" in question and "image" in fields:
            raise invalid(
                "'image' stands beside an image in 'messages', and this model takes one.",
                "image",
                "unsupported_value",
            )
        body = {**question, **fields}
        if output is not None and output.instruction:
            body = in_words(body, output)
        if words:
            body["messages"] = told(body["messages"], words)
        for choice in range(chat.choices):
            yield _seeded(body, number * chat.choices + choice)


def _questions(chat: ChatRequest, facts: Facts, report: Report) -> Iterable[dict[str, Any]]:
    return _prompts(chat, facts, report) if chat.prompts else (_dialogue(chat, facts, report),)


def _dialogue(chat: ChatRequest, facts: Facts, report: Report) -> dict[str, Any]:
    messages = Messages(facts, report)
    question: dict[str, Any] = {"messages": messages.translate(chat.turns)}
    if messages.image is not None:
        question["image"] = messages.image
    return question


def _prompts(chat: ChatRequest, facts: Facts, report: Report) -> Iterator[dict[str, Any]]:
    report.note("prompt", Fate.KEPT)
    for prompt in chat.prompts:
        _check_prompt(prompt, facts)
        if not facts.takes_prompt:
            report.note("prompt", Fate.TRANSFORMED, "it becomes a user's message: the model only chats")
            content = harmless(prompt, "prompt", facts, report)
            yield {"messages": [{"role": "user", "content": content}]}
        else:
            yield {"prompt": prompt}


def _check_prompt(prompt: str, facts: Facts) -> None:
    if not prompt:
        raise invalid("'prompt' must not be empty.", "prompt", "empty_string")
    limit = facts.text_limit
    if limit is not None and len(prompt) * 2 > limit and utf16_length(prompt) > limit:
        raise invalid(
            f"'prompt' has {utf16_length(prompt)} characters, and this model takes at most {limit}.",
            "prompt",
            "string_above_max_length",
        )


def _seeded(body: dict[str, Any], choice: int) -> dict[str, Any]:
    """The body with a seed of its own: with one seed all choices would be the same."""
    if choice and "seed" in body:
        return {**body, "seed": (body["seed"] + choice - 1) % 9_999_999_999 + 1}
    return body


def _largest_prompt(chat: ChatRequest, fields: dict[str, Any]) -> int:
    """Bytes of the longest prompt: of its texts, and of the tools beside them."""
    size = len(msgspec.json.encode(fields["tools"])) if "tools" in fields else 0
    if chat.prompts:
        return size + max(map(_bytes, chat.prompts))
    for turn in chat.turns:
        for part in turn.parts:
            if isinstance(part, _WITH_TEXT):
                size += _bytes(part.text)
            elif isinstance(part, Call):
                size += _bytes(part.name) + _bytes(part.arguments)
    return size


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
