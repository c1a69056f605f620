"""Which field of a request a refusal of Workers AI's validator is really about.

The validator lists every option of every union that it tried, whether or not trying it was a mistake. So a
request with `content: null` is told of a missing `prompt`, and one with a wrong `top_p` of incomplete
tools. How the field at fault is found:

- An object's check ends at its first mistake, so of the texts that one form of the input (a prompt or
  messages) left behind only the last is a mistake; those before it come of unions that were met otherwise.
- Texts that both forms left behind are listed once, where they came first.
- `required properties` named although they are there are the trace of a union below that was not met.

The body that was sent, where it is known, tells what is there and what is missing.
"""

from collections.abc import Iterable, Sequence
from itertools import takewhile
from typing import Any, Final, NamedTuple

from translators.backends.workers_ai.places import ABSENT, value_at
from translators.backends.workers_ai.refusals import Complaint, Path, read_refusal
from translators.errors import json_type
from translators.quotes import is_field, quotable

# The field that makes each form of the input.
_FORMS: Final = ("messages", "prompt", "input", "requests")
_OF_DIALOGUES: Final = (("messages",), ("tools",), ("functions",))
# What says of which kind an object is: unions of kinds leave such texts although one kind was met.
_KINDS: Final = (("type",), ("role",))
_KNOWN_KINDS: Final = ("function", "text", "image_url", "user", "assistant", "system", "tool")

_TYPES: Final = {
    "string": "a string",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "a boolean",
    "array": "an array",
    "binary": "an array",
    "object": "an object",
    "null": "null",
}
_BOUNDS: Final = {
    ">=": "at least",
    ">": "more than",
    "<=": "at most",
    "<": "less than",
    "multiple of": "a multiple of",
}


class Fault(NamedTuple):
    """What is wrong, at which place of the body that was sent.

    Attributes:
        path: The place.
        words: What must be there, to be put behind the field's name.
        code: OpenAI's code for such a mistake.
    """

    path: Path
    words: str
    code: str = "invalid_value"


def blame(text: str, body: Any = ABSENT) -> Fault | None:
    """The fault that a refusal is about, or None where the text is none that the validator makes.

    Args:
        text: The refusal, without what Workers AI puts around it.
        body: The body that was refused, decoded.
    """
    complaints = read_refusal(text)
    if not complaints:
        return None
    first, *more = complaints
    if first.kind == "list" and first.path == ():
        return _both_forms(first, body) or _of_forms(more, body)
    return _word(_inmost(first, more, body), complaints, body)


def _both_forms(head: Complaint, body: Any) -> Fault | None:
    many = head.wanted not in ("", "0")
    sent = isinstance(body, dict) and "messages" in body and "prompt" not in body
    return Fault(("prompt",), "must not stand beside 'messages'") if many and not sent else None


def _of_forms(complaints: Sequence[Complaint], body: Any) -> Fault | None:
    """The fault in the form that the client used, whatever is said of the others."""
    form = _form(complaints, body)
    ours = [each for each in complaints if form in each.names or not _misses_form(each)]
    ours = [each for each in ours if _concerns(each, body)] or ours
    ours = [each for each in ours if not _tells_kinds_apart(each, body)] or ours
    if not ours:
        return Fault((form,), "is missing", "missing_required_parameter")
    main = ours[-1]
    if form == "messages" and not any(_misses_form(each) and each not in ours for each in complaints):
        # The other form failed at a field that both have, and was checked first.
        shared = list(takewhile(lambda each: each.path[:1] not in _OF_DIALOGUES, ours))
        main = shared[-1] if shared else main
    return _word(_inmost(main, ours, body), ours, body)


def _form(complaints: Iterable[Complaint], body: Any) -> str:
    """The field by which the client chose the form of its input."""
    if isinstance(body, dict):
        sent = [form for form in _FORMS if form in body]
        return next((form for form in sent if body[form] is not None), next(iter(sent), "messages"))
    missed = [each.wanted for each in complaints if _misses_form(each)]
    return "prompt" if "messages" in missed and "prompt" not in missed else "messages"


def _misses_form(complaint: Complaint) -> bool:
    return complaint.kind == "required" and not complaint.path and complaint.wanted in _FORMS


def _concerns(complaint: Complaint, body: Any) -> bool:
    """Whether what it speaks of was sent at all: unions of absent objects leave texts as well."""
    return body is ABSENT or value_at(body, complaint.path) is not ABSENT


def _tells_kinds_apart(complaint: Complaint, body: Any) -> bool:
    """Whether it only says that an object is of another kind than the one tried, and of which it may be."""
    if complaint.kind not in ("const", "enum") or complaint.path[-1:] not in _KINDS:
        return False
    return value_at(body, complaint.path) in _KNOWN_KINDS


def _inmost(main: Complaint, complaints: Iterable[Complaint], body: Any) -> Complaint:
    """The mistake below that a complaint is only the trace of, or the complaint itself."""
    outer = _wrong_container(main.path, body)
    if outer is not None:
        return outer
    below = [each for each in complaints if each.under(main.path)]
    if main.kind != "required":
        return max(reversed(below), key=lambda each: len(each.path)) if below else main
    below = [each for each in below if each.path[len(main.path)] in main.names]
    found = _not_as_required(main, value_at(body, main.path)) if body is not ABSENT else None
    return found or (below[-1] if below else _odd_one(main, body))


def _not_as_required(main: Complaint, parent: Any) -> Complaint | None:
    """What lacks a required property, or can have none; None where all are there."""
    if not isinstance(parent, dict):
        return Complaint("type", main.path, "object")
    missing = next((name for name in main.names if name not in parent), None)
    return None if missing is None else Complaint("required", (*main.path, missing))


def _odd_one(main: Complaint, body: Any) -> Complaint:
    """Of required properties that are all there, the one with an unusual value; else all of them."""
    for name in main.names:
        path = (*main.path, name)
        value = value_at(body, path)
        if not isinstance(value, str) and body is not ABSENT:
            return _wrong_container(path, body) or _odd_element(path, value) or Complaint("type", path)
    return main


def _odd_element(path: Path, value: Any) -> Complaint | None:
    """The first element of a list of messages or tools that is no object, or one of nothing known."""
    for number, element in enumerate(value if path in _OF_DIALOGUES else ()):
        if not (isinstance(element, dict) and any(map(is_field, element))):
            return Complaint("type", (*path, str(number)), "object")
    return None


def _wrong_container(path: Path, body: Any) -> Complaint | None:
    """The list that is none: the validator walks the keys of an object as if they were its elements."""
    if path[:1] in _OF_DIALOGUES and isinstance(body, dict) and not isinstance(body.get(path[0]), list):
        return Complaint("type", path[:1], "array")
    return None


def _word(main: Complaint, complaints: Iterable[Complaint], body: Any) -> Fault:
    """The complaint in our words."""
    path, wanted = main.path, main.wanted
    same = [each for each in complaints if each.path == path]
    values = [each.wanted.replace(",", " or ") for each in same if each.kind in ("const", "enum")]
    match main.kind:
        case "type" | "const" | "enum" if values:
            listed = quotable(" or ".join(values))
            return Fault(path, f"must be {listed}" if listed else "has a value that the model does not take")
        case "type":
            return Fault(path, _wrong_type(main, same, value_at(body, path)), "invalid_type")
        case "required":
            return _lack(main)
        case "length":
            sign, _, count = wanted.partition(" ")
            return Fault(path, f"must have {_BOUNDS[sign]} {count} characters")
        case "bound":
            sign, _, bound = wanted.rpartition(" ")
            return Fault(path, f"must be {_BOUNDS[sign]} {bound}")
        case "pattern":
            return Fault(path, "does not match its pattern")
        case "size":
            return Fault(path, f"has too {'few' if wanted == 'min' else 'many'} fields")
        case _:
            return Fault(path, "is not taken by the model", "unknown_parameter")


def _lack(main: Complaint) -> Fault:
    if not main.wanted:
        return Fault(main.path, "is missing", "missing_required_parameter")
    *most, last = (f"'{name}'" for name in main.names)
    if not most:
        return Fault((*main.path, main.wanted), "is missing, or has a form that the model does not take")
    return Fault(main.path, f"must have {', '.join(most)} and {last}, each in a form that the model takes")


def _wrong_type(main: Complaint, same: Iterable[Complaint], value: Any) -> str:
    """What type there must be, by all options of a union, and which there is."""
    names = [name for each in (*same, main) if each.kind == "type" for name in each.names]
    types = dict.fromkeys(_TYPES[name] for name in names if name in _TYPES)
    got = _TYPES.get(main.got, "") or ("" if value is ABSENT else json_type(value))
    if not types or got in types:
        return "has a form that the model does not take"
    return f"must be {' or '.join(types)}" + (f", but it is {got}" if got else "")
