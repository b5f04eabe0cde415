"""A feature's contact sheet for people: its exemplars by activation band, the regions that fire outlined."""

import io
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from autointerp.dump.reader import Dump
from autointerp.errors import ImageError, SettingsError
from autointerp.evidence import strata
from autointerp.images.renderer import Renderer
from autointerp.schema import STRATA, Exemplar, Feature
from autointerp.settings import RegionSettings
from autointerp.tiles import region_box, tile_of

COLUMNS, SIDE, GAP, TITLE = 8, 144, 6, 26
GROUND, INK, BROKEN = (250, 250, 248), (40, 40, 40), (225, 205, 205)


def contact_sheet(dump: Dump, feature: Feature, renderer: Renderer, *, rows: int = 3) -> Image.Image:
    """Draws at most `rows` rows of each stratum, strongest first; an image that cannot be decoded is a red cell."""
    by_stratum = strata(feature.exemplars)
    ordered = {name: sorted(own, key=lambda e: (-e.activation, e.image)) for name, own in by_stratum.items()}
    blocks = [(name, ordered[name][: rows * COLUMNS]) for name in STRATA if name in ordered]
    height = TITLE + sum(TITLE + -(-len(shown) // COLUMNS) * (SIDE + GAP) for _, shown in blocks)
    sheet = Image.new("RGB", (GAP + COLUMNS * (SIDE + GAP), height + GAP), GROUND)
    draw = ImageDraw.Draw(sheet)
    row = feature.row
    _write(draw, (GAP, 0), f"feature {feature.id}   {fires_on(dump, row.n_active)}", 16)
    y = TITLE
    for name, shown in blocks:
        _write(draw, (GAP, y), f"{name}   {len(by_stratum[name])} images, {_levels(feature, shown)}", 13)
        y += TITLE
        for i, exemplar in enumerate(shown):
            place = (GAP + i % COLUMNS * (SIDE + GAP), y + i // COLUMNS * (SIDE + GAP))
            sheet.paste(_cell(dump, exemplar, renderer), place)
            if level := feature.reached_text([exemplar]):
                draw.rectangle((*place, place[0] + SIDE, place[1] + TITLE // 2), fill=GROUND)
                draw.text(place, level, font=ImageFont.load_default(10), fill=INK)
        y += -(-len(shown) // COLUMNS) * (SIDE + GAP)
    return sheet


def fires_on(dump: Dump, n_active: int) -> str:
    """Says on how many images a feature fires, and on which share of them as far as that is known."""
    density = dump.info.density_of(n_active)
    if dump.info.uncounted(n_active):
        return f"fires on at least {n_active:,} images; of how many it does is not known"
    if density is None:
        return f"fires on {n_active:,} images of the dump; of how many that were run is not known"
    sample = " of a sample" if dump.info.population == "sample" else ""
    return f"fires on {n_active:,} of {dump.info.n_images:,} images{sample} ({density:.2%})"


def save_sheet(sheet: Image.Image, out: Path) -> None:
    """Writes the sheet in the format of the file's ending, whole or not at all.

    Raises:
        SettingsError: the ending is no image format, or the file cannot be written.
    """
    kind = Image.registered_extensions().get(out.suffix.lower())
    if kind is None:
        raise SettingsError(f"--out {out}: not an image file name; use .png or .jpg")
    encoded = io.BytesIO()
    sheet.save(encoded, kind)
    draft = out.with_name(out.name + ".part")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        draft.write_bytes(encoded.getvalue())
        draft.replace(out)
    except OSError as e:
        raise SettingsError(f"--out {out}: cannot be written ({e.strerror})") from e
    finally:
        draft.unlink(missing_ok=True)


def _levels(feature: Feature, shown: Sequence[Exemplar]) -> str:
    """The activations of some exemplars of one stratum, or how near to firing the feature came on them."""
    if shown[0].silent:
        return f"reached {feature.reached_text(shown) or 'a level that is not known'}"
    return f"activation {min(e.activation for e in shown):.3g} to {max(e.activation for e in shown):.3g}"


def _cell(dump: Dump, exemplar: Exemplar, renderer: Renderer) -> Image.Image:
    cell = Image.new("RGB", (SIDE, SIDE), (238, 238, 234))
    image = dump.image(exemplar.image)
    box = None if exemplar.silent else region_box(exemplar, image, dump.info.patch_grid, RegionSettings())
    try:
        tile = renderer.tile_now(tile_of(exemplar, image, "outline", box, dump.info.patch_grid), SIDE)
    except ImageError:
        cell.paste(BROKEN, (0, 0, SIDE, SIDE))
        return cell
    cell.paste(tile, ((SIDE - tile.width) // 2, (SIDE - tile.height) // 2))
    return cell


def _write(draw: ImageDraw.ImageDraw, place: tuple[int, int], text: str, size: int) -> None:
    draw.text((place[0], place[1] + TITLE / 2), text, font=ImageFont.load_default(size), fill=INK, anchor="lm")
