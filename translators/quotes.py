"""What of a backend's sentence may be shown to a client.

A backend's words may hold what is none of the client's business: hosts, paths, keys, ids. Bad words cannot
be listed, so good ones are: a sentence is quoted only where every word of it is an English word, a number,
a mark or the name of a field of the request. What is doubtful is not quoted; the client then has our words
alone.
"""

import re
from typing import Final

_QUOTE_LIMIT: Final = 300
_READ_LIMIT: Final = 20_000  # a longer text is no sentence, and reading it would take time

# The fields of requests as OpenAI's and Workers AI's schemas name them, and the words of those schemas.
_FIELDS: Final = frozenset([
    "additionalProperties", "allowed_tools", "arguments", "audio", "background", "body", "call_id",
    "chat_template_kwargs", "clear_thinking", "code", "content", "conversation", "custom", "definition",
    "description", "detail", "effort", "enable_thinking", "encrypted_content", "file", "file_data",
    "file_id", "filename", "format", "frequency_penalty", "function", "function_call", "functions",
    "generate_summary", "grammar", "guided_json", "id", "image", "image_url", "include",
    "include_obfuscation", "include_usage", "input", "input_audio", "instructions", "json_schema",
    "logit_bias", "logprob", "logprobs", "lora", "max_completion_tokens", "max_output_tokens",
    "max_tokens", "messages", "metadata", "modalities", "mode", "model", "n", "name", "output",
    "parallel_tool_calls", "parameters", "prediction", "presence_penalty", "previous_response_id",
    "prompt", "prompt_cache_key", "properties", "raw", "reasoning", "reasoning_content",
    "reasoning_effort", "refusal", "repetition_penalty", "requests", "required", "response_format",
    "role", "safety_identifier", "schema", "seed", "service_tier", "skip_special_tokens", "stop", "store",
    "stream", "stream_options", "strict", "structured_outputs", "summary", "syntax", "temperature", "text",
    "thinking", "token", "tool_call_id", "tool_calls", "tool_choice", "tools", "top_k", "top_logprobs",
    "top_p", "truncation", "type", "url", "user", "verbosity", "voice", "web_search_options",
])  # fmt: skip
_TERMS: Final = _FIELDS | frozenset([
    "allOf", "anyOf", "base64", "input_text", "json_object", "maxItems", "maxLength", "maxProperties",
    "minItems", "minLength", "minProperties", "mp3", "oneOf", "output_text", "patternProperties", "pcm16",
    "tool_result", "tool_use", "utf8",
])  # fmt: skip
# Words beside which a secret is likely to stand, however plain it looks.
_TELLING: Final = frozenset([
    "apikey", "authorization", "bearer", "credential", "credentials", "localhost", "passphrase", "passwd",
    "password", "secret",
])  # fmt: skip

_BETWEEN: Final = re.compile(r"[\s,'\"`(){}]+")
# Words of a usual length in usual letters: keys and ids mix letters with digits, or small ones with big.
_PLAIN: Final = re.compile(r"[A-Za-z][a-z]{0,15}|[A-Z]{2,5}|non-[a-z]{2,12}|(?:[A-Z][a-z]{1,11}){1,3}Error")
_NUMBER: Final = re.compile(r"[-+]?[0-9]{1,10}(?:\.[0-9]{1,6})?(?:e[-+]?[0-9]{1,3})?%?")
_MARK: Final = re.compile(r"[<>]=?|={1,2}|[-+*&|]|\.\.\.|")
_PATH: Final = re.compile(r"[A-Za-z_]+(?:\[[0-9]{1,4}\]|\.[A-Za-z_]+|\.[0-9]{1,4})+")
_NAME: Final = re.compile(r"[A-Za-z_]+")


def quotable(sentence: str) -> str:
    """The sentence without its full stop, at most 300 characters; nothing where it may not be shown."""
    if len(sentence) > _READ_LIMIT or not all(_is_plain(word) for word in _BETWEEN.split(sentence)):
        return ""
    quote = " ".join(sentence.split()).rstrip(".")
    if len(quote) <= _QUOTE_LIMIT:
        return quote
    more = ", and more"
    return quote[: _QUOTE_LIMIT - len(more)].rpartition(" ")[0].rstrip(",:;.") + more


def is_field(name: str) -> bool:
    """Whether it is the name of a field of requests, or of a keyword of their schemas."""
    return name in _FIELDS


def is_field_path(place: str) -> bool:
    """Whether it is a field of the request, such as `messages[0].content`: hosts have other names in them."""
    return place in _FIELDS or (
        _PATH.fullmatch(place) is not None and _FIELDS.issuperset(_NAME.findall(place))
    )


def _is_plain(word: str) -> bool:
    word = word[:-1] if word.endswith((":", ";", "!", "?", ".")) and word != "..." else word
    if word in _TERMS or is_field_path(word):
        return True
    word = word.removeprefix("[").removesuffix("]")
    if word.lower() in _TELLING:
        return False
    return any(form.fullmatch(word) for form in (_PLAIN, _NUMBER, _MARK)) or word in _TERMS
