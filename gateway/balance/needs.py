"""What a request needs of a target, and which conversation it belongs to."""

from hashlib import blake2b
from typing import Final

import msgspec

from gateway.routing import Plan, Target
from translators.backends.workers_ai.catalogue import Facts
from translators.chat import ChatRequest, Image, Text

_BYTES_PER_TOKEN: Final = 5  # of nearly any text there are fewer: what is too long by this surely is

_PROMPT_BEGINNING: Final = 2000  # characters of a bare prompt by which a conversation is known


class Needs(msgspec.Struct, frozen=True):
    """What a request needs.

    Attributes:
        can: Capabilities: tools, vision, json.
        tokens: The least that its prompt has.
        opening: What its conversation began with; the same for all its turns.
    """

    can: frozenset[str] = frozenset()
    tokens: int = 0
    opening: int = 0


NOTHING: Final = Needs()


def needs_of(request: ChatRequest, *, with_opening: bool) -> Needs:
    """What a request needs; with what tells its conversation from others, where that matters."""
    can: set[str] = set()
    if request.tools and request.tool_choice.mode != "none":
        can.add("tools")
    if request.response_format is not None:
        can.add("json")
    characters = sum(map(len, request.prompts))
    for turn in request.turns:
        for part in turn.parts:
            if isinstance(part, Image):
                can.add("vision")
            characters += len(getattr(part, "text", None) or "")
    return Needs(frozenset(can), characters // _BYTES_PER_TOKEN, _opening(request) if with_opening else 0)


def _opening(request: ChatRequest) -> int:
    """What tells a conversation from others, on all workers: its words up to the first of the user's."""
    said = blake2b(digest_size=8)
    for turn in request.turns:
        for part in turn.parts:
            said.update((part.text if isinstance(part, Text) else repr(part)).encode(errors="surrogatepass"))
            said.update(b"\0")
        if turn.role == "user":
            break
    for prompt in request.prompts[:1]:
        said.update(prompt[:_PROMPT_BEGINNING].encode(errors="surrogatepass"))
    return int.from_bytes(said.digest(), "big")


def needs_within(plan: Plan, request: ChatRequest) -> Needs:
    """What a request needs that tells one of a plan's targets from another."""
    if len(plan.targets) == 1:
        return NOTHING
    with_opening = plan.balance == "prefix"
    if plan.alike:
        return Needs(opening=_opening(request)) if with_opening else NOTHING
    return needs_of(request, with_opening=with_opening)


def lacking(target: Target, needs: Needs) -> str:
    """What a target has not that a request needs; empty where it has all.

    What a model of Workers AI cannot do is mostly emulated, but nobody sees for it.
    """
    facts = target.facts
    wanted = needs.can
    if isinstance(facts, Facts):
        wanted = frozenset() if facts.family == "unknown" else wanted & {"vision"}
    for each in wanted:
        if each not in facts.can:
            return each
    return "window" if facts.window is not None and needs.tokens > facts.window else ""
