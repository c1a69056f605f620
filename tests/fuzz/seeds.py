"""What the fuzzer begins with: the recorded exchanges, HTTP of every kind, and all that was found once."""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Final

from tests.wire.cases import ROOT

# One folder a target; each file is an input that once broke something.
FOUND: Final = Path(__file__).parent / "found"

_HTTP: Final = tuple(
    text.replace("\n", "\r\n").encode()
    for text in (
        "GET /v1/models HTTP/1.1\nhost: x\nauthorization: Bearer sk-ps-fuzzed-0123456789\n\n",
        "POST / HTTP/1.1\nhost: x\nx-api-key: no\ncontent-type: text/json; a=b\ncontent-length: 2\n\n{}",
        "HEAD /healthz HTTP/1.0\nhost: x\nconnection: keep-alive\n\nGET / HTTP/1.1\nhost: x\n\n",
        "POST / HTTP/1.1\nhost: x\ntransfer-encoding: chunked\nexpect: 100-continue\n\n2;a\n{}\n0\nx: y\n\n",
        "POST / HTTP/1.1\nhost: x\nconnection: upgrade\nupgrade: h2c\ncontent-length: 2\n\n{}",
        "content-encoding: gzip\ncontent-type: text/plain\ncontent-length: 99999999\napi-key: x",
        "HTTP/1.1 429 Slow\nretry-after: Wed, 21 Oct 2015 07:28:00 GMT\ncontent-length: 2\n\n{}",
        "HTTP/1.1 100 Go\n\nHTTP/1.1 200 OK\ntransfer-encoding: chunked\nretry-after-ms: 1.5\n\n2\n{}\n0\n\n",
        "HTTP/1.0 200 OK\nretry-after: 120\n\n{}",
    )
)


def seeds(target: str) -> Iterator[bytes]:
    """The inputs of a target to begin with."""
    yield from found(target)
    match target:
        case "body":
            for number, path in enumerate(sorted(ROOT.glob("*/*/request.openai.json"))):
                yield bytes([number * 2]) + path.read_bytes()
        case "events":
            answers = chain(ROOT.glob("*/*/answer*.sse"), ROOT.glob("*/*/answer*.json"))
            for number, path in enumerate(sorted(answers)):
                yield bytes([0, path.suffix == ".sse", number]) + path.read_bytes()
        case _:
            yield from _HTTP


def found(target: str) -> list[bytes]:
    """The inputs that broke a target once."""
    return [path.read_bytes() for path in sorted((FOUND / target).glob("*"))]
