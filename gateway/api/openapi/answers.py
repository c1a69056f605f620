"""What answers are made of."""

from collections.abc import Mapping
from typing import Final

from gateway.api.openapi.schemas import (
    INTEGER,
    NULL,
    NUMBER,
    OBJECT,
    STRING,
    Schema,
    array,
    full,
    just,
    obj,
    one_of,
    or_null,
    ref,
    said,
)
from translators.report import Fate

_COUNT: Final[Schema] = {"type": "integer", "minimum": 0}
_REASON: Final[Schema] = one_of("stop", "length", "tool_calls", "content_filter", "function_call")
_LOGPROBS: Final[Schema] = or_null(ref("Logprobs"))
_SCORED: Final[Mapping[str, Schema]] = {
    "token": STRING,
    "logprob": said(NUMBER, "-9999 where the token is not among the likeliest."),
    "bytes": said(or_null(array(_COUNT)), "The token in UTF-8, where the backend tells."),
}
_THINKING: Final[Schema] = said(STRING, "What the model thought, where it tells.")

SCHEMAS: Final[Mapping[str, Schema]] = {
    "Error": full(
        "OpenAI's error. In a stream that has begun it is the last event, with no `[DONE]` behind it.",
        error=full(
            message=said(STRING, "What went wrong, where, and what to do."),
            type=STRING,
            param=said(or_null(STRING), "The parameter at fault, such as `messages[0].content`."),
            code=said(or_null(STRING), "For programs."),
        ),
    ),
    "Usage": obj(
        "Tokens, as the backend reported them or else as the gateway counted.",
        required=("prompt_tokens", "completion_tokens", "total_tokens"),
        prompt_tokens=_COUNT,
        completion_tokens=_COUNT,
        total_tokens=_COUNT,
        prompt_tokens_details=full(cached_tokens=_COUNT),
        completion_tokens_details=full(reasoning_tokens=_COUNT),
    ),
    "ChatCompletion": obj(
        required=("id", "object", "created", "model", "choices"),
        id=STRING,
        object=just("chat.completion"),
        created=INTEGER,
        model=said(STRING, "The model as it was asked for."),
        choices=array(ref("ChatChoice"), 1),
        usage=ref("Usage"),
    ),
    "ChatChoice": full(index=_COUNT, message=ref("ChatAnswer"), logprobs=_LOGPROBS, finish_reason=_REASON),
    "ChatAnswer": obj(
        required=("role", "content", "refusal"),
        role=just("assistant"),
        content=or_null(STRING),
        refusal=or_null(STRING),
        annotations=array(OBJECT),
        reasoning_content=_THINKING,
        tool_calls=array(ref("ToolCall"), 1),
        function_call=ref("FunctionCall"),
    ),
    "ChatCompletionChunk": obj(
        "The data of one event of a streamed chat completion.",
        required=("id", "object", "created", "model", "choices"),
        id=STRING,
        object=just("chat.completion.chunk"),
        created=INTEGER,
        model=STRING,
        choices=array(ref("ChunkChoice")),
        usage=said(or_null(ref("Usage")), "Null but in the last event, and only where it was asked for."),
    ),
    "ChunkChoice": full(
        index=_COUNT,
        delta=obj(
            role=just("assistant"),
            content=or_null(STRING),
            refusal=or_null(STRING),
            reasoning_content=_THINKING,
            tool_calls=array(ref("CallPiece"), 1),
            function_call=obj(name=STRING, arguments=STRING),
        ),
        logprobs=_LOGPROBS,
        finish_reason=or_null(_REASON),
    ),
    "Logprobs": full(content=or_null(array(ref("TokenLogprob"))), refusal=NULL),
    "TokenLogprob": full(**_SCORED, top_logprobs=array(full(**_SCORED))),
    "CallPiece": obj(
        "A piece of a call; id, type and name come with the first one.",
        required=("index",),
        index=_COUNT,
        id=STRING,
        type=one_of("function", "custom"),
        function=obj(name=STRING, arguments=STRING),
        custom=obj(name=STRING, input=STRING),
    ),
    "TextCompletion": obj(
        "A completion, and the data of one event of a streamed one.",
        required=("id", "object", "created", "model", "choices"),
        id=STRING,
        object=just("text_completion"),
        created=INTEGER,
        model=STRING,
        choices=array(
            full(index=_COUNT, text=STRING, logprobs=or_null(OBJECT), finish_reason=or_null(_REASON))
        ),
        usage=or_null(ref("Usage")),
    ),
    "ModelList": full(object=just("list"), data=array(ref("Model"))),
    "Model": obj(
        "A model that may be asked for; what is not known of it is left out.",
        required=("id", "object", "created", "owned_by"),
        id=STRING,
        object=just("model"),
        created=INTEGER,
        owned_by=STRING,
        context_length=said(INTEGER, "Tokens of prompt and answer together."),
        max_model_len=said(INTEGER, "The same, under vLLM's name."),
        capabilities=array(STRING),
        architecture=full(input_modalities=array(STRING), output_modalities=array(STRING)),
        reasoning_efforts=array(STRING),
        default_reasoning_effort=STRING,
        pricing=said({"type": "object", "additionalProperties": STRING}, "Dollars per token."),
        neurons_per_million_tokens={"type": "object", "additionalProperties": NUMBER},
        expiration_date=said(STRING, "The day that it is planned to go."),
    ),
    "Translation": full(
        "What a request would become; nothing has been sent.",
        model=STRING,
        target=full(backend=STRING, model=STRING),
        calls=array(full(method=just("POST"), path=STRING, body=OBJECT), 1),
        report=array(full(parameter=STRING, fate=one_of(*(fate.word for fate in Fate)), detail=STRING)),
        header=said(STRING, "The value of `x-penstock-translation`."),
    ),
    "Status": obj(
        required=("status",),
        status=just("ok"),
        store=said(one_of("up", "away"), "Whether the gateway's store answers, where it has one."),
    ),
    "NotReady": full(
        status=just("not ready"), store=said(array(STRING, 1), "What is wrong with the gateway's store.")
    ),
}
