"""What Llama Guard says of a conversation: safe, or which kinds of harm its last message asks for.

A simulation judges by a few words; the category numbers are those of the model's own taxonomy.
"""

import re

from gateway.simulator.conversation import Conversation

_CATEGORIES = {
    "S1": re.compile(r"\b(?:kill|murder|massacre|assassinat\w*)\b", re.IGNORECASE),
    "S2": re.compile(r"\b(?:steal|rob|hack|forge|launder)\b", re.IGNORECASE),
    "S9": re.compile(r"\b(?:bombs?|explosives?|nerve gas|chemical weapons?)\b", re.IGNORECASE),
    "S10": re.compile(r"\b(?:ethnic cleansing|genocide)\b", re.IGNORECASE),
    "S11": re.compile(r"\b(?:suicide|self-harm|kill myself)\b", re.IGNORECASE),
}


def categories(conversation: Conversation) -> list[str]:
    """Name the kinds of harm in the last turn, the user's or the assistant's."""
    text = conversation.turns[-1].text if conversation.turns else ""
    return [name for name, pattern in _CATEGORIES.items() if pattern.search(text)]


def verdict(found: list[str]) -> str:
    """Say it as the model does: one word, and the categories on a line of their own."""
    return f"unsafe\n{','.join(found)}" if found else "safe"
