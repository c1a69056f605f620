"""A real Chromium, headless, driven through its own pipe: no port, no driver, no library."""

import asyncio
import json
import os
import shutil
from asyncio.subprocess import DEVNULL
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

Json = dict[str, Any]

SECONDS = 60
NAMES = ("chromium", "chromium-browser", "google-chrome")


def find() -> str | None:
    """The program, where there is one."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Page:
    """One page of a browser."""

    def __init__(self, reader: asyncio.StreamReader, pipe: int) -> None:
        self._reader = reader
        self._pipe = pipe
        self._number = 0
        self.session: str | None = None
        self.events: list[Json] = []

    async def tell(self, method: str, **parameters: Any) -> Json:
        """Give a command and wait for its answer."""
        self._number += 1
        message: Json = {"id": self._number, "method": method, "params": parameters}
        if self.session is not None:
            message["sessionId"] = self.session
        os.write(self._pipe, json.dumps(message).encode() + b"\0")
        while True:
            answer = await self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return dict(answer["result"])

    async def until(self, method: str) -> None:
        """Wait for something to happen, if it has not yet."""
        while all(event["method"] != method for event in self.events):
            await self._next()

    async def run(self, script: str) -> Any:
        """What a piece of JavaScript comes to."""
        found = await self.tell(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True, userGesture=True
        )
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def complaints(self) -> list[str]:
        """What the browser has found wrong: errors of scripts, of loading, and against the policy."""
        kinds = {"Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled"}
        return [json.dumps(event["params"]) for event in self.events if event["method"] in kinds]

    async def _next(self) -> Json:
        async with asyncio.timeout(SECONDS):
            message: Json = json.loads((await self._reader.readuntil(b"\0"))[:-1])
        if "method" in message:
            self.events.append(message)
        return message


@asynccontextmanager
async def opened(program: str, url: str, folder: Path, width: int) -> AsyncIterator[Page]:
    """A page of an address, so many pixels wide."""
    read_here, write_there = os.pipe()
    read_there, write_here = os.pipe()

    def at_its_numbers() -> None:
        # It reads from 3 and writes to 4; copies first, for the numbers may be taken by one another.
        theirs, ours = os.dup(read_there), os.dup(write_there)
        os.dup2(theirs, 3)
        os.dup2(ours, 4)

    process = await asyncio.create_subprocess_exec(
        program, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
        "--no-first-run", "--remote-debugging-pipe", "--no-proxy-server", f"--user-data-dir={folder}",
        "about:blank", stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL, close_fds=False,
        preexec_fn=at_its_numbers, env={**os.environ, "HOME": str(folder)},
        start_new_session=True,
    )  # fmt: skip
    os.close(read_there)
    os.close(write_there)
    reader = asyncio.StreamReader(limit=2**24)
    loop = asyncio.get_running_loop()
    transport, _protocol = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(read_here, "rb")
    )
    page = Page(reader, write_here)
    try:
        yield await _loaded(page, url, width)
    finally:
        page.session = None
        with suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
            await page.tell("Browser.close")
        with suppress(TimeoutError):
            async with asyncio.timeout(SECONDS):
                await process.wait()
        if process.returncode is None:
            process.kill()
            await process.wait()
        transport.close()
        os.close(write_here)


async def _loaded(page: Page, url: str, width: int) -> Page:
    target = (await page.tell("Target.createTarget", url="about:blank"))["targetId"]
    attached = await page.tell("Target.attachToTarget", targetId=target, flatten=True)
    page.session = attached["sessionId"]
    for domain in ("Page", "Runtime", "Log"):
        await page.tell(f"{domain}.enable")
    await page.tell(
        "Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=width < 600
    )
    page.events.clear()
    await page.tell("Page.navigate", url=url)
    await page.until("Page.loadEventFired")
    return page
