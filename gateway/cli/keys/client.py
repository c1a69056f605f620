"""The running gateway's admin API, as the commands ask it; every failure in words that say what to do."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import msgspec
import rich_click as click

from gateway import settings as configuration
from gateway.cli.console import WRONG_USE, config_option, fail
from gateway.keys import KeptKeyError, master_key
from gateway.settings import VISIBLE_ASCII, Settings, SettingsError
from gateway.settings.addresses import http_url

Json = dict[str, Any]

_SECONDS: Final = 30.0
_PAGE: Final = 100
_MOST: Final = 100_000  # entries of a list
_PORT: Final = 8080
_EVERYWHERE: Final = frozenset({"0.0.0.0", "::", ""})  # noqa: S104 - compared, not bound
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})

_NO_KEY: Final = (
    "no admin key is at hand: put one into PENSTOCK_ADMIN_KEY (or --key). `penstock serve` shows the first "
    "one at its first start; keys.master in the settings is one as well"
)


@dataclass(frozen=True, slots=True)
class Place:
    """What the command line and the environment say of where the gateway is, and of the key."""

    url: str | None
    key: str | None
    config: Path | None


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why something was not done."""

    status: int
    words: str


class Gateway:
    """A gateway's admin API.

    Args:
        client: What it is asked with.
        url: Where it answers.
        base_url: Where the gateway's clients ask.
    """

    def __init__(self, client: httpx.Client, url: str, base_url: str) -> None:
        self._client = client
        self.url = url
        self.base_url = base_url  # where clients ask, which may be another address

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None, **query: str | None) -> Json:
        """Ask, and give the answer; a refusal ends the command with its words."""
        asked = {name: value for name, value in query.items() if value is not None}
        answer = self._answer(method, path, body, asked)
        if answer.is_error:
            fail(self._refused(answer))
        return self._object(answer)

    def attempt(self, path: str, body: Mapping[str, Any]) -> Refusal | None:
        """Make something that may be refused for itself, without an end for what else is to be made."""
        answer = self._answer("POST", path, body, {})
        if answer.is_error and answer.status_code not in {400, 409}:
            fail(self._refused(answer))
        return Refusal(answer.status_code, self._refused(answer)) if answer.is_error else None

    def every(self, path: str, **query: str | None) -> Iterator[Json]:
        """All entries of a list, read in parts."""
        after: str | None = None
        for _ in range(_MOST // _PAGE):
            part = self.ask("GET", path, None, limit=str(_PAGE), after=after, **query)
            yield from part["data"]
            after = part["next"]
            if after is None:
                return

    def models(self) -> list[str]:
        """The models that can be asked for by names known beforehand; none where that cannot be told."""
        try:
            return [str(model["id"]) for model in self._client.get("/v1/models").json()["data"]]
        except (httpx.HTTPError, ValueError, LookupError, TypeError):
            return []

    def _answer(
        self, method: str, path: str, body: Mapping[str, Any] | None, query: Mapping[str, str]
    ) -> httpx.Response:
        try:
            return self._client.request(method, f"/admin/v1/{path}", json=body, params=query)
        except httpx.HTTPError as error:
            fail(self._unreached(error))

    def _object(self, answer: httpx.Response) -> Json:
        try:
            return msgspec.json.decode(answer.content, type=Json)
        except (msgspec.DecodeError, UnicodeDecodeError):
            fail(f"what answers at {self.url} is no Penstock: check --url or PENSTOCK_URL")

    def _unreached(self, error: httpx.HTTPError) -> str:
        if isinstance(error, httpx.TimeoutException):
            return f"the gateway at {self.url} does not answer in time: see whether it is well, and ask again"
        reason = str(error).partition("\n")[0] or type(error).__name__
        return (
            f"no gateway answers at {self.url} ({reason}): start one with `penstock serve`, or say where it "
            "is with --url or PENSTOCK_URL"
        )

    def _refused(self, answer: httpx.Response) -> str:
        error = _error(answer)
        if error is None:
            return f"what answers at {self.url} is no Penstock: check --url or PENSTOCK_URL"
        if answer.status_code == 401:
            return (
                f"the gateway at {self.url} does not take this admin key: {error} Put another into "
                "PENSTOCK_ADMIN_KEY (or --key)"
            )
        return error


def gateway_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command, as `place`, what says where the gateway is and with which key it is asked."""
    options = (
        click.option(
            "--url", metavar="URL", envvar="PENSTOCK_URL", show_envvar=True,
            help="Where the gateway is. Default: this machine, at the port of the settings.",
        ),
        click.option(
            "--key", "admin_key", metavar="KEY", envvar="PENSTOCK_ADMIN_KEY", show_envvar=True,
            help="An admin key. Default: keys.master of the settings, or the one kept in data_dir.",
        ),
        config_option,
    )  # fmt: skip

    @wraps(command)
    def with_place(
        *arguments: Any, url: str | None, admin_key: str | None, config: Path | None, **options: Any
    ) -> Any:
        return command(*arguments, place=Place(url, admin_key, config), **options)

    for option in reversed(options):
        with_place = option(with_place)
    return with_place


def answer_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """As `gateway_options`, and as `as_json` how the answer is to be printed."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(gateway_options(command))


@contextmanager
def asking(place: Place) -> Iterator[Gateway]:
    """The gateway, to be asked inside the block."""
    settings = None if place.url and place.key else _settings(place.config)
    url = _address(place.url or _own_admin_address(settings))
    key = place.key.strip() if place.key else _own_key(settings)
    # A proxy of the environment has no business between two processes of one machine.
    beyond = (urlsplit(url).hostname or "") not in _LOOPBACK
    if not VISIBLE_ASCII.fullmatch(key):
        fail("the admin key is none: it should be one word of visible ASCII characters", WRONG_USE)
    headers = {"authorization": f"Bearer {key}"}
    with httpx.Client(base_url=url, headers=headers, timeout=_SECONDS, trust_env=beyond) as client:
        yield Gateway(client, url, _address(place.url or _own_address(settings)))


def _settings(config: Path | None) -> Settings | None:
    """The settings; none where there is no file, and the environment alone is not enough for a gateway."""
    try:
        return configuration.load(config, os.environ)
    except SettingsError as error:
        if configuration.locate(config) is None:
            return None
        fail(f"{error}\n\nWith both --url and --key the settings are not needed.", WRONG_USE)


def _own_address(settings: Settings | None) -> str:
    return _url_of(settings.server.host, settings.server.port) if settings else _url_of("", 0)


def _own_admin_address(settings: Settings | None) -> str:
    admin = settings.server.admin if settings else None
    return _own_address(settings) if admin is None else _url_of(admin.host, admin.port)


def _url_of(host: str, port: int) -> str:
    name = "127.0.0.1" if host in _EVERYWHERE else host.removeprefix("[").removesuffix("]")
    return f"http://{f'[{name}]' if ':' in name else name}:{port or _PORT}"


def _address(given: str) -> str:
    """Where the gateway is, also where its base_url was given."""
    try:
        url = http_url(given)
    except ValueError:
        fail(f"'{given}' is no address: it should be like http://127.0.0.1:8080", WRONG_USE)
    return url.removesuffix("/v1").rstrip("/")


def _own_key(settings: Settings | None) -> str:
    if settings is None:
        fail(_NO_KEY, WRONG_USE)
    try:
        key = master_key(settings)
    except KeptKeyError as error:
        fail(str(error), WRONG_USE)
    if key is None:
        fail(_NO_KEY, WRONG_USE)
    return key.value


def _error(answer: httpx.Response) -> str | None:
    try:
        error = answer.json()["error"]
        return str(error["message"])
    except (ValueError, LookupError, TypeError):
        return None
