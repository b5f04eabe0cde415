"""The pictures that pages show, by the numbers of features and images alone: no path of a request opens a file."""

import re
from collections.abc import Callable, Mapping

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from autointerp.errors import ImageError
from autointerp.explorer.asked import feature_in, image_in, image_of, is_number, number_in
from autointerp.explorer.heat import heat_digest, heat_png
from autointerp.explorer.viewed import Viewed
from autointerp.images.alteration import ERASURES, Alteration, Source, crop, erased, pasted, whole
from autointerp.images.picture import Picture, Rendering
from autointerp.reports.image_rows import descending
from autointerp.reports.pictures import stored_source
from autointerp.reports.strips import altered_jpegs
from autointerp.schema import Box, Erasure, Exemplar, ImageRow
from autointerp.tiles import region_box, tile_of

SIDES = (56, 112, 224, 448)
"""Longest sides in pixels that may be asked for, of faces and crops."""
FACE, CROP, WHOLE, HEAT = 112, 224, 1024, 256
"""Longest sides where none is asked for: of a face, a crop, a whole image at most, and a heat map."""
QUALITY = 82
FOR_EVER, ASK_AGAIN = "private, max-age=31536000, immutable", "private, no-cache"
"""Of an address that names the dump's digest (`?v=`), and of one that does not: another dump may be viewed at the same
port later."""
BROKEN = (
    b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 112 112" role="img" aria-label="unreadable">'
    b'<rect x="1" y="1" width="110" height="110" fill="#8883" stroke="#888" stroke-dasharray="4 4"/>'
    b'<text x="56" y="60" font-family="sans-serif" font-size="13" font-style="italic" text-anchor="middle" fill="#888">'
    b"unreadable</text></svg>"
)
"""Stands where an image cannot be decoded."""
FACES = 16
"""Places of faces that pages ask for without knowing whether there are as many."""
NOTHING = b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"/>'
"""Stands in the place of a face that there is not."""


class Pictures:
    """Answers requests for pictures of what is viewed."""

    def __init__(self, viewed: Viewed) -> None:
        self._viewed = viewed
        self._grid = viewed.dump.info.patch_grid
        self._made = altered_jpegs(viewed.dump)

    def face(self, request: Request) -> Response:
        """The crop of the i-th strongest image of a feature, counted from 0."""
        strongest, place = descending(feature_in(request, self._viewed).active), number_in(request, "place")
        if len(strongest) <= place < FACES:
            return Response(NOTHING, media_type="image/svg+xml", headers={"cache-control": self._keep(request)})
        if place >= len(strongest):
            raise HTTPException(404, f"The dump lists {len(strongest):,} images that fire this feature.")
        return self._rendered(request, self._picture(strongest[place], "crop", _side(request, FACE)))

    def crop(self, request: Request) -> Response:
        """An image as a crop of where a feature fires in it."""
        exemplar = self._exemplar(request)
        return self._rendered(request, self._picture(exemplar, "crop", _side(request, CROP)))

    def whole(self, request: Request) -> Response:
        """Answers with a whole image."""
        image = image_in(request, self._viewed)
        tile = tile_of(Exemplar(image.image, 0.0, "", 1.0, None, None), image, "full", None, None)
        return self._rendered(request, Picture((tile,), _side(request, WHOLE), QUALITY))

    def heat(self, request: Request) -> Response:
        """Where a feature fires in an image, to be laid over it: over its crop with `?of=crop`, else over all of it."""
        exemplar, image = self._exemplar(request), image_in(request, self._viewed)
        if exemplar.heat is None or self._grid is None:
            raise HTTPException(404, "The dump has no heat map of this feature on this image.")
        part = self._region(exemplar, image) if request.query_params.get("of") == "crop" else None
        part = part or Box(0, 0, image.width, image.height)
        heat, grid, size = exemplar.heat, self._grid, (image.width, image.height)
        digest = heat_digest(heat, grid, size, part)
        return self._answer(request, digest, "image/png", lambda: heat_png(heat, grid, size, part, HEAT))

    def altered(self, request: Request) -> Response:
        """A picture that was made of an image: its region alone, taken away, or put into another image."""
        what, side = _alteration(request, self._viewed), _side(request, CROP)
        digest = f"{what.digest}-{side}"
        return self._jpeg(request, digest, lambda: self._made(what, side))

    def stored(self, request: Request) -> Response:
        """A picture that was made for a run."""
        sha256, side = request.path_params["sha256"], _side(request, CROP)
        if re.fullmatch("[0-9a-f]{64}", sha256) is None:
            raise HTTPException(404, "There is no such picture.")
        what = whole(stored_source(self._viewed.picture_folders, sha256, (1, 1)))
        return self._jpeg(request, f"{sha256}-{side}", lambda: self._made(what, side))

    def given_heat(self, request: Request) -> Response:
        """The heat map that the address states in hex, to be laid over such a picture."""
        text, grid = request.query_params.get("heat", ""), self._grid
        if grid is None or re.fullmatch(f"[0-9a-f]{{{2 * grid[0] * grid[1]}}}", text) is None:
            raise HTTPException(404, "That is no heat map of this dump.")
        heat, size = bytes.fromhex(text), (grid[1], grid[0])
        part = Box(0, 0, *size)
        digest = heat_digest(heat, grid, size, part)
        return self._answer(request, digest, "image/png", lambda: heat_png(heat, grid, size, part, HEAT))

    def _exemplar(self, request: Request) -> Exemplar:
        feature, image = feature_in(request, self._viewed), image_in(request, self._viewed)
        return self._viewed.evidence.exemplar(feature, image.image)

    def _region(self, exemplar: Exemplar, image: ImageRow) -> Box | None:
        return region_box(exemplar, image, self._grid, self._viewed.evidence.region)

    def _picture(self, exemplar: Exemplar, rendering: Rendering, side: int) -> Picture:
        image = self._viewed.dump.image(exemplar.image)
        tile = tile_of(exemplar, image, rendering, self._region(exemplar, image), self._grid)
        return Picture((tile,), side, QUALITY)

    def _rendered(self, request: Request, picture: Picture) -> Response:
        return self._jpeg(request, picture.digest, lambda: self._viewed.renderer.jpeg_now(picture))

    def _jpeg(self, request: Request, digest: str, make: Callable[[], bytes]) -> Response:
        try:
            return self._answer(request, digest, "image/jpeg", make)
        except ImageError:
            # The file may be mended while the explorer runs.
            return Response(BROKEN, media_type="image/svg+xml", headers={"cache-control": "no-store"})

    def _answer(self, request: Request, digest: str, kind: str, make: Callable[[], bytes]) -> Response:
        headers = {"etag": f'"{digest}"', "cache-control": self._keep(request)}
        if headers["etag"] in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(make(), media_type=kind, headers=headers)

    def _keep(self, request: Request) -> str:
        """How long a browser keeps the answer."""
        return FOR_EVER if request.query_params.get("v") == self._viewed.evidence.stamp else ASK_AGAIN


def _side(request: Request, usual: int) -> int:
    """The longest side that is asked for; the usual one where it is none of `SIDES`, which bound what is kept."""
    asked = request.query_params.get("side", "")
    return next((side for side in SIDES if asked == str(side)), usual)


_ERASURES: Mapping[str, Erasure] = {how: how for how in ERASURES}


def address_of(what: Alteration) -> str:
    """Where a picture that was made is served; without `v`, and with a query."""
    if what.source.file is not None:
        return f"/picture/stored/{what.source.sha256}.jpg?side={CROP}"
    address = f"/picture/altered/{what.kind}/{what.source.image}.jpg?box={_corners(what.box)}"
    if what.into is None:
        return address
    return f"{address}&into={what.into.image}&at={_corners(what.at)}"


def heat_address_of(heat: bytes | None) -> str:
    """Where a heat map is served; as `address_of`, and empty for none."""
    return "" if heat is None else f"/picture/heat.png?heat={heat.hex()}"


def _corners(box: Box | None) -> str:
    return "" if box is None else ",".join(map(str, box.corners))


def _alteration(request: Request, viewed: Viewed) -> Alteration:
    """What `address_of` wrote.

    Raises:
        HTTPException: 404, the address says something else.
    """
    kind, image, asked = request.path_params["kind"], image_in(request, viewed), request.query_params
    source, box = Source.of(image), _box(asked.get("box", ""), image)
    if kind == "crop":
        return crop(source, box)
    if (how := _ERASURES.get(kind)) is not None:
        return erased(source, box, how)
    host = image_of(asked.get("into", ""), viewed) if kind == "paste" else None
    if host is None:
        raise HTTPException(404, "There is no such picture.")
    return pasted(source, box, Source.of(host), _box(asked.get("at", ""), host))


def _box(text: str, image: ImageRow) -> Box:
    corners = text.split(",")
    if len(corners) == 4 and all(is_number(corner) for corner in corners):
        box = Box(*map(int, corners))
        if box.x0 < box.x1 <= image.width and box.y0 < box.y1 <= image.height:
            return box
    raise HTTPException(404, f"{text!r} is no region of image {image.image}.")


def routes(viewed: Viewed) -> list[Route]:
    """The pictures of what is viewed."""
    made = Pictures(viewed)
    return [
        Route("/picture/face/{feature}/{place}.jpg", made.face),
        Route("/picture/crop/{feature}/{image}.jpg", made.crop),
        Route("/picture/whole/{image}.jpg", made.whole),
        Route("/picture/altered/{kind}/{image}.jpg", made.altered),
        Route("/picture/stored/{sha256}.jpg", made.stored),
        Route("/picture/heat.png", made.given_heat),
        Route("/picture/heat/{feature}/{image}.png", made.heat),
    ]
