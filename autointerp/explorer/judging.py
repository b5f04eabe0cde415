"""A person judges a run from within the explorer: the page that begins it, how it stands, and the session's pages."""

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from autointerp.explorer.html import page
from autointerp.explorer.sessions import SCORERS, Sessions, Wanted
from autointerp.explorer.viewed import Viewed
from autointerp.lmm.human.page import routes as pages_of_person
from autointerp.reading import first_fault
from autointerp.scoring.budget import in_words
from autointerp.settings import ScoreSettings
from autointerp.web.bodies import Json, said_in

SESSION = "/judge/session"
MOST_SAID = 1 << 14
"""Bytes of what a page says."""


def routes(viewed: Viewed) -> list[BaseRoute]:
    """The page `/judge`, and those of the session that it begins."""
    sessions = viewed.sessions
    if sessions is None:
        return []
    pages = _Pages(viewed, sessions)
    return [
        Route("/judge", pages.form),
        Route("/judge/begin", pages.begin, methods=["POST"]),
        Route("/judge/told", pages.told),
        Mount(SESSION, routes=pages_of_person(lambda: sessions.desk, viewed.guard, home="/judge")),
    ]


class _Pages:
    def __init__(self, viewed: Viewed, sessions: Sessions) -> None:
        self._viewed, self._sessions = viewed, sessions

    async def form(self, request: Request) -> Response:
        """Asks what is to be judged, and tells how it stands."""
        made = self._viewed.runs[0].info.score
        settings = made.settings if made is not None else ScoreSettings()
        asked = {name: in_words(settings, name) for name in SCORERS}
        return page(
            self._viewed,
            "judging.html.j2",
            "Judge these features yourself",
            here="/judge",
            scorers=SCORERS,
            asked=asked,
        )

    async def begin(self, request: Request) -> Response:
        """Begins a session, if none goes on."""
        try:
            wanted = Wanted.model_validate(await said_in(request, MOST_SAID))
        except ValidationError as error:
            return _answer(self._sessions, 422, problem=first_fault(error))
        except ValueError as error:
            return _answer(self._sessions, 422, problem=str(error))
        if not self._sessions.begin(wanted):
            return _answer(self._sessions, 409, problem="Somebody judges already; one session goes on at a time.")
        return _answer(self._sessions)

    async def told(self, request: Request) -> Response:
        """Tells how the session stands."""
        return _answer(self._sessions)


def _answer(sessions: Sessions, status: int = 200, **more: object) -> Response:
    desk = sessions.desk
    told: Json = {
        "goes_on": sessions.goes_on,
        "who": desk.who if desk else "",
        "address": f"{SESSION}/",
        "answered": desk.final + len(desk.held) if desk else 0,
        "left": len(desk.open) if desk else 0,
        "through": sessions.through,
        "notes": sessions.notes[-5:],
        "ended": sessions.ended,
    }
    return JSONResponse(told | more, status, headers={"cache-control": "no-store"})
