"""The Responses shape, in which gpt-oss may answer: output items, and only ever whole.

Source: OpenAI's specification, `Response`; Cloudflare's generated types.
"""

from dataclasses import dataclass

from hypothesis import strategies as st

from tests.laws.answers.said import CALLS, STRINGS, THOUGHTS, USAGES, Object, Said, compact


@dataclass(frozen=True)
class Spelling:
    """How an answer is written."""

    parted: bool = False  # the text in one part for each piece, or in one


def result(said: Said, spelling: Spelling) -> Object:
    """A whole answer."""
    cut = said.finish_reason == "length"
    answer: Object = {
        "id": "resp_1",
        "object": "response",
        "status": "incomplete" if cut else "completed",
        "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
        "error": None,
        "output": _items(said, spelling),
    }
    return answer if said.usage is None else {**answer, "usage": _usage(said.usage)}


def _items(said: Said, spelling: Spelling) -> list[Object]:
    items: list[Object] = []
    if said.thinking:
        content = [{"type": "reasoning_text", "text": "".join(said.thinking)}]
        items.append({"type": "reasoning", "id": "rs_1", "summary": [], "content": content})
    texts = said.pieces if spelling.parted else (said.text,)
    if said.pieces or not said.calls:
        content = [{"type": "output_text", "text": text, "annotations": []} for text in texts]
        items.append({"type": "message", "id": "msg_1", "role": "assistant", "content": content})
    for index, (name, arguments) in enumerate(said.calls):
        call = {"call_id": f"call_{index}", "name": name, "arguments": compact(arguments)}
        items.append({"type": "function_call", "id": f"fc_{index}", "status": "completed", **call})
    return items


def _usage(usage: Object) -> Object:
    """The counts under the names that this shape has for them."""
    names = {"prompt_tokens": "input_tokens", "completion_tokens": "output_tokens"}
    names |= {f"{old}_details": f"{new}_details" for old, new in names.items()}
    return {names.get(name, name): value for name, value in usage.items()}


SPELLINGS = st.builds(Spelling, st.booleans())
SAID = st.builds(Said, STRINGS, CALLS, USAGES, st.none() | st.just("length"), THOUGHTS)
