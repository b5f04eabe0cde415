"""Asks a person: puts each question on the desk, and serves the page there while it is needed."""

import asyncio
import json
import webbrowser
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack

from autointerp.lmm.human.desk import Desk
from autointerp.lmm.human.page import routes
from autointerp.lmm.human.questions import Question
from autointerp.lmm.request import Completion, Images, Request
from autointerp.settings import PageSettings
from autointerp.web.guard import Guard, guarded
from autointerp.web.serving import address_of, listening, serving

PORT = 8765


class HumanClient:
    """Answers as a person does.

    Args:
        desk: where the person sits.
        page: where the page is served from the first question on; None where others serve it.
        say: told its address.

    Raises:
        SettingsError: the address cannot be listened at.
    """

    def __init__(self, desk: Desk, page: PageSettings | None, say: Callable[[str], None] | None) -> None:
        self._desk, self._page, self._say = desk, page, say or (lambda text: None)
        self._held = AsyncExitStack()
        self._held.callback(desk.close)
        self._began = asyncio.Lock()
        self._there = None
        if page is not None:
            self._there = self._held.enter_context(listening(page.host, page.port, PORT))

    async def complete(self, request: Request, images: Images, slot: AbstractAsyncContextManager[object]) -> Completion:
        """Waits until the person has answered.

        Raises:
            CallError: the session ended before.
            ImageError: a picture of the request cannot be made.
            AutointerpError: a person cannot be asked such a thing.
        """
        turn, question = self._desk.turn(), Question(request)
        # A picture that cannot be made is no question, and one that is made is there at once when it is wanted.
        await images.jpegs(request.pictures)
        await self._open()
        asked = self._desk.ask(turn, question, images)
        try:
            said = await asyncio.wrap_future(asked.reply)
        finally:
            self._desk.forget(asked)
        # A place in flight is held by none that waits for a person, since any number may.
        async with slot:
            return Completion(json.dumps(said), 0, 0, 0, "stop", None, request.model)

    async def aclose(self) -> None:
        """Ends the session and the page."""
        self._desk.end()
        await self._held.aclose()

    async def _open(self) -> None:
        """Serves the page, which it does once, and says where."""
        async with self._began:
            if self._page is None or self._there is None:
                return
            guard = Guard.at(self._page.host)
            address = address_of(self._there, guard)
            await self._held.enter_async_context(
                serving(guarded(routes(lambda: self._desk, guard), guard), self._there)
            )
            self._say(f"{self._desk.who} judges at {address} (Ctrl-C ends it; what was answered is kept)")
            if self._page.open:
                await asyncio.to_thread(webbrowser.open, address)
            self._there = None
