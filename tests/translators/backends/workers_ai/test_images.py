"""Images: what their bytes are counts, not what their URL says."""

from base64 import b64encode, encodebytes
from typing import Any

import pytest

from tests.laws.exchange import translated
from translators.backends.workers_ai.images import read_image
from translators.errors import ApiError

KIMI = "@cf/moonshotai/kimi-k2.6"
SCOUT = "@cf/meta/llama-4-scout-17b-16e-instruct"
FILES = {
    "image/png": b"\x89PNG\r\n\x1a\nrest",
    "image/jpeg": b"\xff\xd8\xff\xe0rest",
    "image/gif": b"GIF89arest",
    "image/webp": b"RIFF\n\x00\x00\x00WEBPrest",
}


def _url(data: bytes, kind: str) -> str:
    return f"data:{kind};base64,{b64encode(data).decode()}"


@pytest.mark.parametrize("kind", FILES)
def test_an_image_of_its_declared_type_goes_as_it_came(kind: str) -> None:
    url = _url(FILES[kind], kind)
    data, sent = read_image(url, "w")
    assert data == FILES[kind]
    assert sent is url


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize(
    "declared", ["image/jpg", "image/bmp", "IMAGE/png;name=a", "text/plain", "application/octet-stream", ""]
)
def test_a_wrong_type_becomes_that_of_the_bytes(kind: str, declared: str) -> None:
    assert read_image(_url(FILES[kind], declared), "w") == (FILES[kind], _url(FILES[kind], kind))


def test_base64_in_lines_becomes_one_line() -> None:
    data = FILES["image/png"] * 20
    url = f"data:image/png;base64,{encodebytes(data).decode()}"
    assert url.count("\n") > 1
    assert read_image(url, "w") == (data, _url(data, "image/png"))


@pytest.mark.parametrize("model", [KIMI, SCOUT])
def test_a_corrected_type_is_reported(model: str) -> None:
    def sent(declared: str) -> tuple[Any, str]:
        part = {"type": "image_url", "image_url": {"url": _url(FILES["image/gif"], declared)}}
        exchange = translated({"model": "m", "messages": [{"role": "user", "content": [part]}]}, model)
        return exchange.bodies[0]["messages"][0]["content"], exchange.fates()["messages"]

    right, fate = sent("image/gif")
    assert fate == "kept"
    assert sent("image/png") == (right, "transformed")


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("https://example.com/cat.png", "must be a data URL"),
        ("data:image/png;base64", "must be a data URL"),
        ("data:image/png,raw", "must be a data URL"),
        (_url(b"<svg/>", "image/svg+xml"), "is an SVG"),
        ("data:image/png;base64,#", "no valid base64"),
        ("data:image/png;base64,\u00e9", "no valid base64"),
        ("data:image/png;base64,", "no bytes"),
        (_url(b"hi", "image/png"), "no image"),
        (_url(b"%PDF-1.7", "image/png"), "no image"),
        (_url(b"RIFF\x00\x00\x00\x00WAVE", "image/webp"), "no image"),
        (_url(b"\x89PNG", "image/png"), "no image"),
    ],
)
def test_what_is_no_image_is_refused_by_its_place(url: str, why: str) -> None:
    with pytest.raises(ApiError, match=why) as caught:
        read_image(url, "messages[0].content[1].image_url.url")
    assert (caught.value.status, caught.value.param) == (400, "messages[0].content[1].image_url.url")
