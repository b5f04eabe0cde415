"""A real browser before pages that are served; tests that need it say why they skip where there is none."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from typing import TYPE_CHECKING

import pytest
from starlette.applications import Starlette

from autointerp.web.serving import listening, server_of

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
PATIENCE = 60
"""Seconds for what a page does, on a machine that is busy with other things."""


@contextmanager
def served(app: Starlette) -> Iterator[str]:
    """The address at which a thread serves an application; it ends with a slash."""
    with listening("127.0.0.1", 0, 0) as there:
        server = server_of(app)
        thread = Thread(target=server.run, kwargs={"sockets": [there]}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{there.getsockname()[1]}/"
        finally:
            server.should_exit = True
            thread.join(PATIENCE)


@contextmanager
def chromium() -> "Iterator[Browser]":
    """Starts a headless browser for as long as the context lasts."""
    sync_api = pytest.importorskip("playwright.sync_api")
    path = next((found for name in NAMES if (found := shutil.which(name)) is not None), None)
    if path is None:
        pytest.skip("there is no Chromium")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


class Tab:
    """A tab of somebody who was never here, and what it complained of.

    Args:
        browser: opens it.
        address: of the pages that `open` goes to, with a slash at its end.
        width: of its window in pixels.
        height: of its window in pixels.
        dark: whether dark colours are preferred.
        script: whether scripts run.
    """

    def __init__(
        self,
        browser: "Browser",
        address: str = "",
        *,
        width: int = 1440,
        height: int = 1000,
        dark: bool = False,
        script: bool = True,
    ) -> None:
        self.address = address
        self.complaints: list[str] = []
        """Errors of scripts, blocked loads and dialogs."""
        self.asked: list[str] = []
        """Addresses that were asked for."""
        self._context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            java_script_enabled=script,
        )
        self._context.set_default_timeout(1000 * PATIENCE)
        self.page: Page = self._context.new_page()
        self.page.on("console", lambda m: self.complaints.append(m.text) if m.type in ("error", "warning") else None)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.complaints.append(f"dialog {dialog.message}"), dialog.dismiss()))
        self.page.on("request", lambda request: self.asked.append(request.url))

    @property
    def beyond(self) -> list[str]:
        """Addresses of other servers that were asked for."""
        return [url for url in self.asked if not url.startswith(self.address)]

    def open(self, path: str = "") -> "Page":
        """Goes to a page, and waits until all that it asks for at once is there."""
        self.page.goto(self.address + path, wait_until="networkidle")
        return self.page

    def __enter__(self) -> "Tab":
        return self

    def __exit__(self, *_: object) -> None:
        self._context.close()
