"""The pages of images: which features fire on one that the dump holds, and on one that somebody drops onto the page."""

from collections.abc import Sequence
from typing import NamedTuple

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from autointerp.errors import ImageError
from autointerp.explorer.asked import LONGEST, image_in, number_in
from autointerp.explorer.dropped import MOST_BYTES, Dropped, file_in
from autointerp.explorer.html import page, templates
from autointerp.explorer.related import texts_of
from autointerp.explorer.reverse import Reverse, box_of
from autointerp.explorer.reversing import WAIT
from autointerp.explorer.viewed import Viewed
from autointerp.schema import Box, ImageRow

PER_PAGE = 50
"""Features on a page of an image."""
PER_SHEET = 60
"""Images on a page of all images."""
MOST_DROPPED = 50
"""Features that are shown of a dropped image."""


class FiredHere(NamedTuple):
    """Is one feature that fires on an image."""

    feature: int
    text: str
    """Its explanation; empty where there is none."""
    activation: float
    share: float | None
    """Of the feature's largest activation, 0 to 1; None where that is not known."""
    box: Box | None
    heat: str
    """Address of its heat map over the whole image; empty where there is none."""


class ImagePages:
    """Answers requests for what fires on an image."""

    def __init__(self, viewed: Viewed) -> None:
        self._viewed = viewed
        self._dropped = Dropped()

    def sheet(self, request: Request) -> Response:
        """The images of the dump, some at a time."""
        asked = request.query_params.get("image")
        if asked:
            return RedirectResponse(f"/image/{asked.strip()}" if asked.strip().isdecimal() else "/image", 303)
        ids = self._viewed.dump.image_table.known.ids
        at, n = _page_in(request, len(ids), PER_SHEET)
        images = self._viewed.dump.images(ids[at * PER_SHEET : (at + 1) * PER_SHEET].tolist())
        values = {"images": images, "at": at, "n": n, "n_images": len(ids)}
        return page(self._viewed, "images.html.j2", "Images", here="/image", most_mb=MOST_BYTES >> 20, sheet=values)

    def show(self, request: Request) -> Response:
        """The page of an image; while the index is being made, one that says so."""
        image = image_in(request, self._viewed)
        reverse, title = self._viewed.reversing.reverse(WAIT), f"Image {image.image}"
        if reverse is None:
            share = self._viewed.reversing.share
            return page(self._viewed, "image_waiting.html.j2", title, share=share)
        here = self._fired(request, image, reverse)
        return page(self._viewed, "image.html.j2", title, image=image, here=here, per_page=PER_PAGE)

    def _fired(self, request: Request, image: ImageRow, reverse: Reverse) -> dict[str, object]:
        place = self._viewed.dump.image_table.known.position(image.image)
        assert place is not None, "it was found by its number"
        rows = reverse.of(place)
        at, n = _page_in(request, len(rows), PER_PAGE)
        own = rows[at * PER_PAGE : (at + 1) * PER_PAGE]
        found = [(int(row["feature"]), float(row["activation"]), box_of(row, image)) for row in own]
        fired = self._fired_here(found, f"/picture/heat/{{feature}}/{image.image}.png?v={self._viewed.evidence.stamp}")
        first = request.query_params.get("feature", "")[:LONGEST]
        ids = self._viewed.dump.image_table.known.ids
        beside = [int(ids[p]) if 0 <= p < len(ids) else None for p in (place - 1, place + 1)]
        return {
            "fired": fired,
            "n_fired": len(rows),
            "at": at,
            "n": n,
            "first": int(first) if first.isascii() and first.isdecimal() else None,
            "before": beside[0],
            "after": beside[1],
        }

    def _fired_here(self, found: Sequence[tuple[int, float, Box | None]], heat: str) -> list[FiredHere]:
        """Describes features with their activations and boxes; `heat` is the address of a heat map of `{feature}`."""
        known, texts = self._viewed.evidence.known, texts_of(self._viewed, (feature for feature, *_ in found))
        has_heat = self._viewed.dump.info.patch_grid is not None
        out: list[FiredHere] = []
        for feature, activation, box in found:
            highest = float(known.highest[known.at(feature)])
            share = min(1.0, activation / highest) if highest > 0 else None
            address = heat.format(feature=feature) if has_heat else ""
            out.append(FiredHere(feature, texts.get(feature, ""), activation, share, box, address))
        return out

    async def encode(self, request: Request) -> Response:
        """Which features fire on the image in the body of a request."""
        if self._viewed.encoder is None:
            return PlainTextResponse("The explorer was started without --coder, so it cannot encode an image.", 409)
        data = await file_in(request)
        return await run_in_threadpool(self._encoded, data)

    def _encoded(self, data: bytes) -> Response:
        encoder, info = self._viewed.encoder, self._viewed.dump.info
        assert encoder is not None
        try:
            key, found = self._dropped.take(encoder, data, above=info.active_above, most=MOST_DROPPED)
        except ImageError as error:
            return PlainTextResponse(f"This is no image that can be read: {error}", 422)
        there = [(one.latent, one.activation, box) for one, box in found.boxed()]
        there = [one for one in there if self._viewed.evidence.has_feature(one[0])]
        fired = self._fired_here(there, f"/dropped/{key}/{{feature}}.png")
        html = templates().get_template("image_dropped.html.j2")
        values = {"viewed": self._viewed, "v": self._viewed.evidence.stamp, "fired": fired, "key": key, "found": found}
        return Response(html.render(values), media_type="text/html", headers={"cache-control": "no-store"})

    def dropped_picture(self, request: Request) -> Response:
        """An image that was dropped lately."""
        found = self._dropped.get(request.path_params["key"])
        if found is None:
            raise HTTPException(404, "This image was dropped too long ago; drop it again.")
        return Response(found.jpeg, media_type="image/jpeg", headers={"cache-control": "private, no-cache"})

    def dropped_heat(self, request: Request) -> Response:
        """Where a feature fires in an image that was dropped lately."""
        found = self._dropped.get(request.path_params["key"])
        png = None if found is None else found.heat(number_in(request, "feature"))
        if png is None:
            raise HTTPException(404, "There is no heat map of this feature; drop the image again.")
        return Response(png, media_type="image/png", headers={"cache-control": "private, no-cache"})


def _page_in(request: Request, n: int, size: int) -> tuple[int, int]:
    """The page that is asked for, from 0, and how many there are."""
    pages = max(1, -(-n // size))
    asked = request.query_params.get("page", "")
    at = int(asked) - 1 if asked.isascii() and asked.isdecimal() and len(asked) < 10 else 0
    return min(max(at, 0), pages - 1), pages


def routes(viewed: Viewed) -> list[Route]:
    """Lists the pages of images, and where one is dropped."""
    pages = ImagePages(viewed)
    return [
        Route("/image", pages.sheet),
        Route("/image/{image}", pages.show),
        Route("/encode", pages.encode, methods=["POST"]),
        Route("/dropped/{key}.jpg", pages.dropped_picture),
        Route("/dropped/{key}/{feature}.png", pages.dropped_heat),
    ]
