"""Every parameter of OpenAI's chat request has a reader and, at the backend, a fate."""

from openai.types.chat import completion_create_params

from tests.laws.bodies import AUDIO_PARAMETERS, CHAT_PARAMETERS, TOOL_PARAMETERS
from translators.backends.workers_ai.parameters import LEGACY, OPENAI
from translators.clients.openai_chat.parameters import COMMON_NAMES, PLAIN, STRUCTURAL

# The SDK's list, which is generated from the specification, and the specification's own table by hand, so
# that an older SDK hides nothing.
SDK = set(completion_create_params.CompletionCreateParamsStreaming.__annotations__)
SPECIFIED = {
    "audio", "frequency_penalty", "function_call", "functions", "logit_bias", "logprobs",
    "max_completion_tokens", "max_tokens", "messages", "metadata", "modalities", "model", "moderation", "n",
    "parallel_tool_calls", "prediction", "presence_penalty", "prompt_cache_key", "prompt_cache_options",
    "prompt_cache_retention", "reasoning_effort", "response_format", "safety_identifier", "seed",
    "service_tier", "stop", "store", "stream", "stream_options", "temperature", "tool_choice", "tools",
    "top_logprobs", "top_p", "user", "verbosity", "web_search_options",
}  # fmt: skip


def test_every_parameter_of_openai_is_read() -> None:
    assert {*PLAIN, *STRUCTURAL} == SDK | SPECIFIED
    assert not STRUCTURAL & PLAIN.keys()


def test_every_plain_parameter_has_a_fate_at_workers_ai() -> None:
    assert PLAIN.keys() <= {*LEGACY, "reasoning_effort"}
    assert LEGACY.keys() <= OPENAI.keys()


def test_every_other_name_leads_to_a_parameter_that_is_read() -> None:
    assert {*COMMON_NAMES, *COMMON_NAMES.values()} <= STRUCTURAL


def test_the_laws_try_every_parameter() -> None:
    tried = {*CHAT_PARAMETERS, *AUDIO_PARAMETERS, *TOOL_PARAMETERS}
    assert tried | {"model", "messages", "stream_options"} == {*PLAIN, *STRUCTURAL}
