"""What all endpoints share: methods, bodies, paths, headers and errors, over real connections."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.gateway.conftest import Serve
from tests.gateway.scripted import Backend
from tests.gateway.served import MASTER, MODEL, Served, asks, backend_settings
from tests.gateway.test_leaving import request

Lines = Callable[[], list[dict[str, Any]]]
CHAT = "/v1/chat/completions"
BEARER = f"authorization: Bearer {MASTER}\r\n".encode()


async def _raw(served: Served, data: bytes) -> tuple[bytes, bytes]:
    """Send bytes as they are; the head and the body of the answer."""
    reader, writer = await served.connect()
    writer.write(data)
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head)
    body = await reader.readexactly(int(length[1])) if length and not data.startswith(b"HEAD") else b""
    writer.close()
    return head, body


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", CHAT, "POST"),
        ("HEAD", CHAT, "POST"),
        ("PUT", "/v1/completions", "POST"),
        ("OPTIONS", CHAT, "POST"),
        ("DELETE", "/v1/translate", "POST"),
        ("POST", "/v1/models", "GET"),
        ("DELETE", "/v1/models/@cf/a/b", "GET"),
        ("POST", "/healthz", "GET"),
        ("PATCH", "/metrics", "GET"),
    ],
)
async def test_a_method_that_is_not_allowed_is_told_which_is(
    served: Served, method: str, path: str, allow: str
) -> None:
    answer = await served.client.request(method, path)
    assert (answer.status_code, answer.headers["allow"]) == (405, allow)
    if method != "HEAD":
        assert answer.json()["error"]["code"] == "method_not_allowed"


@pytest.mark.parametrize(
    "path", ["/v1/nothing", "/nothing", "/", "/v1", "/v1/v1/v1/models", "/v1/chat", "/v1/embeddings"]
)
@pytest.mark.parametrize("method", ["GET", "POST", "PURGE"])
async def test_an_unknown_url_is_a_404_in_the_envelope(served: Served, method: str, path: str) -> None:
    answer = await served.client.request(method, path)
    assert answer.status_code == 404
    assert answer.json() == {
        "error": {
            "message": f"Unknown request URL: {method} {path}. Check the path and the base_url.",
            "type": "invalid_request_error",
            "param": None,
            "code": None,
        }
    }
    assert answer.headers["x-request-id"].startswith("req_")


async def test_what_only_begins_like_the_list_of_models_is_an_unknown_url(served: Served) -> None:
    answer = await served.client.get("/v1/modelsx")
    assert answer.status_code == 404
    assert answer.json()["error"]["message"].startswith("Unknown request URL: GET /v1/modelsx.")


async def test_an_unknown_url_tells_nothing_to_those_without_a_key(served: Served) -> None:
    answer = await served.client.get("/v1/nothing", headers={"authorization": ""})
    assert answer.status_code == 401


@pytest.mark.parametrize("prefix", ["/v1", "", "/v1/v1"])
@pytest.mark.parametrize("slash", ["", "/"])
async def test_a_doubled_or_missing_v1_and_a_trailing_slash_are_forgiven(
    served: Served, backend: Backend, prefix: str, slash: str
) -> None:
    backend.reply = lambda call: call.result("Hi")
    prompt = {"model": MODEL, "prompt": "Hi"}
    for path, body in (("chat/completions", asks()), ("completions", prompt), ("translate", asks())):
        answer = await served.client.post(f"{prefix}/{path}{slash}", json=body)
        assert answer.status_code == 200, path
    assert (await served.client.get(f"{prefix}/models{slash}")).json()["object"] == "list"


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"content-type": "text/plain"}, 415),
        ({"content-type": "application/x-www-form-urlencoded"}, 415),
        ({"content-type": "multipart/form-data; boundary=x"}, 415),
        ({"content-type": "application/json", "content-encoding": "gzip"}, 415),
        ({"content-type": "Application/JSON; charset=utf-8"}, 200),
        ({"content-type": "application/vnd.x+json"}, 200),
        ({"content-type": "application/json", "content-encoding": "Identity"}, 200),
    ],
)
async def test_only_plain_json_is_read(
    served: Served, backend: Backend, headers: dict[str, str], code: int
) -> None:
    backend.reply = lambda call: call.result("Hi")
    body = b'{"model": "%s", "messages": [{"role": "user", "content": "x"}]}' % MODEL.encode()
    answer = await served.client.post(CHAT, content=body, headers=headers)
    assert answer.status_code == code
    if code == 415:
        assert answer.json()["error"]["code"] == "unsupported_media_type"
        assert not backend.calls


async def test_a_body_without_a_type_is_taken_for_json(served: Served, backend: Backend) -> None:
    backend.reply = lambda call: call.result("Hi")
    data = request(asks()).replace(b"content-type: application/json\r\n", b"")
    head, _body = await _raw(served, data)
    assert head.startswith(b"HTTP/1.1 200 OK")


@pytest.fixture
async def narrow(serve: Serve, backend: Backend) -> Served:
    """A gateway that takes 1 KB."""
    backend.reply = lambda call: call.result("Hi")
    return await serve(backends={"b": backend_settings(backend.url)}, server={"body_limit": 1024})


async def test_a_body_that_says_it_is_too_large_is_refused_unread(narrow: Served) -> None:
    data = f"POST {CHAT} HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999999\r\n".encode()
    head, body = await _raw(narrow, data + BEARER + b"expect: 100-continue\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 413 ")  # and no 100
    assert b'"code":"request_too_large"' in body
    assert b"larger than 1024 bytes" in body


async def test_a_chunked_body_is_refused_where_it_becomes_too_large(narrow: Served) -> None:
    head = f"POST {CHAT} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n".encode() + BEARER + b"\r\n"
    answer, _body = await _raw(narrow, head + b"400\r\n" + b" " * 1024 + b"\r\n1\r\n \r\n")
    assert answer.startswith(b"HTTP/1.1 413 ")


async def test_a_body_of_exactly_the_limit_is_read(narrow: Served) -> None:
    padding = 1024 - len(request(asks("")).partition(b"\r\n\r\n")[2])
    data = request(asks("x" * padding))
    assert data.endswith(b'"}]}')
    head, _body = await _raw(narrow, data)
    assert head.startswith(b"HTTP/1.1 200 ")


async def test_the_connection_serves_on_after_errors_with_unread_bodies(narrow: Served) -> None:
    reader, writer = await narrow.connect()
    unread = [
        request(asks("x" * 5000)),  # 413
        request(asks()).replace(MASTER.encode(), b"no"),  # 401
        request(asks(), "/nothing"),  # 404
        request(asks(), "/v1/models"),  # 405
        request(asks()).replace(b"application/json", b"text/plain"),  # 415
    ]
    seen = []
    for data in unread:
        writer.write(data)
        head = await reader.readuntil(b"\r\n\r\n")
        seen.append(int(head.split()[1]))
        length = re.search(rb"content-length: (\d+)", head)
        assert length
        await reader.readexactly(int(length[1]))
    assert seen == [413, 401, 404, 405, 415]
    writer.write(request(asks()))
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 OK")
    writer.close()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"x"',
        b'{"model": "\xff"}',
        b"\xef\xbb\xbf{}",
        '{"model": "x"}'.encode("utf-16"),
        b"[" * 100_000,
        b'{"a":' * 5000,
        b'{"n": NaN}',
        b'{"n": 1e999}',
        b'{"n": ' + b"1" * 5000 + b"}",
        b'{"model": "\\ud800"}',
    ],
    ids=[
        "empty", "cut", "null", "array", "string", "not utf-8", "bom", "utf-16", "deep", "deep objects",
        "nan", "infinite", "long number", "lone surrogate",
    ],
)  # fmt: skip
@pytest.mark.parametrize("path", [CHAT, "/v1/completions", "/v1/translate"])
async def test_what_is_no_json_object_is_a_400(
    served: Served, backend: Backend, path: str, body: bytes
) -> None:
    answer = await served.client.post(path, content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert not backend.calls


async def test_a_mistake_in_the_body_names_its_parameter(served: Served) -> None:
    answer = await served.chat(temperature="hot")
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "temperature")
    missing = await served.client.post(CHAT, json={"model": MODEL})
    assert missing.json()["error"]["param"] == "messages"


async def test_head_is_get_without_a_body(served: Served) -> None:
    for path in ("/healthz", "/v1/models", "/metrics", "/v1/models/@cf/x/y"):
        head, get = await served.client.head(path), await served.client.get(path)
        assert head.status_code == get.status_code
        assert head.content == b""
        if path != "/metrics":
            assert head.headers["content-length"] == get.headers["content-length"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", CHAT, 200),
        ("GET", "/v1/models", 200),
        ("GET", "/healthz", 200),
        ("GET", "/metrics", 200),
        ("GET", "/nothing", 404),
        ("PUT", CHAT, 405),
    ],
)
async def test_every_answer_has_its_headers_and_one_access_line(
    served: Served, backend: Backend, access_lines: Lines, method: str, path: str, status: int
) -> None:
    backend.reply = lambda call: call.result("Hi")
    answer = await served.client.request(method, path, json=asks() if method == "POST" else None)
    headers = answer.headers
    assert re.fullmatch(r"req_[0-9a-f]{32}", headers["x-request-id"])
    assert headers["cache-control"] == "no-store"
    assert headers["vary"] == "authorization"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["openai-processing-ms"].isdigit()
    assert "server" not in headers
    assert "access-control-allow-origin" not in headers
    [line] = access_lines()
    assert line["request_id"] == headers["x-request-id"]
    assert (line["method"], line["path"], line["status"]) == (method, path, status)
    assert line["duration_ms"] >= 0


async def test_an_access_line_holds_neither_query_nor_body_and_is_one_line(
    served: Served, backend: Backend, access_lines: Lines
) -> None:
    backend.reply = lambda call: call.result("the answer")
    await served.client.post(f"{CHAT}?key=hidden", json=asks("the question"))
    await served.client.get("/nothing%0a%7b%22a%22%3a1%7d?key=hidden")
    await served.chat(model="a\nb\u2028c" + "x" * 1000)
    chat, nothing, odd = access_lines()
    assert "hidden" not in f"{chat}{nothing}"
    assert "question" not in str(chat)
    assert nothing["path"] == "/nothing%0a%7b%22a%22%3a1%7d"
    assert len(odd["model"]) == 200


async def test_a_host_that_is_none_is_a_400(served: Served) -> None:
    data = request(asks()).replace(b"host: x", b"host: x/healthz?y=")
    head, body = await _raw(served, data)
    assert head.startswith(b"HTTP/1.1 400 ")
    assert b"the Host header must be a host and perhaps a port" in body


async def test_names_of_extra_fields_cannot_forge_headers(served: Served, backend: Backend) -> None:
    backend.reply = lambda call: call.result("Hi")
    answer = await served.chat(**{"a\r\nx-forged: 1": 1, "é": 2})
    assert answer.status_code == 200
    assert "x-forged" not in answer.headers
    assert "a__x-forged__1=dropped" in answer.headers["x-penstock-translation"]


async def test_requests_do_not_share_ids(served: Served) -> None:
    ids = {(await served.client.get("/healthz")).headers["x-request-id"] for _ in range(5)}
    assert len(ids) == 5


async def test_a_client_cannot_choose_the_request_id(served: Served) -> None:
    answer = await served.client.get("/healthz", headers={"x-request-id": "mine"})
    assert answer.headers["x-request-id"] != "mine"
