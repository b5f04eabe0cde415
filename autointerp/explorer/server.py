"""The application of the explorer: every module of pages is listed here once."""

from starlette.applications import Starlette

from autointerp.explorer import compare, feature, html, image, judging, listing, overview, pictures, votes
from autointerp.explorer.viewed import Viewed
from autointerp.web.guard import guarded

PAGES = (listing, overview, compare, feature, image, pictures, votes, judging)
"""Each has `routes`."""


def app_of(viewed: Viewed) -> Starlette:
    """All pages of what is viewed, behind its guard."""
    routes = [route for module in PAGES for route in module.routes(viewed)]
    return guarded([*html.ROUTES, *routes], viewed.guard, html.troubles(viewed))
