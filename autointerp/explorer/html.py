"""Pages made of templates, and the files that they name."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import jinja2
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from autointerp.errors import AutointerpError
from autointerp.explorer.index_file import BROKEN, is_broken
from autointerp.explorer.viewed import Viewed
from autointerp.reports.page import TEMPLATES, environment

OWN = Path(__file__).parent / "templates"
FILES = {
    "report.css": (TEMPLATES / "report.css", "text/css"),
    "view.css": (OWN / "view.css", "text/css"),
    "feature.css": (OWN / "feature.css", "text/css"),
    "feature.js": (OWN / "feature.js", "text/javascript"),
    "image.js": (OWN / "image.js", "text/javascript"),
    "votes.css": (OWN / "votes.css", "text/css"),
    "votes.js": (OWN / "votes.js", "text/javascript"),
    "judging.js": (OWN / "judging.js", "text/javascript"),
    "icon.svg": (OWN / "icon.svg", "image/svg+xml"),
    "view.js": (OWN / "view.js", "text/javascript"),
}
"""The files that pages may name, by their names: no path from outside is ever opened."""


@cache
def templates() -> jinja2.Environment:
    """The explorer's templates, and those of the report, which they share parts with."""
    made = environment()
    made.loader = jinja2.FileSystemLoader([OWN, TEMPLATES])
    return made


def page(viewed: Viewed, template: str, title: str, status: int = 200, **values: object) -> HTMLResponse:
    """Fills in a template and answers with the page.

    Args:
        viewed: what is shown.
        template: the file's name.
        title: stands in the browser's tab, and over the page.
        status: of the answer.
        values: what the template shows.
    """
    shown = {"viewed": viewed, "title": title, "v": viewed.evidence.stamp, "here": "", **values}
    html = templates().get_template(template).render(shown)
    # A run may grow, so that a page is only ever right now.
    return HTMLResponse(html, status, headers={"cache-control": "no-store"})


def troubles(viewed: Viewed) -> dict[int | type[Exception], Callable[[Request, Exception], Response]]:
    """What is answered where there is no such page, and where a file of the dump or the run is not as it should be."""

    def missing(_: Request, error: Exception) -> Response:
        said = error.detail if isinstance(error, HTTPException) else ""
        text = "There is no such page." if said in ("", "Not Found") else said
        return page(viewed, "trouble.html.j2", "Not found", 404, text=text)

    def broken(_: Request, error: Exception) -> Response:
        return page(viewed, "trouble.html.j2", "Cannot be shown", 500, text=str(error))

    def spoilt(_: Request, error: Exception) -> Response:
        if not is_broken(error):
            return page(viewed, "trouble.html.j2", "Busy", 503, text=f"The index cannot be read now ({error}).")
        for index in viewed.indices:
            index.forget()
        return page(
            viewed, "trouble.html.j2", "Load the page again", 503, text="The index was damaged: it is made anew."
        )

    return {404: missing, AutointerpError: broken, **dict.fromkeys(BROKEN, spoilt)}


async def _file(request: Request) -> Response:
    found = FILES.get(request.path_params["name"])
    if found is None:
        return Response(status_code=404)
    file, kind = found
    return Response(file.read_bytes(), media_type=kind, headers={"cache-control": "no-cache"})


ROUTES = (Route("/static/{name}", _file),)
