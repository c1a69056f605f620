"""What the products say when they refuse, each in its own form."""

from typing import Any, Final, NamedTuple

from gateway.simulator.servers.products import Product

# What vLLM and those that took over its errors call a status.
_VLLM_TYPES: Final = {
    400: "BadRequestError",
    401: "AuthenticationError",
    404: "NotFoundError",
    429: "TooManyRequestsError",
    503: "ServiceUnavailableError",
}
_OPENAI_TYPES: Final = {
    400: "invalid_request_error",
    401: "invalid_request_error",
    404: "invalid_request_error",
    429: "requests",
}
_LLAMA_TYPES: Final = {
    400: "invalid_request_error",
    401: "authentication_error",
    404: "not_found_error",
    501: "not_supported_error",
    503: "unavailable_error",
}
_LMDEPLOY_TYPES: Final = {400: "invalid_request_error", 401: "authentication_error", 404: "not_found_error"}
_OLLAMA_TYPES: Final = {400: "invalid_request_error", 404: "not_found_error"}
# TGI refuses with statuses of its own.
_TGI: Final = {
    400: (422, "validation"),
    404: (404, "validation"),
    429: (429, "overloaded"),
    500: (424, "generation"),
}
_OPENAI_CODES: Final = {401: "invalid_api_key", 404: "model_not_found", 429: "rate_limit_exceeded"}
_FASTAPI: Final = {"vllm", "sglang", "lmdeploy", "tensorrt_llm"}


class Refusal(NamedTuple):
    """A status and the body that goes with it; None: an empty one, a string: plain text."""

    status: int
    body: Any


def refuse(product: Product, status: int, message: str, param: str | None = None) -> Refusal:
    """Refuse in the product's form."""
    body: dict[str, Any]
    match product.errors:
        case "nested":
            kind = _VLLM_TYPES.get(status, "InternalServerError")
            body = {"error": {"message": message, "type": kind, "param": param, "code": status}}
        case "flat":
            body = {"object": "error", **_flat(product, status, message, param)}
        case "llama":
            kind = _LLAMA_TYPES.get(status, "server_error")
            body = {"error": {"code": status, "message": message, "type": kind}}
        case "ollama":
            kind = _OLLAMA_TYPES.get(status, "api_error")
            body = {"error": {"message": message, "type": kind, "param": None, "code": None}}
        case "tgi":
            status, kind = _TGI.get(status, (status, "generation"))
            body = {"error": message, "error_type": kind}
        case "openai":
            kind = _OPENAI_TYPES.get(status, "server_error")
            code = _OPENAI_CODES.get(status)
            body = {"error": {"message": message, "type": kind, "param": param, "code": code}}
    return Refusal(status, body)


def _flat(product: Product, status: int, message: str, param: str | None) -> dict[str, Any]:
    types, other = (
        (_LMDEPLOY_TYPES, "server_error")
        if product.name == "lmdeploy"
        else (_VLLM_TYPES, "InternalServerError")
    )
    return {"message": message, "type": types.get(status, other), "param": param, "code": status}


def unauthorized(product: Product) -> Refusal:
    """Refuse a request without the key."""
    if product.name in {"vllm", "sglang"}:
        return Refusal(401, {"error": "Unauthorized"})
    text = "Invalid API Key" if product.errors != "openai" else "Incorrect API key provided."
    return refuse(product, 401, text)


def no_such_model(product: Product, name: str) -> Refusal:
    """Refuse a model that is not there."""
    match product.name:
        case "ollama":
            return refuse(product, 404, f'model "{name}" not found, try pulling it first')
        case "openai":
            text = f"The model `{name}` does not exist or you do not have access to it."
            return refuse(product, 404, text, "model")
        case _:
            return refuse(product, 404, f"The model `{name}` does not exist.", "model")


def no_such_path(product: Product, method: str, path: str) -> Refusal:
    """Refuse a path that is not there; for TGI and Ollama without a body of JSON."""
    if product.name in _FASTAPI:
        return Refusal(404, {"detail": "Not Found"})
    match product.errors:
        case "tgi":
            return Refusal(404, None)
        case "ollama":
            return Refusal(404, "404 page not found")
        case "llama":
            return refuse(product, 404, "File Not Found")
        case _:
            error = {"message": f"Invalid URL ({method} {path})", "type": "invalid_request_error"}
            return Refusal(404, {"error": {**error, "param": None, "code": None}})


def loading(product: Product) -> Refusal:
    """Refuse because the model is not in memory yet."""
    return refuse(product, 503, "Loading model")


def too_long(product: Product, window: int, prompt: int, answer: int) -> Refusal:
    """Refuse a prompt that does not fit into the window, in the product's words."""
    text = product.window_text.format(window=window, prompt=prompt, answer=answer)
    refused = refuse(product, 400, text, "messages" if product.errors == "openai" else None)
    if product.errors == "llama":
        refused.body["error"] |= {
            "type": "exceed_context_size_error",
            "n_prompt_tokens": prompt,
            "n_ctx": window,
        }
    if product.errors == "openai":
        refused.body["error"]["code"] = "context_length_exceeded"
    return refused


def in_stream(product: Product, message: str, status: int = 500) -> dict[str, Any] | None:
    """Say what the event of a stream that fails holds; None where nothing tells of it."""
    match product.error_in_stream:
        case "nested":
            body: dict[str, Any] = refuse(product, status, message).body
            return body
        case "object":
            return {"error": {"object": "error", **_flat(product, status, message, None)}}
        case "tgi":
            return {"error": {"message": message, "http_status_code": 422}}
        case "lost":
            return None
