"""Images as models take them: a base64 `data:` URL whose type is that of its bytes.

Workers AI loads no image from the web, and what is none fails somewhere inside an engine with status 500.
Clients guess the type by a file's name; the first bytes of a file know it better.
"""

import binascii
import re
from base64 import b64decode
from typing import Final

from translators.errors import ApiError, invalid

# The formats that OpenAI takes as well, by what their files begin with.
_BEGINNINGS: Final = (
    ("image/png", re.compile(rb"\x89PNG\r\n\x1a\n")),
    ("image/jpeg", re.compile(rb"\xff\xd8\xff")),
    ("image/gif", re.compile(rb"GIF8[79]a")),
    ("image/webp", re.compile(rb"RIFF....WEBP", re.DOTALL)),
)


def read_image(url: str, where: str) -> tuple[bytes, str]:
    """The bytes of an image, and the URL that states their type.

    Raises:
        ApiError: 400 naming `where`, the URL's place, for what is no image.
    """
    head, comma, data = url.partition(",")
    head = head.lower()
    if not comma or not head.startswith("data:") or not head.endswith(";base64"):
        raise _refused(
            where,
            "must be a data URL ('data:image/png;base64,...'); Workers AI loads no image from the web.",
            "unsupported_value",
        )
    if head.startswith("data:image/svg"):
        raise _refused(
            where,
            "is an SVG, and models take pixels only. Send a PNG, JPEG, GIF or WebP.",
            "unsupported_value",
        )
    plain = "".join(data.split())  # mail has base64 in lines, and so have clients that borrow its tools
    image = _decoded(plain, where)
    for kind, beginning in _BEGINNINGS:
        if beginning.match(image):
            is_clean = head == f"data:{kind};base64" and len(plain) == len(data)
            return image, url if is_clean else f"data:{kind};base64,{plain}"
    raise _refused(
        where,
        "holds bytes that are no image which models take. Send a PNG, JPEG, GIF or WebP.",
        "invalid_value",
    )


def _decoded(data: str, where: str) -> bytes:
    try:
        image = b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        raise _refused(where, "holds no valid base64.", "invalid_value") from None
    if not image:
        raise _refused(where, "holds no bytes after 'base64,'. Send the image itself.", "invalid_value")
    return image


def _refused(where: str, why: str, code: str) -> ApiError:
    return invalid(f"'{where}' {why}", where, code)
