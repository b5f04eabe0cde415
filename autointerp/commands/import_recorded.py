"""What importers have in common whose source holds every activation: evidence is drawn as `harvest` draws it."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, PositiveInt
from pydantic_core import PydanticCustomError

from autointerp.commands.import_rows import ImportRows
from autointerp.options import Group, Option
from autointerp.transcoder.settings import HarvestSettings, Separated

OPTIONS = (
    "n_top",
    "n_bands",
    "n_per_band",
    "n_silent",
    "n_guided",
    "active_above",
    "density",
    "n_reservoir",
    "n_pool",
    "seed",
)
"""What of a harvest's settings may be chosen."""


def _grid(value: object) -> object:
    if not isinstance(value, str) or value in ("auto", "none"):
        return value
    found = re.fullmatch(r"(\d{1,4})x(\d{1,4})", value)
    if found is None or not int(found[1]) * int(found[2]):
        raise PydanticCustomError("grid", "must be ROWSxCOLUMNS, such as 16x16, or none, or auto")
    return int(found[1]), int(found[2])


def _crop(value: str | None) -> str | None:
    found = None if value is None else re.fullmatch(r"(\d{1,5})(x\1)?:(\d{1,5})", value)
    if value is not None and (found is None or not 0 < int(found[3]) <= int(found[1])):
        raise PydanticCustomError("crop", "must be RESIZE:SIDE, such as 256:224, or 256x256:224, and crop no more")
    return value


class ImportRecorded(ImportRows):
    """Options of an importer whose source holds every activation."""

    population: Annotated[PositiveInt | None, Option(default="what SRC says, or all")] = None
    """How many images were run, where these are the first so many of IMAGES."""
    patch_grid: Annotated[
        tuple[PositiveInt, PositiveInt] | Literal["auto", "none"],
        BeforeValidator(_grid),
        Option(metavar="ROWSxCOLUMNS|none"),
    ] = "auto"
    """How the patches of an image lie, by rows; what comes before them are class and register tokens. By default what
    SRC says; `none` for no heat maps."""
    crop: Annotated[str | None, AfterValidator(_crop), Option(metavar="RESIZE:SIDE", default="nothing is cropped")] = (
        None
    )
    """What of an image the model saw, in pixels as Resize and CenterCrop take them, such as 256:224, or 256x256:224
    where images were squeezed to a square first; heat maps are laid where it was."""
    widths: Annotated[tuple[PositiveInt, ...], Separated, Option(default="one, the whole dictionary")] = ()
    """The nested prefixes of a Matryoshka dictionary, ascending; parents are sought among them."""
    settings: Annotated[
        HarvestSettings,
        Group(only=OPTIONS, options={"active_above": Option(default="0, as the tools have it", metavar="auto|NUMBER")}),
    ] = HarvestSettings(active_above=0.0)
    """What is kept of each latent."""
