"""Addresses of backends and of pages as people write them."""

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from gateway.settings.credentials import VISIBLE_ASCII


def http_url(text: str) -> str:
    """Accept http(s)://host[:port][/path] and drop a trailing slash, so that paths can be appended."""
    try:
        parts = urlsplit(text)
        # What the system cannot look up is no name: of labels that are empty or too long (RFC 1035, 2.3.4).
        named = bool((parts.hostname or "").encode("idna")) and parts.port != 0
    except ValueError:  # the same, a port that is no number, a broken IPv6 address
        named = False
    # urlsplit removes tabs and newlines silently, so the text itself is looked at as well.
    if not named or parts.scheme not in {"http", "https"} or not VISIBLE_ASCII.fullmatch(text):
        raise PydanticCustomError("url", "should be an address such as 'https://host/path'")
    if "@" in parts.netloc or "?" in text or "#" in text:
        raise PydanticCustomError("url", "should hold no user name, query or fragment")
    return text.rstrip("/")


def _server_url(text: str) -> str:
    """The same, with the `/v1` that all such servers have where no path is given."""
    url = http_url(text)
    return url if urlsplit(url).path else f"{url}/v1"


def _proxy_url(text: str) -> str:
    url = http_url(text)
    if not url.startswith("http:") or urlsplit(url).path:
        raise PydanticCustomError("proxy", "should be an HTTP proxy, such as 'http://host:3128'")
    return url


# The same for editors.
_ANY = WithJsonSchema({"type": "string", "pattern": r"^[Hh][Tt][Tt][Pp][Ss]?://[^/?#@\s]+(/[^?#\s]*)?$"})
_PLAIN = WithJsonSchema({"type": "string", "pattern": r"^http://[^/?#@\s]+/*$"})

HttpUrl = Annotated[str, AfterValidator(http_url), _ANY]
ServerUrl = Annotated[str, AfterValidator(_server_url), _ANY]
ProxyUrl = Annotated[str, AfterValidator(_proxy_url), _PLAIN]
