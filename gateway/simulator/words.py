"""Words: of identifiers, of sentences, and lists of them."""

import re


def listed(text: str) -> frozenset[str]:
    """Read a list of words as one writes it."""
    return frozenset(text.split())


def words_of(name: str) -> list[str]:
    """Split an identifier into its words: `targetLanguage`, `target_language` and `target-language` alike."""
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    return [word.lower() for word in re.findall(r"[A-Za-z]+|\d+", parted)]


def stem(word: str) -> str:
    """Cut an English ending, so that `searching` meets `search`."""
    for ending in ("ing", "ies", "ed", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) > 2:
            word = word.removesuffix(ending)
            break
    return word.removesuffix("e") if len(word) > 3 else word
