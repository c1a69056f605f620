"""Reads a body as a product does: what it refuses, what it leaves unread, what it makes of the rest."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, Final

import msgspec

from gateway.simulator import conversation, instructions
from gateway.simulator.conversation import Conversation, Defaults, Turn
from gateway.simulator.servers.products import Product
from gateway.simulator.servers.refusals import Refusal, refuse

_UNTOLD: Final = Defaults(max_tokens=0, temperature=1.0)
_COMPLETION_TOKENS: Final = 16
_AUTO: Final = '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set'
_BOTH: Final = "Cannot set both `continue_final_message` and `add_generation_prompt` to True."

_Count = Annotated[int, msgspec.Meta(ge=1, le=10**9)]


class _Options(msgspec.Struct):
    include_usage: bool | None = None
    continuous_usage_stats: bool | None = None


class _Message(msgspec.Struct):
    role: str


class _Parameters(msgspec.Struct, kw_only=True):
    """What all products check of what both endpoints take."""

    model: str | None = None
    max_tokens: _Count | None = None
    max_completion_tokens: _Count | None = None
    n: Annotated[int, msgspec.Meta(ge=1, le=128)] | None = None
    temperature: Annotated[float, msgspec.Meta(ge=0, le=2)] | None = None
    top_p: float | None = None
    stop: str | list[str] | None = None
    stream: bool | None = None
    stream_options: _Options | None = None
    seed: int | None = None


class _Chat(_Parameters, kw_only=True):
    messages: Annotated[list[_Message], msgspec.Meta(min_length=1)]
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, msgspec.Meta(ge=0, le=20)] | None = None


class _Completion(_Parameters, kw_only=True):
    prompt: str | list[str | int | list[int]]
    echo: bool | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """One request as the product understands it.

    Attributes:
        model: The name that was asked for.
        asked: The conversation; several prompts of a completion are several of them.
        is_streamed: Whether the answer is wanted as a stream.
        states_usage, usage_each: Whether a stream tells its usage, and on every chunk.
        names_tool: Whether one named tool has to be called.
        is_single: Whether one call is wanted at most.
        has_limit: Whether the request says how long the answer may be.
        seed: Chooses between equal wordings.
        echo: Whether a completion repeats its prompt.
    """

    model: str
    asked: tuple[Conversation, ...]
    is_streamed: bool
    states_usage: bool
    usage_each: bool
    names_tool: bool
    is_single: bool
    has_limit: bool
    seed: int
    echo: bool = False


def read_chat(product: Product, body: bytes, *, takes_tools: bool) -> Question | Refusal:
    """Read a body of `/v1/chat/completions`."""
    sent = _decode(product, body, _Chat)
    if isinstance(sent, Refusal):
        return sent
    refused = _refuse_options(product, sent) or _refuse_values(product, sent)
    if refused := refused or _refuse_tools(product, sent, takes_tools=takes_tools):
        return refused
    understood = {key: value for key, value in sent.items() if _reads(product, key)}
    written = _begun(product, understood)
    if isinstance(written, Refusal):
        return written
    if written is not None:
        understood["messages"] = understood["messages"][:-1]
    asked = conversation.read(understood, as_prompt=False, unless_told=_UNTOLD)
    asked = instructions.with_prompted_tools(asked) if not asked.tools else asked
    asked = replace(
        instructions.with_told_choice(asked), written=written or "", effort=_effort(product, sent)
    )
    if (schema := _tgi_schema(product, sent)) is not None:
        asked = replace(asked, schema=schema)
    asked = asked if product.many else replace(asked, choices=1)
    return _question(product, understood, (asked,))


def read_completion(product: Product, body: bytes) -> Question | Refusal:
    """Read a body of `/v1/completions`."""
    sent = _decode(product, body, _Completion)
    if isinstance(sent, Refusal):
        return sent
    if refused := _refuse_options(product, sent) or _refuse_values(product, sent):
        return refused
    limit = sent.get("max_tokens") or sent.get("max_completion_tokens") or _COMPLETION_TOKENS
    plain = {key: sent[key] for key in ("temperature", "stop", "stream_options", "n") if key in sent}
    asked = tuple(
        conversation.read(
            plain | {"prompt": prompt, "raw": True, "max_tokens": limit}, as_prompt=True, unless_told=_UNTOLD
        )
        for prompt in _prompts(sent["prompt"])
    )
    asked = asked if product.many else tuple(replace(each, choices=1) for each in asked)
    return replace(_question(product, sent, asked), has_limit=True, echo=sent.get("echo") is True)


def _decode(product: Product, body: bytes, shape: type[msgspec.Struct]) -> dict[str, Any] | Refusal:
    try:
        sent = msgspec.json.decode(body, type=dict[str, Any])
        msgspec.convert(sent, shape)
    except msgspec.ValidationError as error:
        # The products' own words differ; all name the place.
        text, _, place = str(error).partition(" - at `$.")
        return refuse(product, 400, f"{text} - at `{place}" if place else text, _name(place))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return refuse(product, 400, f"JSON decode error: {error}")
    if "model" not in sent and product.knows_models:
        return refuse(product, 400, "Field required: model", "model")
    return sent


def _name(place: str) -> str | None:
    return place.rstrip("`").partition(".")[0].partition("[")[0] or None


def _reads(product: Product, key: str) -> bool:
    return product.takes is None or key in product.takes


def _refuse_options(product: Product, sent: Mapping[str, Any]) -> Refusal | None:
    """Refuse what only TensorRT-LLM minds."""
    if product.ignores or product.takes is None:
        return None
    if unknown := sorted(sent.keys() - product.takes):
        place = "', '".join(("body", unknown[0]))
        return refuse(
            product,
            400,
            f"[{{'type': 'extra_forbidden', 'loc': ('{place}'), 'msg': 'Extra inputs are not permitted'}}]",
        )
    if sent.get("stream_options") and not sent.get("stream"):
        return refuse(product, 400, "Stream options can only be defined when stream is true.")
    return None


def _refuse_values(product: Product, sent: Mapping[str, Any]) -> Refusal | None:
    """Refuse values that OpenAI allows, and a product does not."""
    if product.name == "vllm" and (sent.get("n") or 1) > 1 and sent.get("temperature") == 0:
        return refuse(product, 400, f"n must be 1 when using greedy sampling, got {sent['n']}.")
    if product.name != "tgi":
        return None
    if isinstance(sent.get("logit_bias"), dict):
        return refuse(product, 400, "logit_bias: invalid type: map, expected a sequence")
    top_p, schema = sent.get("top_p"), _tgi_schema(product, sent)
    if top_p is not None and not 0 < top_p < 1:
        return refuse(product, 400, "Input validation error: `top_p` must be > 0.0 and < 1.0")
    if schema is not None and "properties" not in schema:
        words = "Grammar must have a 'properties' field"
        return refuse(product, 400, f"Input validation error: grammar is not valid: {words}")
    return None


def _refuse_tools(product: Product, sent: Mapping[str, Any], *, takes_tools: bool) -> Refusal | None:
    """Refuse tools where the server was started without them, and choices that it does not know."""
    choice, tools = sent.get("tool_choice"), sent.get("tools")
    if product.name == "vllm":
        return _refuse_vllm_tools(product, choice, tools, takes_tools=takes_tools)
    if product.name == "llama_cpp" and not takes_tools and (tools or choice not in (None, "auto")):
        return refuse(product, 400, "tools param requires --jinja flag")
    if product.name == "tensorrt_llm" and not tools and choice not in (None, "none", "auto"):
        return refuse(product, 400, "When using `tool_choice`, `tools` must be set.")
    return None


def _refuse_vllm_tools(product: Product, choice: Any, tools: Any, *, takes_tools: bool) -> Refusal | None:
    if choice in (None, "none"):
        is_called = bool(tools) and choice is None
        return refuse(product, 400, _AUTO) if is_called and not takes_tools else None
    if not tools:
        return refuse(product, 400, "When using `tool_choice`, `tools` must be set.")
    if isinstance(choice, dict):
        function = choice.get("function")
        name = function.get("name") if isinstance(function, dict) else None
        if name not in _names(tools):
            return refuse(
                product, 400, "The tool specified in `tool_choice` does not match any of the tools."
            )
        named = f'tool_choice=function "{name}"'
    elif choice in {"auto", "required"}:
        named = f'tool_choice="{choice}"'
    else:
        return refuse(
            product,
            400,
            f"Invalid value for `tool_choice`: {choice}! Only named tools, none, auto "
            "or required are supported.",
        )
    if takes_tools:
        return None
    return refuse(
        product, 400, _AUTO if choice == "auto" else f"{named} requires --tool-call-parser to be set"
    )


def _names(tools: Any) -> list[Any]:
    names = [tool["function"].get("name") for tool in tools if isinstance(tool.get("function"), dict)]
    return [name for name in names if isinstance(name, str)]


def _begun(product: Product, sent: Mapping[str, Any]) -> str | Refusal | None:
    """Find the answer's beginning, where the product goes on with the assistant's last message."""
    goes_on = sent.get("continue_final_message") is True
    match product.continues:
        case "flags":
            if goes_on and sent.get("add_generation_prompt") is not False:
                return refuse(product, 400, _BOTH)
        case "always":
            goes_on = True
        case "never":
            goes_on = False
    [last] = [Turn("", ""), *conversation.turns_of(sent["messages"])][-1:]
    return last.text if goes_on and last.role == "assistant" else None


def _effort(product: Product, sent: Mapping[str, Any]) -> str:
    """Settle how long to think: not at all unless told to."""
    if product.thoughts is None:
        return "none"
    stated = sent.get("reasoning")
    effort = stated.get("effort") if isinstance(stated, dict) else None
    effort = sent.get("reasoning_effort") or effort
    kwargs = sent.get("chat_template_kwargs")
    if isinstance(kwargs, dict) and True in (kwargs.get("enable_thinking"), kwargs.get("thinking")):
        effort = effort or "medium"
    return effort if isinstance(effort, str) else "none"


def _tgi_schema(product: Product, sent: Mapping[str, Any]) -> Mapping[str, Any] | None:
    wanted = sent.get("response_format")
    if product.name != "tgi" or not isinstance(wanted, dict):
        return None
    value = wanted.get("value")
    return value if isinstance(value, dict) else None


def _question(product: Product, sent: Mapping[str, Any], asked: tuple[Conversation, ...]) -> Question:
    choice, options = sent.get("tool_choice"), sent.get("stream_options")
    if product.chooses == "words" and isinstance(choice, dict):
        asked = tuple(replace(each, choice="auto", forced=None) for each in asked)
    options = options if isinstance(options, dict) else None
    usage_each = product.usage_each and options is not None and options.get("continuous_usage_stats") is True
    unsaid = product.name == "tensorrt_llm" and options is not None
    return Question(
        model=sent.get("model") or "",
        asked=asked,
        is_streamed=sent.get("stream") is True,
        states_usage=bool(options and options.get("include_usage", unsaid)),
        usage_each=usage_each,
        names_tool=asked[0].forced is not None,
        is_single=product.obeys_parallel and sent.get("parallel_tool_calls") is False,
        has_limit=bool(sent.get("max_tokens") or sent.get("max_completion_tokens")),
        seed=sent.get("seed") or 0,
    )


def _prompts(prompt: str | list[Any]) -> list[str]:
    """Tell one prompt from several; tokens by number are named, for no vocabulary here knows them."""
    if isinstance(prompt, str):
        return [prompt]
    if all(isinstance(each, int) for each in prompt):
        return [" ".join(f"token {each}" for each in prompt)]
    return [text for each in prompt for text in _prompts(each if isinstance(each, str | list) else [each])]
