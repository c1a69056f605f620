"""Fuzzes one target, guided by the coverage of its code: tests/fuzz/run starts this, with atheris at hand."""

import json
import sys
from random import Random
from typing import Any, Final

import atheris

with atheris.instrument_imports(include=["translators", "gateway"]):
    from tests.fuzz import targets
    from tests.laws.bodies import EVERY_PARAMETER

_NAMES: Final = sorted({
    *EVERY_PARAMETER, "arguments", "content", "detail", "function", "id", "json_schema", "messages", "model",
    "name", "parameters", "prompt", "reasoning_content", "refusal", "role", "schema", "strict", "text",
    "tool_call_id", "tool_calls", "type", "url",
    # of a backend's answer
    "choices", "code", "completion_tokens", "delta", "error", "errors", "finish_reason", "index", "logprobs",
    "message", "output", "prompt_tokens", "response", "result", "success", "usage",
})  # fmt: skip
_VALUES: Final[tuple[Any, ...]] = (
    None, True, False, 0, -1, 1, 2**31, 2**64, 10**400, 1e308, 0.5, "", "x", "auto", "user", "assistant",
    "tool", "function", "text", "json_schema", "stop", "<think>", "\u2028", "\ud83d", [], {}, [None], [{}],
    {"type": "function", "function": {"name": "f", "parameters": {"$ref": "#"}}},
    [{"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}], '{"name": "f"}',
)  # fmt: skip
_LONGEST: Final = 4096


def mutated(data: bytes, longest: int, seed: int) -> bytes:
    """Other data of the same kind: mostly its JSON with one thing changed, else its bytes."""
    random = Random(seed)
    start = data.find(b"{", 1)
    end = data.find(b"\n", start) if b"data:" in data else len(data)
    if start > 0 and random.random() < 0.7:
        try:
            value = json.loads(data[start : end if end > 0 else len(data)])
        except (ValueError, RecursionError):
            pass
        else:
            _change(value, random)
            out = data[:start] + json.dumps(value).encode() + (data[end:] if end > 0 else b"")
            if len(out) <= longest:
                return out
    return bytes(atheris.Mutate(data, longest))


def _change(value: dict[str, Any], random: Random) -> None:
    """Replace, remove, add or copy one thing somewhere inside."""
    inside: list[Any] = [value]
    for each in inside:
        inside += [
            x for x in (each.values() if isinstance(each, dict) else each) if isinstance(x, dict | list)
        ]
    place = random.choice(inside)
    new = random.choice(_VALUES) if random.random() < 0.7 else json.loads(json.dumps(random.choice(inside)))
    if isinstance(place, list):
        place.insert(random.randint(0, len(place)), new)
        if random.random() < 0.5:
            del place[random.randrange(len(place))]
    elif place and random.random() < 0.5:
        name = random.choice(list(place))
        place.pop(name)
        if random.random() < 0.7:
            place[name] = new
    else:
        place[random.choice(_NAMES)] = new


if __name__ == "__main__":
    name, *options = sys.argv[1:]
    atheris.Setup(
        [sys.argv[0], f"-max_len={_LONGEST}", *options],
        targets.TARGETS[name],
        custom_mutator=None if name == "headers" else mutated,
    )
    atheris.Fuzz()
