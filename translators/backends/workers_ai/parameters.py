"""What becomes of every parameter that a request may carry, for each kind of input schema.

The tables are total over OpenAI's parameters and over the schema's own; a parameter that is in neither is
unknown and dropped, since Workers AI would ignore it without a word. Bounds are those of the model page
of `@cf/meta/llama-3.1-8b-instruct-fast` (seed), of the newer legacy models, and of OpenAI.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from translators.asking.thinking import EFFORT
from translators.backends.workers_ai.catalogue import Facts
from translators.backends.workers_ai.reasoning import NO_THINK, TEMPLATE, Asked, translate_effort
from translators.errors import invalid, wrong_type
from translators.report import Fate, Report

_MAX_SEED: Final = 9_999_999_999
_SHOWN_DIGITS: Final = 24
_NUMBERS: Final = (int, float)

# Of the chat templates (Cloudflare's generated types).
_SWITCHES: Final = frozenset({"clear_thinking", "enable_thinking", "force_nonempty_content", "low_effort"})

_BUSY: Final = "rejectIfBusy"


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """A parameter's fate, and the value to send where there is one."""

    fate: Fate
    value: Any = None
    detail: str = ""


Rule = Callable[[Any, str, Facts], Outcome]


def _number(low: float, high: float) -> Rule:
    return lambda value, name, _facts: _clamp(_as_number(value, name), low, high)


def _integer(low: int, high: int) -> Rule:
    return lambda value, name, _facts: _clamp(_as_integer(value, name), low, high)


def _top_k(most: int) -> Rule:
    def rule(value: Any, name: str, _facts: Facts) -> Outcome:
        limit = _as_integer(value, name)
        if limit >= 1:
            return _clamp(limit, 1, most)
        note = f"{_shown(limit)} stands for no limit, and became {most}, the widest that there is"
        return Outcome(Fate.TRANSFORMED, most, note)

    return rule


def _top_p(value: Any, name: str, facts: Facts) -> Outcome:
    low, high = (0, 2) if facts.bounds == "seed" else (0.001, 1)
    return _clamp(_as_number(value, name), low, high)


def _penalty(value: Any, name: str, facts: Facts) -> Outcome:
    return _clamp(_as_number(value, name), 0 if facts.bounds == "seed" else -2, 2)


def _seed(value: Any, name: str, _facts: Facts) -> Outcome:
    """OpenAI takes any 64-bit number; folded into range, different seeds mostly stay different."""
    seed = _as_integer(value, name)
    if 1 <= seed <= _MAX_SEED:
        return Outcome(Fate.KEPT, seed)
    folded = (seed - 1) % _MAX_SEED + 1
    note = f"{_shown(seed)} is outside 1..{_MAX_SEED} and became {folded}"
    return Outcome(Fate.TRANSFORMED, folded, note)


def _lora(value: Any, name: str, _facts: Facts) -> Outcome:
    if not isinstance(value, str):
        raise wrong_type(name, "a string", value)
    return Outcome(Fate.KEPT, value)


def _image(value: Any, name: str, _facts: Facts) -> Outcome:
    numbers = isinstance(value, list) and all(
        isinstance(each, int | float) and not isinstance(each, bool) for each in value
    )
    if not numbers and not isinstance(value, str):
        raise wrong_type(name, "a string or an array of numbers", value)
    return Outcome(Fate.KEPT, value)


def _functions(value: Any, name: str, _facts: Facts) -> Outcome:
    """Workers AI's embedded functions, each with its code."""
    if not isinstance(value, list):
        raise wrong_type(name, "an array", value)
    for k, function in enumerate(value):
        for key in ("name", "code"):
            if not isinstance(function, dict) or not isinstance(function.get(key), str):
                raise invalid(
                    f"'{name}[{k}].{key}' must be a string: an embedded function has a name and its code.",
                    f"{name}[{k}].{key}",
                    "invalid_type",
                )
    return Outcome(Fate.KEPT, value)


def _boolean(value: Any, name: str, _facts: Facts) -> Outcome:
    if not isinstance(value, bool):
        raise wrong_type(name, "a boolean", value)
    return Outcome(Fate.KEPT, value)


def _drop(reason: str, *harmless: Any) -> Rule:
    """Not sent; values that ask for what happens anyway count as kept."""

    def rule(value: Any, _name: str, _facts: Facts) -> Outcome:
        kept = any(value == each and type(value) is type(each) for each in harmless)
        return Outcome(Fate.KEPT) if kept else Outcome(Fate.DROPPED, detail=reason)

    return rule


def _refuse_audio(value: Any, name: str, _facts: Facts) -> Outcome:
    if name == "modalities":
        if not isinstance(value, list):
            raise wrong_type(name, "an array", value)
        if "audio" not in value:
            return Outcome(Fate.KEPT)
    raise invalid(
        f"'{name}' asks for spoken output, which this model does not have.", name, "unsupported_value"
    )


def _cache_key(_value: Any, _name: str, _facts: Facts) -> Outcome:
    return Outcome(Fate.TRANSFORMED, detail="its hash becomes the header 'x-session-affinity'")


def _keep(value: Any, _name: str, _facts: Facts) -> Outcome:
    return Outcome(Fate.KEPT, value)


def _logprobs(value: Any, _name: str, _facts: Facts) -> Outcome:
    if isinstance(value, bool):
        return Outcome(Fate.KEPT, value)
    return Outcome(Fate.TRANSFORMED, True, "a completion's number of them is asked for in chat's form")


def _options(value: Any, name: str, _facts: Facts) -> Outcome:
    """Cloudflare's own option, by which a request fails where it would have to wait (code 3040)."""
    if not isinstance(value, dict):
        raise wrong_type(name, "an object", value)
    said = {key: each for key, each in value.items() if each is not None}
    if not isinstance(said.get(_BUSY, False), bool):
        raise wrong_type(f"{name}.{_BUSY}", "a boolean", said[_BUSY])
    if not said.keys() - {_BUSY}:
        return Outcome(Fate.KEPT, said or None)
    note = f"Workers AI knows no option but '{_BUSY}'"
    if _BUSY not in said:
        return Outcome(Fate.DROPPED, detail=note)
    return Outcome(Fate.TRANSFORMED, {_BUSY: said[_BUSY]}, note)


def _template_in_words(value: Any, name: str, facts: Facts) -> Outcome:
    """What the client says to the template of a model that can only be told in words not to think."""
    said = _template(value, name, facts).value
    switch = said.get("enable_thinking")
    if switch is None:
        return Outcome(Fate.DROPPED, detail=_NO_PLACE) if said else Outcome(Fate.KEPT)
    told = {"enable_thinking": switch}
    if not switch:
        return Outcome(Fate.EMULATED, told, f"the model is told '{NO_THINK}'")
    note = "" if said == told else "of its switches 'enable_thinking' alone has a meaning here"
    return Outcome(Fate.TRANSFORMED if note else Fate.KEPT, told, note)


def _template(value: Any, name: str, facts: Facts) -> Outcome:
    """What the client says to the chat template: its switches have a type, and thinking may have no 'off'."""
    if not isinstance(value, dict):
        raise wrong_type(name, "an object", value)
    said = {key: each for key, each in value.items() if each is not None or key not in _SWITCHES}
    for switch in _SWITCHES & said.keys():
        if not isinstance(said[switch], bool):
            raise wrong_type(f"{name}.{switch}", "a boolean", said[switch])
    if facts.thinks_always and said.get("enable_thinking") is False:
        rest = {key: each for key, each in said.items() if key != "enable_thinking"}
        return Outcome(Fate.TRANSFORMED, rest or None, "this model's thinking cannot be switched off")
    return Outcome(Fate.KEPT, said)


_NO_PLACE: Final = "the model's schema has no place for it"
_NO_LOGPROBS: Final = "the model reports no log probabilities"
_NO_CACHE: Final = "Workers AI caches prompts as it sees fit"
_NO_STORE: Final = "answers are not stored"

LEGACY: Final[Mapping[str, Rule]] = {
    # The schema's own
    "temperature": _number(0, 5),
    "top_p": _top_p,
    "top_k": _top_k(50),
    "seed": _seed,
    "repetition_penalty": _number(0, 2),
    "frequency_penalty": _penalty,
    "presence_penalty": _penalty,
    "image": _image,
    "lora": _lora,
    "raw": _boolean,
    "functions": _functions,
    # OpenAI's that the schema has no place for
    "audio": _refuse_audio,
    "modalities": _refuse_audio,
    "logit_bias": _drop("the model takes no token biases", {}),
    "logprobs": _drop(_NO_LOGPROBS, False),  # the completions endpoint's 0 asks for some
    "top_logprobs": _drop(_NO_LOGPROBS, 0),
    "metadata": _drop(_NO_STORE, {}),
    "moderation": _drop("the model moderates nothing"),
    "prediction": _drop("the model cannot use a predicted output; it would only be faster"),
    "prompt_cache_key": _cache_key,
    "prompt_cache_options": _drop(_NO_CACHE),
    "prompt_cache_retention": _drop(_NO_CACHE),
    "safety_identifier": _drop("Workers AI takes no end-user id"),
    "service_tier": _drop("Workers AI has one tier", "auto", "default"),
    "store": _drop(_NO_STORE, False),
    "user": _drop("Workers AI takes no end-user id"),
    "verbosity": _drop("the model has no such setting", "medium"),
    "web_search_options": _drop("the model cannot search the web"),
    "options": _options,
    "prompt": _drop("messages are sent beside it; a prompt goes to /v1/completions"),
    # The completions endpoint's
    "best_of": _drop("the model cannot rank its answers", 1),
}

# The legacy schema's own parameters.
_SCHEMA: Final = frozenset({
    "frequency_penalty", "functions", "image", "lora", "presence_penalty", "raw", "repetition_penalty",
    "seed", "temperature", "top_k", "top_p",
})  # fmt: skip

# What models with OpenAI's own schema treat otherwise.
OPENAI: Final[Mapping[str, Rule]] = {
    **LEGACY,
    "temperature": _number(0, 2),
    "top_p": _number(0, 1),
    "top_k": _top_k(1000),  # not in the schema, taken by the engines behind it
    "frequency_penalty": _number(-2, 2),
    "presence_penalty": _number(-2, 2),
    "logit_bias": _keep,
    "logprobs": _logprobs,
    "top_logprobs": _integer(0, 20),
    "user": _keep,
    "chat_template_kwargs": _template,
    "image": _drop(_NO_PLACE),
    "lora": _drop(_NO_PLACE),
    "raw": _drop(_NO_PLACE, False),
    "functions": _drop(_NO_PLACE),
}

# Qwen3 has the legacy schema, and a template that reads the words of its turns.
IN_WORDS: Final[Mapping[str, Rule]] = {**LEGACY, "chat_template_kwargs": _template_in_words}

# Llama Guard judges a dialogue and takes nothing that steers an answer.
GUARD: Final[Mapping[str, Rule]] = {
    **{name: _drop(_NO_PLACE) for name in LEGACY},
    **{name: LEGACY[name] for name in LEGACY if name not in _SCHEMA},
    "temperature": LEGACY["temperature"],
}

# What single models take besides (`Facts.takes`).
_OF_SOME: Final[Mapping[str, Rule]] = {"skip_special_tokens": _boolean}

_ONLY_WITH_PROMPT: Final = frozenset({"raw"})  # in the seed's schema; the newer ones have it in both forms
_ONLY_WITH_MESSAGES: Final = frozenset({"functions", "chat_template_kwargs"})


def translate_parameters(
    given: Mapping[str, Any],
    facts: Facts,
    report: Report,
    own_names: Mapping[str, str] = {},
    *,
    prompt: bool,
) -> dict[str, Any]:
    """The schema's parameters of a request; every given one has its fate afterwards.

    Args:
        given: The request's, by their common name.
        facts: What the model takes.
        report: Told what becomes of them.
        own_names: The client's names by the common ones, where it may have sent another.
        prompt: Whether a prompt is sent, and no dialogue.

    Raises:
        ApiError: 400 naming a parameter that the model cannot meet or that has the wrong type.
    """
    fields: dict[str, Any] = {}
    table, is_seed = _table(facts), facts.bounds == "seed"
    misplaced = _ONLY_WITH_MESSAGES if prompt else _ONLY_WITH_PROMPT if is_seed else ()
    for name, value in given.items():
        if name == EFFORT:
            continue
        rule = table.get(name) or (_OF_SOME.get(name) if name in facts.takes else None)
        if rule is None:
            outcome = Outcome(Fate.DROPPED, detail="the model's schema does not know it")
        elif name in facts.fails_at:
            outcome = Outcome(Fate.DROPPED, detail="the model does not answer where it is sent")
        elif name in misplaced:
            other = "messages" if prompt else "a prompt (/v1/completions)"
            outcome = Outcome(Fate.DROPPED, detail=f"it goes with {other} only")
        else:
            outcome = rule(value, name, facts)
        report.note(name, outcome.fate, outcome.detail)
        if outcome.value is not None:
            fields[name] = outcome.value
            if name == "logprobs" and outcome.fate is Fate.TRANSFORMED:
                fields["top_logprobs"] = value
    if EFFORT in given:
        asked = Asked(given[EFFORT], own_names.get(EFFORT, EFFORT), fields.get(TEMPLATE, {}))
        fields |= translate_effort(asked, facts, report, can_be_told=not prompt)
    return fields


def _table(facts: Facts) -> Mapping[str, Rule]:
    if facts.speaks_openai:
        return OPENAI
    if facts.guards:
        return GUARD
    return IN_WORDS if "no_think" in facts.can else LEGACY


def _clamp(value: float, low: float, high: float) -> Outcome:
    if low <= value <= high:
        return Outcome(Fate.KEPT, value)
    clamped = min(max(value, low), high)
    return Outcome(Fate.CLAMPED, clamped, f"{_shown(value)} is outside {low}..{high} and became {clamped:g}")


def _shown(number: float) -> str:
    """A number for people; JSON knows whole numbers of any length."""
    text = str(number)
    return text if len(text) <= _SHOWN_DIGITS else f"{text[:_SHOWN_DIGITS]}..."


def _as_number(value: Any, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, _NUMBERS):
        raise wrong_type(name, "a number", value)
    return value


def _as_integer(value: Any, name: str) -> int:
    number = _as_number(value, name)
    if number != int(number):
        raise wrong_type(name, "a whole number", value)
    return int(number)
