"""Facts of the Workers AI models: what a model's schema takes and what the model can.

The facts stand in `catalogue.json` beside this module; the gateway reads the bytes at start and hands
them over as a value. A model that is not listed is taken to be of the plainest kind.
"""

from collections.abc import Mapping
from functools import cached_property
from typing import Final, Literal

import msgspec

from translators.asking.answer_filters import Manner

Family = Literal[
    "legacy",
    "legacy_guard",
    "openai",
    "openai_legacy_input",
    "openai_or_legacy",
    "openai+responses",
    "unknown",
]

DEFAULT_MAX_TOKENS: Final = 4096
THINKING_MAX_TOKENS: Final = 16_384  # thinking and the answer share one budget

_SEED_TEXT: Final = 131_072  # UTF-16 units; the seed schema's maxLength of prompt and content


class Facts(msgspec.Struct, frozen=True, dict=True):
    """What is known of one model; what follows from it is found out once.

    Attributes:
        family: The wire family, for what a request may hold; an answer's shape is detected.
        window: Context window in tokens, prompt and answer together, as the service keeps to it; None where
            nobody says.
        advertised: The window that Cloudflare's list states, where the service takes less.
        content: What a message's content may be: a string, text parts, text and image parts, or OpenAI's.
        bounds: `seed`: penalties 0..2, top_p 0..2, texts of at most 131,072 UTF-16 units. `newer`:
            penalties -2..2, top_p 0.001..1.
        json: How the model is asked for JSON: by one of two fields, or in words. Generated types; the seed's
            lack the field, and the documentation of JSON mode lists the model.
        can: Capabilities: tools, vision, reasoning, toggle (thinking can be switched off by the chat
            template), low_effort (and made short by it), no_think (it can be switched off in words alone),
            lora, beta, paid, batch.
        takes: Parameters that the model's schema has and that of its family has not.
        fails_at: Parameters that the schema lets through and that the model does not answer.
        takes_tool_choice: Whether the model takes `tool_choice`; Mistral's do not (langchain-cloudflare).
        price: Dollars per million tokens by kind: input, output, cached_input.
        neurons: Neurons per million tokens by the same kinds.
        efforts: Reasoning efforts that the model knows.
        effort: The one that it takes by itself.
        effort_aliases: Efforts that it takes for others (the list's `normalizes_to`).
        released: The day it came, and retires: the day it is planned to go, both as YYYY-MM-DD.
    """

    family: Family = "unknown"
    window: int | None = None
    advertised: int | None = None
    content: Literal["string", "text_parts", "image_parts", "openai"] = "string"
    bounds: Literal["seed", "newer"] = "newer"
    json: Literal["response_format", "guided_json", "prompt"] = "prompt"
    can: frozenset[str] = frozenset()
    takes: frozenset[str] = frozenset()
    fails_at: frozenset[str] = frozenset()
    takes_tool_choice: bool = True
    price: Mapping[str, float] = {}
    neurons: Mapping[str, float] = {}
    efforts: tuple[str, ...] = ()
    effort: str | None = None
    effort_aliases: Mapping[str, str] = {}
    released: str | None = None
    retires: str | None = None

    @cached_property
    def text_limit(self) -> int | None:
        """The longest prompt or message in UTF-16 units, or None."""
        return _SEED_TEXT if self.bounds == "seed" else None

    @cached_property
    def default_max_tokens(self) -> int:
        """What to ask for where nobody said: Workers AI's own default, 256, cuts answers short."""
        usual = THINKING_MAX_TOKENS if "reasoning" in self.can else DEFAULT_MAX_TOKENS
        return usual if self.window is None else min(usual, self.window // 4)

    @cached_property
    def guards(self) -> bool:
        """Whether the model only judges a dialogue of users and assistants."""
        return self.family == "legacy_guard"

    @cached_property
    def thinks_always(self) -> bool:
        """Whether the model reasons and cannot be told not to."""
        has_switch = not self.can.isdisjoint(("toggle", "no_think")) or "none" in self.efforts
        return "reasoning" in self.can and not has_switch

    @cached_property
    def takes_thoughts(self) -> bool:
        """Whether messages have a place for the thinking of earlier turns: where answers have one for new."""
        return "reasoning" in self.can and (self.speaks_openai or self.family == "openai_legacy_input")

    @cached_property
    def thinks_in_text(self) -> bool:
        """Whether its thoughts may stand in its text, between tags; those of an unknown model may."""
        return not self.speaks_openai and ("reasoning" in self.can or self.family == "unknown")

    @cached_property
    def thinks_first(self) -> bool:
        """Whether its text begins with thinking, tag or no tag: QwQ's and R1's templates open the block."""
        return self.thinks_always and self.family == "legacy"

    @cached_property
    def takes_prompt(self) -> bool:
        """Whether the model completes a prompt, and not only a dialogue."""
        return not (self.speaks_openai or self.guards)

    @cached_property
    def knows_no_tools(self) -> bool:
        """Whether it has to be told of tools in words; of one that nobody has listed that is not assumed."""
        return self.family != "unknown" and not self.guards and "tools" not in self.can

    @cached_property
    def looks_for_images(self) -> bool:
        """Whether the server scans even plain text for data URLs (code 8006)."""
        return self.speaks_openai and "vision" in self.can

    @cached_property
    def speaks_openai(self) -> bool:
        """Whether the model's input is OpenAI's chat request and not the legacy schema."""
        return self.family in ("openai", "openai+responses")

    @cached_property
    def limit(self) -> str:
        """The field for the most tokens that an answer may have.

        glm-4.7-flash answered `max_tokens` with empty content (langchain-cloudflare, three of three).
        """
        return "max_completion_tokens" if self.speaks_openai else "max_tokens"

    @cached_property
    def manner(self) -> Manner:
        """How the model answers."""
        return Manner(self.thinks_in_text, self.thinks_first, self.knows_no_tools, not self.guards)


class Retired(msgspec.Struct, frozen=True):
    """A model that Cloudflare has taken out of service.

    Attributes:
        on: The day, as YYYY-MM-DD.
        successor: The model that Cloudflare lets answer in its place without telling anybody; None where
            requests are most likely refused.
    """

    on: str
    successor: str | None = None


class Catalogue(msgspec.Struct, frozen=True):
    """All models by id, and those that are gone."""

    models: dict[str, Facts]
    retired: dict[str, Retired] = {}
    about: str = ""

    def facts(self, model: str) -> Facts:
        """The facts of a model, listed or not."""
        return self.models.get(model, _UNLISTED)


_UNLISTED: Final = Facts()


def read_catalogue(data: bytes) -> Catalogue:
    """The catalogue from its JSON.

    Raises:
        msgspec.ValidationError: The file has another shape.
    """
    return msgspec.json.decode(data, type=Catalogue)
