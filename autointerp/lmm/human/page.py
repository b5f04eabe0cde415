"""The page on which a person answers, and what it asks for: the state of the desk, pictures, and changes."""

import asyncio
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

import jinja2
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from autointerp.errors import ImageError, RunError
from autointerp.lmm.human.desk import AHEAD, Asked, Desk, StaleError
from autointerp.lmm.human.questions import FOUND, HEADINGS, SIDES, Field, Question
from autointerp.web.bodies import Json, said_in
from autointerp.web.guard import Guard

TEMPLATES = Path(__file__).parent / "templates"
FILES = {"judge.js": "text/javascript", "judge.css": "text/css", "icon.svg": "image/svg+xml"}
"""The files that the page may name: no path from outside is ever opened."""
PATIENCE = 1.5
"""Seconds after which a page that waits for a change is told that there was none: fewer than a server that ends waits
for its pages."""
LOOK = 0.05
"""Seconds between two looks for one."""
MOST_SAID = 1 << 16
"""Bytes of what a page says."""
WORDS = {"sure": ("Sure", "A guess"), FOUND: ("It is there", "It is not there")}
"""How yes and no are said of a field, by its name."""
LABELS: Mapping[str, str] = dict(zip(SIDES, ("Left", "Top", "Right", "Bottom"), strict=True))

DeskOf = Callable[[], Desk | None]


def routes(desk_of: DeskOf, guard: Guard, home: str | None = None) -> list[Route]:
    """All that the page is made of; its own address ends with a slash.

    Args:
        desk_of: gives the desk, None while nobody judges.
        guard: of the application that has these routes.
        home: the address of the page that led here, where there is one.
    """
    pages = _Pages(desk_of, guard, home)
    return [
        Route("/", pages.page),
        Route("/state", pages.state),
        Route("/give", pages.give, methods=["POST"]),
        Route("/undo", pages.undo, methods=["POST"]),
        Route("/hand-in", pages.hand_in, methods=["POST"]),
        Route("/leave", pages.leave, methods=["POST"]),
        Route("/picture/{digest}", pages.picture),
        Route("/static/{name}", _file),
    ]


class _Pages:
    def __init__(self, desk_of: DeskOf, guard: Guard, home: str | None) -> None:
        self._desk_of, self._guard, self._home = desk_of, guard, home

    async def page(self, request: Request) -> Response:
        """Shows the page itself, which asks for all the rest."""
        desk = self._desk_of()
        html = _template().render(who=desk.who if desk else "", changes=self._guard.changes, home=self._home)
        return HTMLResponse(html, headers={"cache-control": "no-store"})

    async def state(self, request: Request) -> Response:
        """What the page shows now; with `seen`, once it is another than that version."""
        desk, seen = self._desk_of(), request.query_params.get("seen", "")
        looks = int(PATIENCE / LOOK)
        while desk is not None and seen == str(desk.version) and not self._is_over(desk) and looks > 0:
            await asyncio.sleep(LOOK)
            looks -= 1
        return self._told(desk)

    async def give(self, request: Request) -> Response:
        """Fills in fields of the question."""

        def given(desk: Desk, said: Json) -> None:
            values = said.get("values")
            if not isinstance(values, dict):
                raise ValueError("values: expected the fields that are filled in")
            desk.give(_step(said), str(said.get("question")), values)

        return await self._change(request, given)

    async def undo(self, request: Request) -> Response:
        """Takes back what was said last."""
        return await self._change(request, lambda desk, said: desk.undo(_step(said)))

    async def hand_in(self, request: Request) -> Response:
        """Makes what was answered final."""
        return await self._change(request, lambda desk, said: desk.hand_in(_step(said)))

    async def leave(self, request: Request) -> Response:
        """Ends the session, as Ctrl-C does."""
        return await self._change(request, lambda desk, said: desk.leave())

    async def picture(self, request: Request) -> Response:
        """A picture of the questions that come next, as a model gets it."""
        desk = self._desk_of()
        found = desk.pictures().get(request.path_params["digest"]) if desk else None
        if found is None:
            return Response(status_code=404)
        picture, images = found
        try:
            (jpeg,) = await images.jpegs([picture])
        except ImageError:
            return Response(status_code=404)
        return Response(jpeg, media_type="image/jpeg", headers={"cache-control": "private, max-age=86400, immutable"})

    async def _change(self, request: Request, change: Callable[[Desk, Json], None]) -> Response:
        desk = self._desk_of()
        if desk is None:
            return self._told(None)
        try:
            change(desk, await said_in(request, MOST_SAID))
        except StaleError:
            return self._told(desk, status=409)
        except ValueError as error:
            return self._told(desk, str(error), status=422)
        except RunError as error:
            return self._told(desk, str(error), status=507)
        return self._told(desk)

    def _is_over(self, desk: Desk) -> bool:
        """Whether nothing more comes: where another page led here, its side concludes once the scores are there."""
        return desk.over and (self._home is None or bool(desk.ending))

    def _told(self, desk: Desk | None, problem: str = "", status: int = 200) -> Response:
        told = state_of(desk, over=desk is not None and self._is_over(desk)) | ({"problem": problem} if problem else {})
        return JSONResponse(told, status, headers={"cache-control": "no-store"})


def _step(said: Json) -> int:
    step = said.get("step")
    if not isinstance(step, int):
        raise ValueError("step: expected a number")
    return step


async def _file(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in FILES:
        return Response(status_code=404)
    return Response((TEMPLATES / name).read_bytes(), media_type=FILES[name], headers={"cache-control": "no-cache"})


@cache
def _template() -> jinja2.Template:
    loader = jinja2.FileSystemLoader(TEMPLATES)
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)
    return environment.get_template("judge.html.j2")


def state_of(desk: Desk | None, *, over: bool = False) -> Json:
    """What the page shows, as JSON values.

    It says nothing of activations, scores, other verdicts, nor of which feature or image of the dump is shown.

    Args:
        desk: None while nobody judges.
        over: whether nothing more comes of it.
    """
    if desk is None:
        return {"phase": "none"}
    with desk.lock:
        asked = desk.current
        phase = (
            "over" if over else "scoring" if desk.over else "question" if asked else "check" if desk.held else "wait"
        )
        now = {
            "phase": phase,
            "version": desk.version,
            "step": desk.step,
            "answered": desk.final + len(desk.held),
            "left": len(desk.open),
            "images": sum(len({tile.number for tile in one.question.tiles}) for one in desk.open),
            "ending": desk.ending,
            "can_undo": bool(desk.held or (asked and asked.given)),
        }
        if asked is not None:
            ahead = [one for one in desk.open if one is not asked][:AHEAD]
            pictures = [tile.picture.digest for one in ahead for tile in one.question.tiles]
            now |= {"question": _question(asked), "ahead": [f"picture/{d}" for d in dict.fromkeys(pictures)]}
        return now


def _question(asked: Asked) -> Json:
    question = asked.question
    return {
        "key": question.key,
        "heading": HEADINGS.get(question.request.task, "A question about images"),
        "description": question.description,
        "instruction": question.instruction,
        "again": question.problem,
        "images": _images(question),
        "fields": [_field(field, question) for field in question.fields],
        "box": question.is_box,
        "given": asked.given,
    }


def _images(question: Question) -> list[Json]:
    """The images by number, each with its tiles."""
    images: dict[int, list[Json]] = {}
    for tile in question.tiles:
        from_width, from_height = tile.of
        images.setdefault(tile.number, []).append(
            {
                "src": f"picture/{tile.picture.digest}",
                "of": [from_width, from_height],
                "view": [tile.x, tile.y, tile.width, tile.height],
            }
        )
    return [{"number": number, "tiles": tiles} for number, tiles in images.items()]


def _field(field: Field, question: Question) -> Json:
    numbers = {tile.number for tile in question.tiles}
    texts = question.options
    out: Json = {"name": field.name, "kind": field.kind}
    if field.kind == "truth":
        yes, no = WORDS.get(field.name, ("Yes", "No"))
        return out | {"options": [{"value": True, "label": yes}, {"value": False, "label": no}]}
    if field.kind != "choice":
        return out | {"label": LABELS.get(field.name, field.name)}
    if field.image is not None:
        return out | {"place": "image", "image": field.image, "options": [_option(o) for o in field.options]}
    if len(texts) == len(field.options):
        labelled = zip(field.options, texts, strict=True)
        return out | {"place": "list", "options": [{"value": o, "label": text} for o, text in labelled]}
    place = "pick" if set(field.options) == numbers else "list"
    return out | {"place": place, "options": [_option(o) for o in field.options]}


def _option(value: int | str) -> Json:
    return {"value": value, "label": str(value).capitalize()}
