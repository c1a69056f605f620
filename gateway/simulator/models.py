"""The models of the simulated account: what the catalogue says of each, as far as it matters here."""

from dataclasses import dataclass
from typing import Any, Literal

from gateway.simulator import schemas

Family = Literal["legacy"]


@dataclass(frozen=True, slots=True)
class Model:
    """One model and its facts."""

    name: str
    description: str
    family: Family  # the wire form of its input and output
    input: dict[str, Any]  # the schema its bodies are checked against
    window: int  # tokens of prompt and answer together
    neurons: tuple[int, int]  # per million prompt tokens and per million completion tokens
    dollars: tuple[float, float]  # likewise
    properties: tuple[str, ...] = ()  # catalogue properties whose value is "true"


_ALL = (
    Model(
        "@cf/meta/llama-3.1-8b-instruct-fast",
        "Simulation of the fast build of Llama 3.1 8B Instruct.",
        "legacy",
        schemas.SEED_INPUT,
        window=128_000,
        # Not on the pricing page. Inferred: the price of the sibling llama-3.1-8b-instruct-fp8-fast.
        neurons=(4_119, 34_868),
        dollars=(0.045, 0.384),
    ),
    Model(
        "@cf/meta/llama-3.3-70b-instruct-fp8-fast",
        "Simulation of Llama 3.3 70B Instruct, quantized to fp8.",
        "legacy",
        schemas.NEWER_INPUT,
        window=24_000,
        neurons=(26_668, 204_805),
        dollars=(0.293, 2.253),
        properties=("function_calling", "lora", "async_queue"),
    ),
)
MODELS = {model.name: model for model in _ALL}
