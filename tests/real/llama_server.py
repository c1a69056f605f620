"""llama.cpp's own server, built from its source as llama-cpp-python carries it, and kept by version."""

import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Final

import httpx

from tests.bench import cache
from tests.bench.servers import free_port
from tests.real.gguf import write_tiny_llama

VERSION: Final = "0.3.36"
KEY: Final = "sk-of-llama-0123456789"
_OPTIONS: Final = (
    "-DCMAKE_BUILD_TYPE=Release", "-DLLAMA_CURL=OFF", "-DLLAMA_OPENSSL=OFF", "-DGGML_NATIVE=OFF",
    "-DLLAMA_BUILD_TESTS=OFF", "-DLLAMA_BUILD_EXAMPLES=OFF", "-DBUILD_SHARED_LIBS=OFF",
)  # fmt: skip
_BUILDING: Final = 1800.0  # seconds
_STARTING: Final = 30.0


class UnavailableError(Exception):
    """The server cannot be built here; the text says why."""


def program() -> Path:
    """The server, built at its first use.

    Raises:
        UnavailableError: Something that it takes is not to be had.
    """
    for tool in ("cmake", "c++"):
        if shutil.which(tool) is None:
            raise UnavailableError(f"llama.cpp's server is built with {tool}, which is not here")
    try:
        return cache.entry(f"llama-server-{VERSION}", _build) / "llama-server"
    except (subprocess.SubprocessError, OSError) as error:
        raise UnavailableError(f"llama.cpp's server could not be built: {error}") from error


def _build(folder: Path) -> None:
    source = folder / "source"
    source.mkdir()
    package = "llama-cpp-python"
    fetch = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", package]
    _run([*fetch, "--dest", str(source), f"{package}=={VERSION}"])
    (fetched,) = source.glob("*.tar.gz")
    with tarfile.open(fetched) as archive:
        archive.extractall(source, filter="data")
    (code,) = source.glob("*/vendor/llama.cpp")
    build = source / "build"
    _run(["cmake", "-S", str(code), "-B", str(build), *_OPTIONS])
    jobs = str(os.cpu_count() or 1)
    _run(["cmake", "--build", str(build), "--target", "llama-server", "--parallel", jobs])
    shutil.copy2(build / "bin" / "llama-server", folder)
    shutil.rmtree(source)


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=_BUILDING)


@contextmanager
def serving_llama(folder: Path) -> Iterator[str]:
    """A server with a tiny random model; gives the root of its API.

    Raises:
        UnavailableError: It cannot be built.
    """
    server, model, port = program(), folder / "tiny.gguf", free_port()
    write_tiny_llama(model)
    options = ["--host", "127.0.0.1", "--port", str(port), "--model", str(model), "--alias", "tiny"]
    options += ["--parallel", "2", "--ctx-size", "2048", "--metrics", "--jinja", "--api-key", KEY]
    with (folder / "llama.log").open("wb") as log:
        process = subprocess.Popen([server, *options], stdout=log, stderr=log)
        try:
            _wait_for(f"http://127.0.0.1:{port}/health", process, folder / "llama.log")
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            process.terminate()
            process.wait()


def _wait_for(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    end = monotonic() + _STARTING
    with httpx.Client(trust_env=False) as client:
        while monotonic() < end and process.poll() is None:
            try:
                if client.get(url).is_success:
                    return
            except httpx.HTTPError:
                pass
            sleep(0.05)
    raise AssertionError(f"llama-server did not start:\n{log.read_text(errors='replace')[-2000:]}")
