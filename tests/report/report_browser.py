"""A headless Chromium to try the report's script in, spoken to over its debugging protocol."""

import asyncio
import json
import shutil
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-port=0",
)
PATIENCE = 600.0
"""Seconds for the browser to start, or to answer, on a machine that is busy with other things."""


def find_browser() -> str | None:
    """Path of the first browser found."""
    return next((path for name in NAMES if (path := shutil.which(name)) is not None), None)


class Tab:
    """One page."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._n = 0
        self.complaints: list[str] = []
        """What the page wrote to the log: errors, blocked loads, exceptions."""
        self.asked: list[str] = []
        """Addresses that the page asked for, data aside."""

    async def call(self, method: str, **params: object) -> dict:
        self._n += 1
        await self._socket.send_json({"id": self._n, "method": method, "params": params})
        while True:
            message = json.loads((await self._socket.receive(timeout=PATIENCE)).data)
            self._note(message)
            if message.get("id") == self._n:
                assert "error" not in message, message
                return message["result"]

    async def run(self, expression: str) -> object:
        """The value of an expression, promises awaited."""
        done = await self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in done, done["exceptionDetails"]
        return done["result"].get("value")

    async def until(self, condition: str) -> None:
        """Returns once the expression is true."""
        await self.run(
            f"new Promise(done => {{ (function look() {{ ({condition}) ? done() : setTimeout(look, 10) }})() }})"
        )

    async def open(self, address: str, width: int = 1440, height: int = 1200) -> None:
        for domain in ("Page", "Log", "Runtime", "Network"):
            await self.call(f"{domain}.enable")
        await self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        await self.call("Page.navigate", url=address)
        await self.run(
            "new Promise(done => document.readyState === 'complete' ? done() : addEventListener('load', () => done()))"
        )

    def _note(self, message: dict) -> None:
        match message.get("method"):
            case "Log.entryAdded":
                self.complaints.append(message["params"]["entry"]["text"])
            case "Runtime.exceptionThrown":
                self.complaints.append(str(message["params"]["exceptionDetails"]))
            case "Network.requestWillBeSent":
                url = message["params"]["request"]["url"]
                if not url.startswith("data:"):
                    self.asked.append(url)
            case _:
                pass


@contextmanager
def running(browser: str, folder: Path) -> Iterator[str]:
    """Starts a browser whose profile is the empty `folder`; gives the address of its debugging protocol."""
    silent = subprocess.DEVNULL
    command = [browser, *FLAGS, f"--user-data-dir={folder}", "about:blank"]
    with subprocess.Popen(command, stdout=silent, stderr=silent) as process:
        try:
            yield f"http://127.0.0.1:{_port(folder / 'DevToolsActivePort')}"
        finally:
            process.terminate()


def _port(file: Path) -> str:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if file.exists() and len(lines := file.read_text().split()) == 2:
            return lines[0]
        time.sleep(0.05)
    raise TimeoutError(f"the browser did not open its port in {PATIENCE} s")


def in_tab(address: str, visit: Callable[[Tab], Awaitable[None]]) -> None:
    """Runs `visit` with a new tab of the browser at `address`."""

    async def whole() -> None:
        async with aiohttp.ClientSession() as session:
            async with session.put(f"{address}/json/new?about:blank") as reply:
                page = await reply.json()
            async with session.ws_connect(page["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                await visit(Tab(socket))

    asyncio.run(whole())
