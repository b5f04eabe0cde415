"""Small pictures of a dump's images, for a notebook."""

import base64
from collections.abc import Sequence

from autointerp.dump.reader import Dump
from autointerp.errors import AutointerpError
from autointerp.images.decode import MAX_PIXELS
from autointerp.images.picture import Picture, Tile
from autointerp.images.region import tells
from autointerp.images.renderer import Renderer
from autointerp.notebook.html import Thumbnail
from autointerp.remote.path import RemotePath
from autointerp.schema import Box, Exemplar, ImageRow
from autointerp.tiles import tile_of

SIDE = 96
"""Longest side in pixels."""
QUALITY = 60
N_CACHED_MB = 16


def thumbnails(dump: Dump, exemplars: Sequence[Exemplar]) -> list[Thumbnail]:
    """A picture of each, the region that fires outlined; empty ones where an image cannot be read.

    Of a dump at a URL there are none: nothing is fetched only to be shown.
    """
    if isinstance(dump.path, RemotePath):
        return []
    renderer = Renderer(
        dump.image_source, workers=1, decoded_mb=N_CACHED_MB, encoded_mb=N_CACHED_MB, max_pixels=MAX_PIXELS
    )
    try:
        return [_picture(dump, exemplar, renderer) for exemplar in exemplars]
    finally:
        renderer.close()


def _picture(dump: Dump, exemplar: Exemplar, renderer: Renderer) -> Thumbnail:
    caption = "silent" if exemplar.silent else f"{exemplar.activation:.3g}"
    try:
        row = dump.image(exemplar.image)
        tile = _outlined(exemplar, row, dump.info.patch_grid)
        jpeg = renderer.jpeg_now(Picture(tiles=(tile,), side=SIDE, quality=QUALITY))
    except AutointerpError as e:  # the rest can be shown all the same
        return Thumbnail("", caption, str(e))
    label = "" if row.label is None else f", {row.label}"
    return Thumbnail(base64.b64encode(jpeg).decode(), caption, f"image {exemplar.image}{label}")


def _outlined(exemplar: Exemplar, row: ImageRow, grid: tuple[int, int] | None) -> Tile:
    is_marked = not exemplar.silent and (exemplar.box is not None or tells(exemplar.heat))
    box = (exemplar.box or Box(0, 0, row.width, row.height)) if is_marked else None
    return tile_of(exemplar, row, "outline", box, grid)
