"""What a chat request is made of: messages and their parts, tools and choices, formats."""

from collections.abc import Mapping
from typing import Final

from gateway.api.openapi.schemas import (
    BOOLEAN,
    FILLED,
    OBJECT,
    STRING,
    Schema,
    array,
    either,
    full,
    just,
    obj,
    one_of,
    or_null,
    ref,
)
from translators.clients.openai_chat.messages import ROLES

_CONTENT: Final[Schema] = either(STRING, array(ref("Part")))
_TEXTS: Final[Schema] = either(STRING, array(ref("TextPart")))
_SCHEMA: Final[Schema] = or_null({"type": "object", "description": "A JSON Schema."})
_SPEAKERS: Final = ("system", "developer", "user")
_NAMED: Final[Schema] = obj(required=("name",), name=FILLED)

SCHEMAS: Final[Mapping[str, Schema]] = {
    "Message": either(
        ref("SpokenMessage"), ref("AssistantMessage"), ref("ToolMessage"), ref("FunctionMessage")
    ),
    "SpokenMessage": obj(
        "What the user or the operator says.",
        required=("role", "content"),
        role=one_of(*(role for role in ROLES if role in _SPEAKERS)),
        content=_CONTENT,
        name=or_null(STRING),
    ),
    "AssistantMessage": obj(
        "What the model said before. Its thinking may come back as `reasoning_content`.",
        required=("role",),
        role=just("assistant"),
        content=or_null(_CONTENT),
        name=or_null(STRING),
        refusal=or_null(STRING),
        reasoning_content=or_null(STRING),
        tool_calls=or_null(array(ref("ToolCall"))),
        function_call=or_null(ref("FunctionCall")),
    ),
    "ToolMessage": obj(
        "What a tool answered.",
        required=("role", "tool_call_id"),
        role=just("tool"),
        content=or_null(_TEXTS),
        tool_call_id=FILLED,
        name=or_null(STRING),
    ),
    "FunctionMessage": obj(
        "Deprecated: what a function answered.",
        required=("role", "name"),
        role=just("function"),
        content=or_null(_TEXTS),
        name=STRING,
    ),
    "Part": either(*(ref(f"{kind}Part") for kind in ("Text", "Image", "Audio", "File", "Refusal"))),
    "TextPart": full(type=just("text"), text=STRING),
    "RefusalPart": full(type=just("refusal"), refusal=STRING),
    "ImagePart": full(
        "For models that see.",
        type=just("image_url"),
        image_url=obj(required=("url",), url=FILLED, detail=or_null(STRING)),
    ),
    "AudioPart": full(
        "Refused by all models that do not hear.",
        type=just("input_audio"),
        input_audio=full(data=FILLED, format=FILLED),
    ),
    "FilePart": full(
        "Refused by all models that take no files.",
        type=just("file"),
        file=obj(filename=or_null(STRING), file_data=or_null(STRING), file_id=or_null(STRING)),
    ),
    "ToolCall": either(
        obj(
            required=("id", "function"),
            id=FILLED,
            type=just("function"),
            function=ref("FunctionCall"),
        ),
        full(id=FILLED, type=just("custom"), custom=ref("CustomCall")),
    ),
    "FunctionCall": obj(required=("name",), name=FILLED, arguments=or_null(STRING)),
    "CustomCall": obj(required=("name",), name=FILLED, input=or_null(STRING)),
    "Tool": either(
        obj(required=("function",), type=just("function"), function=ref("Function")),
        full(type=just("custom"), custom=ref("CustomTool")),
    ),
    "Function": obj(
        required=("name",),
        name=FILLED,
        description=or_null(STRING),
        parameters=_SCHEMA,
        strict=or_null(BOOLEAN),
    ),
    "EmbeddedFunction": full(name=STRING, code=STRING),
    "CustomTool": obj(required=("name",), name=FILLED, description=or_null(STRING), format=or_null(OBJECT)),
    "ToolChoice": either(
        one_of("none", "auto", "required"),
        full(type=just("function"), function=ref("NamedFunction")),
        full(type=just("custom"), custom=ref("NamedFunction")),
        full(
            type=just("allowed_tools"),
            allowed_tools=full(mode=one_of("auto", "required"), tools=array(ref("AllowedTool"))),
        ),
    ),
    "AllowedTool": either(full(function=_NAMED), full(custom=_NAMED)),
    "FunctionChoiceMode": one_of("none", "auto"),
    "NamedFunction": _NAMED,
    "ResponseFormat": either(
        full(type=just("text")),
        obj(required=("type",), type=just("json_object"), schema=_SCHEMA),
        full(type=just("json_schema"), json_schema=ref("NamedSchema")),
    ),
    "NamedSchema": obj(
        required=("name",),
        name=FILLED,
        description=or_null(STRING),
        schema=_SCHEMA,
        strict=or_null(BOOLEAN),
    ),
}
