"""The strongest images of each mode in each set, as small pictures with the regions that fire."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from autointerp.counting import Counting
from autointerp.errors import excerpt
from autointerp.generators.assembled import Study
from autointerp.generators.kept import Kept
from autointerp.generators.pictures import put_picture
from autointerp.generators.records import MOST_TEXT
from autointerp.generators.result import PICTURES
from autointerp.generators.results import Strong
from autointerp.images.region import contours, region_mask, tells

SIDE = 256
"""Longer side of the pictures, in pixels."""
WHOLE = 0.8
"""A region that covers more of its image than this is not outlined."""


def strongest_of(
    study: Study, kept: Kept, folder: Path, n: int, grid: tuple[int, int] | None, progress: Counting
) -> Iterator[Strong]:
    """Writes pictures of the strongest images, of near-duplicates and images of one prompt the strongest alone.

    Args:
        study: all sets.
        kept: heat maps.
        folder: of the result.
        n: images of each mode and set, at most.
        grid: rows and columns of the heat maps; None without any.
        progress: is told pictures made.

    Raises:
        SettingsError: a picture cannot be written, or an image is not there any more.
    """
    chosen = [
        (s, m, i) for s in range(len(study.sets)) for m in range(len(study.pack.modes)) for i in _best(study, s, m, n)
    ]
    heats = kept.heats(sorted({study.sets[s].images[i].sha256 for s, _, i in chosen})) if grid is not None else {}
    columns = {f.feature: i for i, f in enumerate(study.pack.features)}
    for done, (s, m, i) in enumerate(chosen, start=1):
        one, mode = study.sets[s], study.pack.modes[m]
        image = one.images[i]
        own = heats.get(image.sha256, {})
        heat = next((own[columns[f]] for f in mode.features if columns[f] in own), None)
        file = f"{PICTURES}/{image.sha256[:32]}.jpg"
        size = put_picture(folder / file, image, SIDE)
        yield Strong(
            set=one.name,
            mode=mode.id,
            path=excerpt(image.name, MOST_TEXT),
            prompt=excerpt(one.prompts[i] or "", MOST_TEXT),
            strength=float(study.images[s].severity[i, m]),
            file=file,
            width=size[0],
            height=size[1],
            outline="" if heat is None or grid is None else _outline(heat, grid, size),
        )
        progress.count("pictures made", done, len(chosen))


def _best(study: Study, s: int, m: int, n: int) -> list[int]:
    """The strongest images of a mode, one of each cluster."""
    images = study.images[s]
    on = np.flatnonzero(images.on[:, m])
    order = on[np.lexsort((on, -images.severity[on, m]))]
    _, first = np.unique(images.clusters[order], return_index=True)
    return order[np.sort(first)][:n].tolist()


def _outline(heat: bytes, grid: tuple[int, int], size: tuple[int, int]) -> str:
    """The border of the region that fires as an SVG path in the picture's pixels; empty for nearly the whole image."""
    if len(heat) != grid[0] * grid[1] or not tells(heat):
        return ""
    mask = region_mask(heat, grid)
    if mask.mean() > WHOLE:
        return ""
    across, down = size[0] / grid[1], size[1] / grid[0]
    return "".join(
        f"M{'L'.join(f'{_inside(x * across, size[0])} {_inside(y * down, size[1])}' for x, y in polygon)}Z"
        for polygon in contours(mask)
    )


def _inside(at: float, length: int) -> int:
    return min(max(1, round(at)), length - 1)
