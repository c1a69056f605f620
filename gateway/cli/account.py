"""What commands ask of a backend: lists of models, which cost nothing; refusals come in words."""

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Final

import httpx

from gateway.credentials import Credentials
from gateway.settings import Backend, WorkersAIBackend

Ask = Callable[[str, Mapping[str, str]], bytes]

_PATIENCE: Final = 10  # seconds
_LARGEST_ANSWER: Final = 16 * 1024 * 1024  # the live list has about 100 KB

# Cloudflare's answers to a wrong credential and to a wrong account id.
_OF_ACCOUNTS: Final = {
    400: "refused: the API token is malformed",
    401: "refused: the API token is not valid",
    403: "refused: the API token may not use Workers AI on this account",
    404: "refused: there is no account of this id",
    429: "busy: Cloudflare limits requests at the moment; try again later",
}
# The same of servers that speak like OpenAI.
_OF_SERVERS: Final = {
    401: "refused: the server wants another api_key",
    403: "refused: the api_key may not list models",
    404: "no list of models there: does base_url end as it should, most often in /v1?",
    429: "busy: the server limits requests at the moment; try again later",
}


class AccountError(Exception):
    """The account, or the server, did not answer; the text says why."""


def credentials_of(name: str, backend: Backend) -> list[str | None]:
    """A backend's credentials as they are now; None for one that cannot be read, and the log says why."""
    credentials = Credentials(name).add(backend.credentials)
    asyncio.run(credentials.load())
    return credentials.values or [None]  # a server of one's own may ask for none


@contextmanager
def asking(backend: Backend, credential: str | None) -> Iterator[Ask]:
    """Give a function that asks under `/ai/` of the account, or under a server's `/v1`.

    It takes a path and a query, and gives the body.

    It raises AccountError for whatever is no answer.

    Raises:
        AccountError: There is no credential.
    """
    if credential is None and backend.credentials:
        raise AccountError("its credential cannot be read")
    for library in ("httpx", "httpcore"):  # they log addresses, with the account's id, and answers' headers
        logging.getLogger(library).setLevel(logging.WARNING)
    headers = {name: value.get_secret_value() for name, value in backend.headers.items()}
    if isinstance(backend, WorkersAIBackend):
        root, verdicts = f"{backend.base_url}/accounts/{backend.account_id}/ai/", _OF_ACCOUNTS
    else:
        root, verdicts = f"{backend.base_url}/", _OF_SERVERS
    if credential:
        headers["authorization"] = f"Bearer {credential}"
    # As the gateway itself: the backend's certificates and proxy, and nothing of the environment's.
    with httpx.Client(
        base_url=root,
        headers=headers,
        trust_env=False,
        proxy=backend.proxy,
        verify=backend.tls.context(),
        timeout=_PATIENCE,
    ) as client:
        yield partial(_ask, client, verdicts)


def _ask(client: httpx.Client, verdicts: Mapping[int, str], path: str, query: Mapping[str, str]) -> bytes:
    try:
        with client.stream("GET", path, params=query) as answer:
            if answer.status_code != httpx.codes.OK:
                unexpected = f"unexpected: HTTP status {answer.status_code}"
                raise AccountError(verdicts.get(answer.status_code, unexpected))
            return _read(answer)
    except httpx.TimeoutException:
        raise AccountError(f"silent: no answer within {_PATIENCE} s") from None
    except httpx.HTTPError as error:
        raise AccountError(f"unreachable: {error}") from None


def _read(answer: httpx.Response) -> bytes:
    body = bytearray()
    for piece in answer.iter_bytes():
        body += piece
        if len(body) > _LARGEST_ANSWER:
            raise AccountError(f"unexpected: an answer of more than {_LARGEST_ANSWER} bytes")
    return bytes(body)
