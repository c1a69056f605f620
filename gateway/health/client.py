"""The HTTP client of looks: the control plane, beside what clients ask."""

from typing import Final

import httpx

from gateway.settings import Backend

PATIENCE: Final = 3.0  # seconds


def client_of(settings: Backend, keep_alive: float = PATIENCE) -> httpx.AsyncClient:
    """A client that keeps one connection, and goes where it is told and nowhere else.

    Args:
        settings: Whose headers, certificates and proxy are used.
        keep_alive: Seconds for which the connection is kept.
    """
    return httpx.AsyncClient(
        headers={name: value.get_secret_value() for name, value in settings.headers.items()},
        verify=settings.tls.context(),
        proxy=settings.proxy,
        trust_env=False,
        follow_redirects=False,
        timeout=PATIENCE,
        limits=httpx.Limits(max_keepalive_connections=1, keepalive_expiry=keep_alive),
    )
