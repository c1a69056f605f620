"""The admin API's document is complete and true; its page is whole without a script, and loads nothing."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from gateway.api.admin import operations
from gateway.api.admin.bodies import (
    Drain,
    Explained,
    ForeignKey,
    KeyChanges,
    LimitsChanges,
    NewKey,
    NewTeam,
    OfBackend,
    Rotation,
    Secret,
    SetAside,
    TeamChanges,
)
from gateway.api.admin.document import document
from gateway.api.admin.page import page
from gateway.api.admin.reading import read
from gateway.app import application
from tests.gateway.admin import browser
from tests.gateway.admin.conftest import Asks
from tests.gateway.served import Served, asks

MODELS = (
    Drain, Explained, ForeignKey, KeyChanges, LimitsChanges, NewKey, NewTeam, OfBackend, Rotation, Secret,
    SetAside, TeamChanges,
)  # fmt: skip
BODIES = {model.__name__: model for model in MODELS}
EMPTY = frozenset({"link", "meta", "input", "br"})


def _fits(name: str, value: Any) -> None:
    schema = {"$ref": f"#/components/schemas/{name}", "components": document()["components"]}
    jsonschema_rs.Draft202012Validator(schema).validate(value)


def test_every_operation_is_described_and_every_reference_has_its_schema() -> None:
    told = {
        (path.replace("}", ":str}"), method.upper())
        for path, methods in document()["paths"].items()
        for method in methods
    }
    there = {
        (route.path, method)
        for route in operations().routes
        for handler in route.route_handlers  # type: ignore[union-attr]
        for method in handler.http_methods  # type: ignore[union-attr]
        if method != "OPTIONS"
    }
    assert told == there
    references = set(re.findall(r'"#/components/(\w+/\w+)"', json.dumps(document())))
    parts = document()["components"]
    assert references >= {f"schemas/{name}" for name in parts["schemas"]}
    assert all(each.split("/")[1] in parts[each.split("/")[0]] for each in references)
    ids = [each["operationId"] for methods in document()["paths"].values() for each in methods.values()]
    assert len(ids) == len(set(ids))


def test_every_example_is_what_its_model_takes() -> None:
    for methods in document()["paths"].values():
        for operation in methods.values():
            if "requestBody" not in operation:
                continue
            content = operation["requestBody"]["content"]["application/json"]
            name = content["schema"]["$ref"].rpartition("/")[2]
            example = {**content["example"]}
            if "sha256" in example:
                example["sha256"] = "0" * 64
            read(BODIES[name], example)
            _fits(name, example)


async def test_answers_are_as_described(ask: Asks) -> None:
    team = (await ask("POST", "/teams", {"name": "web", "limits": {"rpm": 5}})).json()
    _fits("ShownTeam", team)
    _fits("TeamInUse", (await ask("GET", f"/teams/{team['id']}")).json())
    key = (await ask("POST", "/keys", {"name": "ci", "team": team["id"], "expires_in": "1d"})).json()
    _fits("IssuedKey", key)
    place = f"/keys/{key['id']}"
    _fits("IssuedKey", (await ask("POST", f"{place}/rotate")).json())
    _fits("KeyInUse", (await ask("GET", place)).json())
    _fits("ShownVerdict", (await ask("POST", "/keys/verify", {"key": key["key"]})).json())
    _fits("ShownVerdict", (await ask("POST", "/keys/verify", {"key": "x"})).json())
    _fits("ShownKey", (await ask("DELETE", place)).json())
    _fits("KeyList", (await ask("GET", "/keys?status=revoked")).json())
    _fits("TeamList", (await ask("GET", "/teams?limit=1")).json())
    _fits("AuditList", (await ask("GET", "/audit?limit=2")).json())
    _fits("LimitsInUse", (await ask("GET", "/limits")).json())
    _fits("LimitsInUse", (await ask("PATCH", "/limits", {"gateway": {"burst": {"requests": 9}}})).json())
    _fits("ShownBackend", (await ask("POST", "/backends/b/drain", {"why": "repair"})).json())
    _fits("ShownBackend", (await ask("POST", "/backends/b/aside", {"seconds": 9, "model": "@cf/m"})).json())
    _fits("BackendList", (await ask("GET", "/backends")).json())
    explained = (await ask("POST", "/routes/explain", {"model": "small", "body": asks()})).json()
    assert explained["targets"][0]["obstacle"]
    _fits("Explanation", explained)
    await ask("POST", "/backends/b/undrain")
    _fits("Explanation", (await ask("POST", "/routes/explain", {"model": "small"})).json())
    _fits("Error", (await ask("GET", "/keys/none")).json())


class _Reader(HTMLParser):
    """Reads a page: its elements opened and closed, what it loads, its links and their aims."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loaded: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.inline = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag not in EMPTY:
            self.open.append(tag)
        self.inline += sum(name.startswith("on") or name == "style" for name in given)
        self.inline += tag == "style" or (tag == "script" and not given.get("src"))
        if tag == "a":
            self.links.append(given.get("href") or "")
        elif place := given.get("src") or given.get("href"):
            self.loaded.append(place)
        if "id" in given:
            self.ids.append(given["id"] or "")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


async def test_the_page_loads_its_own_files_alone_and_needs_no_key(stored: Served) -> None:
    answer = await stored.client.get("/admin/docs", headers={"authorization": ""})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'self';")
    assert "unsafe" not in policy
    reader = _Reader()
    reader.feed(answer.text)
    assert (reader.open, reader.inline) == ([], 0)
    assert sorted(reader.loaded) == ["/admin/docs.css", "/admin/docs.js", "/admin/docs.svg"]
    kinds = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
    for place in reader.loaded:
        file = await stored.client.get(place, headers={"authorization": ""})
        assert file.status_code == 200
        assert file.headers["content-type"].startswith(kinds[place.rpartition(".")[2]])
        assert "http://www.w3.org/2000/svg" in file.text or "http" not in file.text
    assert len(reader.ids) == len(set(reader.ids))
    assert {link.removeprefix("#") for link in reader.links if link.startswith("#")} <= set(reader.ids)
    for link in reader.links:
        if not link.startswith("#"):
            assert (await stored.client.get(link, headers={"authorization": ""})).json() == document()


def test_the_page_names_every_operation_and_every_field() -> None:
    text = page().decode()
    for path, methods in document()["paths"].items():
        for operation in methods.values():
            assert f'id="{operation["operationId"]}"' in text
        assert f"<code>{path}</code>" in text
    for name in NewKey.model_fields:
        assert f"<code>{name}</code>" in text
    assert "<code>limits.per_model.*.rpm</code>" in text


async def test_other_methods_and_the_main_document(stored: Served) -> None:
    assert (await stored.client.post("/admin/docs")).headers["allow"] == "GET"
    paths = {route.path for route in application(stored.gateway)._litestar.routes}
    assert {"/admin/v1", "/admin/docs", "/admin/openapi.json"} <= paths


@pytest.mark.parametrize("width", [360, 1280])
async def test_the_page_in_a_real_browser(stored: Served, tmp_path: Path, width: int) -> None:
    program = browser.find()
    if program is None:
        pytest.skip("there is no Chromium on this machine")
    async with browser.opened(program, f"{stored.url}/admin/docs", tmp_path, width) as page:
        assert await page.run("document.title") == "Penstock admin API"
        assert await page.run("document.documentElement.scrollWidth") <= width
        assert await page.run("document.querySelectorAll('pre.example button').length") == await page.run(
            "document.querySelectorAll('pre.example').length"
        )
        shown = "[...document.querySelectorAll('article')].filter(each => !each.hidden).map(each => each.id)"
        everything = await page.run(shown)
        field = "document.querySelector('nav input')"
        await page.run(f"{field}.value = 'rotate grace'; {field}.dispatchEvent(new Event('input'))")
        assert "rotateKey" in await page.run(shown)
        assert len(await page.run(shown)) < len(everything)
        assert page.complaints() == []
