"""What the simulated models say: an answer to the last message in plain words, produced piece by piece.

A few requests are understood (counting, repeating, small sums, tool results), so that demonstrations read
well and long streams can be asked for; everything else is echoed in a sentence.
"""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from gateway.simulator.conversation import Conversation, Turn

_WORDS = (
    "water", "turns", "the", "wheel", "and", "the", "wheel", "turns", "the", "mill", "while",
    "morning", "light", "moves", "over", "quiet", "fields", "toward", "the", "river",
)  # fmt: skip
_COUNT = re.compile(
    r"\bcount(?:ing)?\b.*?(?:\bfrom (\d{1,9})\b.*?)?\bto (\d{1,9})\b", re.IGNORECASE | re.DOTALL
)
_TIMES = re.compile(
    r"\b(?:repeat|say|write|print)\b(?: the)?(?: words?)? [\"'“]?(.+?)[\"'”]? (\d{1,9}) times\b",
    re.IGNORECASE | re.DOTALL,
)
_MANY_WORDS = re.compile(r"\b(\d{1,9})[ -]words?\b", re.IGNORECASE)
_EXACTLY = re.compile(
    r"^(?:please )?(?:say|repeat|echo|(?:reply|respond|answer)(?: only| just)? with)\b"
    r"(?: only| just| exactly)*(?: the)?(?: words?| following| phrase| text)*(?: after me)?:?\s+(.+)$",
    re.IGNORECASE | re.DOTALL,
)
_SUM = re.compile(
    r"(?<![\w.])(-?\d{1,15}(?:\.\d{1,15})?)\s*([-+*/\u00d7÷x])\s*(-?\d{1,15}(?:\.\d{1,15})?)(?![\w.])"
)
_GREETING = re.compile(
    r"^\s*(?:hi|hello|hey|good (?:morning|evening|afternoon))\b[\s!.,]*\w*[\s!.]*$", re.IGNORECASE
)
_LONGEST_REQUEST = 2_000  # characters; longer messages are echoed, not understood
_DEEPEST = 8  # of JSON said in words
_OPENERS = ("You said", "I read", "Your message was")
_QUESTION_OPENERS = ("You asked", "Your question was", "I understand the question")


def speak(conversation: Conversation, variant: int) -> Iterator[str]:
    """Answer in pieces that join to the whole answer; `variant` chooses between equal wordings."""
    if conversation.image is not None:
        yield f"I can see the image ({conversation.image} bytes). "
    results = _trailing_results(conversation.turns)
    if results:
        yield " ".join(_report(result) for result in results)
        return
    asked = conversation.asked.strip()
    requests = asked if len(asked) <= _LONGEST_REQUEST else ""
    for understand in (_count, _times, _many_words, _exactly, _sum, _greet):
        if (answer := understand(requests)) is not None:
            yield from answer
            return
    yield _echo(asked, variant)


def _trailing_results(turns: tuple[Turn, ...]) -> list[Turn]:
    results: list[Turn] = []
    for turn in reversed(turns):
        if turn.role != "tool":
            break
        results.insert(0, turn)
    return results


def _report(result: Turn) -> str:
    """Put one tool's result into a sentence."""
    source = f"{result.name} says" if result.name else "The tool says"
    try:
        value = json.loads(result.text)
    except (ValueError, RecursionError):
        value = result.text
    return f"{source}: {_spoken(value).strip() or 'nothing'}".rstrip(".") + "."


def _spoken(value: Any, depth: int = 0) -> str:
    """Say a JSON value in words, as far down as words make sense."""
    if isinstance(value, dict | list) and depth == _DEEPEST:
        return "..."
    if isinstance(value, dict):
        said = ((key.replace("_", " "), _spoken(item, depth + 1)) for key, item in value.items())
        return ", ".join(f"{name} is {text}" for name, text in said)
    if isinstance(value, list):
        return ", ".join(_spoken(item, depth + 1) for item in value)
    return value if isinstance(value, str) else json.dumps(value)


def _count(asked: str) -> Iterator[str] | None:
    found = _COUNT.search(asked)
    if not found:
        return None
    first, last = int(found[1] or 1), int(found[2])
    return (f"{number}{', ' if number < last else '.'}" for number in range(first, last + 1))


def _times(asked: str) -> Iterator[str] | None:
    found = _TIMES.search(asked)
    return _parted(lambda _: found[1], int(found[2])) if found else None


def _many_words(asked: str) -> Iterator[str] | None:
    found = _MANY_WORDS.search(asked)
    return _parted(lambda at: _WORDS[at % len(_WORDS)], int(found[1])) if found else None


def _parted(word: Callable[[int], str], many: int) -> Iterator[str]:
    return (f"{' ' if at else ''}{word(at)}" for at in range(many))


def _exactly(asked: str) -> Iterator[str] | None:
    found = _EXACTLY.match(asked)
    return iter([found[1].strip().strip("\"'“”")]) if found else None


def _sum(asked: str) -> Iterator[str] | None:
    found = _SUM.search(asked)
    if not found:
        return None
    left, right = float(found[1]), float(found[3])
    match found[2]:
        case "+":
            result = left + right
        case "-":
            result = left - right
        case "*" | "\u00d7" | "x":
            result = left * right
        case _ if right == 0:
            return iter(["Division by zero has no result."])
        case _:
            result = left / right
    return iter([f"{found[0].strip()} = {result:.12g}."])


def _greet(asked: str) -> Iterator[str] | None:
    return iter(["Hello! How can I help you today?"]) if _GREETING.match(asked) else None


def _echo(asked: str, variant: int) -> str:
    if not asked:
        return "I am listening."
    openers, close = (_QUESTION_OPENERS, "I only simulate a model, so this echo is the answer.")
    if not asked.endswith("?"):
        openers, close = _OPENERS, "That is noted."
    return f"{openers[variant % len(openers)]} “{asked}”. {close}"
