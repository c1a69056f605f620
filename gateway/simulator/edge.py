"""Cloudflare's API in front of the models: routes, credentials and the two forms of a refusal.

A refusal of the edge (routing, authentication) never reached a model and carries only `cf-ray`; one of
Workers AI itself has another key order and carries `cf-ai-req-id`. Texts marked inferred are not in any
public capture.
"""

import hmac
import re
from dataclasses import dataclass
from typing import Any, Literal

_ROOT = "/client/v4"
_ACCOUNT_PATH = re.compile(rf"{_ROOT}/accounts/([^/]+)/ai/(.+)")
_ACCOUNT_ID = re.compile(r"[0-9a-fA-F]{32}")
# Older tokens have 40 characters and no prefix; newer ones are named by kind: user, account, global key.
_TOKEN = re.compile(r"[A-Za-z0-9_-]{40}|(?:cfut|cfat|cfk)_[A-Za-z0-9_-]{20,}")


_Listing = Literal["models/search", "models/schema"]
_LISTINGS: dict[str, _Listing] = {"models/search": "models/search", "models/schema": "models/schema"}


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer that is an error."""

    status: int
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Call:
    """A request that found its place: one of the account's endpoints."""

    account_id: str
    endpoint: Literal["run"] | _Listing
    model: str = ""


def edge_refusal(status: int, *errors: tuple[int, str]) -> Refusal:
    """Word a refusal of the edge."""
    listed = [{"code": code, "message": message} for code, message in errors]
    return Refusal(status, {"result": None, "success": False, "errors": listed, "messages": []})


def model_refusal(status: int, code: int, message: str) -> Refusal:
    """Word a refusal of Workers AI itself."""
    error = {"message": f"AiError: {message}", "code": code}
    return Refusal(status, {"errors": [error], "success": False, "result": {}, "messages": []})


def route(method: str, path: str) -> Call | Refusal:
    """Find the endpoint that a method and a decoded path name."""
    found = _ACCOUNT_PATH.fullmatch(path)
    if not found:
        return _no_route(path)
    account_id, place = found.groups()
    if not _ACCOUNT_ID.fullmatch(account_id):
        text = f"Could not route to {path}, perhaps your object identifier is invalid?"
        return edge_refusal(404, (7003, text))
    if place == "v1/models":
        return _wrong_method(method)
    if listing := _LISTINGS.get(place):
        return Call(account_id, listing) if method == "GET" else _wrong_method(method)
    if place.startswith("run/dynamic/"):
        return edge_refusal(400, (7000, "No route for that URI"))
    if model := place.removeprefix("run/") if place.startswith("run/") else "":
        return Call(account_id, "run", model) if method == "POST" else _wrong_method(method)
    return _no_route(path)


def _no_route(path: str) -> Refusal:
    text = f"Could not route to {path.removeprefix(_ROOT)}, perhaps your object identifier is invalid?"
    refused = edge_refusal(400, (7003, text), (7000, "No route for that URI"))
    # This capture lists `result` last, unlike its siblings.
    return Refusal(400, {key: refused.body[key] for key in ("success", "errors", "messages", "result")})


def _wrong_method(method: str) -> Refusal:
    return edge_refusal(405, (7001, f"{method} not supported for requested URI."))


def authenticate(headers: dict[str, str], api_token: str) -> Refusal | None:
    """Check the credential: `Authorization: Bearer`, or the older pair of mail address and key."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if "x-auth-email" in headers and "x-auth-key" in headers:
        scheme, token = "bearer", headers["x-auth-key"]
    token = token.strip()
    if scheme.lower() != "bearer" or not _TOKEN.fullmatch(token):
        # The status and the code were observed, the text is inferred.
        return edge_refusal(400, (9106, "Authentication failed (status: 400)"))
    if not hmac.compare_digest(token.encode(), api_token.encode()):
        return edge_refusal(401, (10000, "Authentication error"))
    return None


def authorize(call: Call, account_id: str) -> Refusal | None:
    """Check that the account is the credential's own."""
    return None if call.account_id == account_id else edge_refusal(403, (10000, "Authentication error"))
