"""The error codes of Workers AI, each with a refusal as the live service words it.

Texts of codes that no public capture shows are those of the error list in Cloudflare's documentation, or,
where marked, inferred. `{id}` stands for the request's id, `{short}` for its first digits, `{model}` for the
model.
"""

from typing import Final, NamedTuple

from gateway.simulator import edge


class _Code(NamedTuple):
    status: int
    text: str


_TOO_LONG = (
    '{{"object":"error","message":"Requested token count exceeds the model\'s maximum context length of '
    "262144 tokens. You requested a total of 263925 tokens: 199925 tokens from the input messages and 64000 "
    "tokens for the completion. Please reduce the number of tokens in the input messages or the completion "
    'to fit within the limit.","type":"BadRequestError","param":null,"code":400}}'
)
_UNSUPPORTED = (
    '{{"error":{{"type":"invalid_request","message":"Unsupported model \'clef-flash\'. Use \'clef\'."}}}}'
)
_USED_UP = (
    "AiError: you have used up your daily free allocation of 10,000 neurons, please upgrade to "
    "Cloudflare's Workers Paid plan if you would like to continue usage. ({id})"
)
_BAD_INPUT = (
    "oneOf at '/' not met, 0 matches: required properties at '/' are 'prompt', "
    "required properties at '/' are 'messages'"
)
_CODES: Final[dict[int, _Code]] = {
    3003: _Code(400, "Request is missing headers or body: body"),
    3006: _Code(413, "Request is too large"),
    3007: _Code(408, "Request timeout"),
    3008: _Code(408, "Request was aborted"),
    3021: _Code(429, "AiError: rate limiting: inference request per min rate reached ({short})"),
    3023: _Code(403, "Service unavailable for account"),
    3030: _Code(400, "Input prompt contains NSFW content"),  # inferred, status and text
    3036: _Code(429, _USED_UP),
    3039: _Code(400, "Finetune missing files"),
    3040: _Code(429, "Capacity temporarily exceeded, please try again."),
    3041: _Code(403, "Account not allowed to use private model"),
    3042: _Code(404, "Invalid model ID"),
    3043: _Code(500, "Internal server error"),
    3050: _Code(503, "Max retries exhausted"),
    4006: _Code(429, _USED_UP),
    5004: _Code(400, "Invalid data type for base64 input: number"),
    5005: _Code(405, "LoRA unsupported"),
    5006: _Code(400, f"Bad input: Error: {_BAD_INPUT}"),
    5007: _Code(400, "No such model: No such model {model} or task ({id})"),
    5012: _Code(422, f"AiError: {_UNSUPPORTED} ({{short}})"),
    5016: _Code(403, "User has not agreed to Llama3.2 model terms"),
    5018: _Code(403, "Account not allowed to use private model"),
    5019: _Code(405, "Deprecated SDK version"),
    5023: _Code(400, "JSON Schema mode is not supported with stream mode"),  # status inferred
    5035: _Code(
        403,
        "Model {model} is not available on the Workers Free plan: Model {model} is for paid plans. Upgrade "
        "to access this model: https://dash.cloudflare.com/?to=/:account/workers/plans ({id})",
    ),
    7001: _Code(404, "model not found"),  # text inferred
    8001: _Code(400, "Invalid input"),  # status inferred, as that of 8002 and 8006
    8002: _Code(400, "Invalid input"),
    8005: _Code(500, "Internal Server Error"),
    8006: _Code(400, "Invalid data for image - reason invalid base64 encoding"),
    8007: _Code(400, f"AiError: {_TOO_LONG} ({{id}})"),
    8008: _Code(400, "Internal error"),  # seen without status or text; both inferred
}
_EDGE: Final[dict[int, _Code]] = {
    2003: _Code(429, "Rate limited"),
    7000: _Code(400, "No route for that URI"),
    7003: _Code(404, "Could not route to /client/v4, perhaps your object identifier is invalid?"),
    9106: _Code(400, "Authentication failed (status: 400)"),
    10000: _Code(401, "Authentication error"),
}
KNOWN: Final = frozenset({*_CODES, *_EDGE})


def refusal(code: int, *, model: str, request_id: str) -> edge.Refusal:
    """Word the refusal of a known code."""
    if code in _EDGE:
        status, text = _EDGE[code]
        return edge.edge_refusal(status, (code, text))
    status, text = _CODES[code]
    refused = edge.model_refusal(status, code, text.format(id=request_id, short=request_id[:8], model=model))
    if code == 3050:  # seen without the other two keys
        return edge.Refusal(status, {key: refused.body[key] for key in ("errors", "success")})
    return refused
