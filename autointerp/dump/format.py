"""The feature dump on disk, `autointerp-dump/1`: its files, their columns, and the record of dump.json."""

import json
import math
from datetime import datetime
from typing import Literal

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from autointerp.errors import DumpError
from autointerp.remote.path import AnyPath

FORMAT = "autointerp-dump/1"
INFO_FILE = "dump.json"
FEATURES_FILE = "features.parquet"
EXEMPLARS_FILE = "exemplars.parquet"
IMAGES_FILE = "images.parquet"
POOL_FILE = "pool.parquet"
HISTOGRAM_BINS = 50

FEATURES = pa.schema(
    [
        pa.field("feature", pa.int32(), nullable=False),
        pa.field("width", pa.int32(), nullable=False),
        pa.field("n_active", pa.int64(), nullable=False),
        pa.field("max_activation", pa.float32(), nullable=False),
        pa.field("n_active_attribute", pa.int64()),
        pa.field("histogram", pa.list_(pa.int64())),
        pa.field("parents", pa.list_(pa.int32())),
        pa.field("duplicates", pa.list_(pa.int32())),
    ]
)
"""features.parquet, one row a feature, ascending."""

EXEMPLARS = pa.schema(
    [
        pa.field("feature", pa.int32(), nullable=False),
        pa.field("image", pa.int64(), nullable=False),
        pa.field("activation", pa.float32(), nullable=False),
        pa.field("stratum", pa.string(), nullable=False),
        pa.field("probability", pa.float64(), nullable=False),
        pa.field("x0", pa.int32()),
        pa.field("y0", pa.int32()),
        pa.field("x1", pa.int32()),
        pa.field("y1", pa.int32()),
        pa.field("heat", pa.binary()),
        pa.field("silent_activation", pa.float32()),
    ]
)
"""exemplars.parquet, one row a (feature, image), sorted by feature."""

IMAGES = pa.schema(
    [
        pa.field("image", pa.int64(), nullable=False),
        pa.field("path", pa.string()),
        pa.field("bytes", pa.binary()),
        pa.field("width", pa.int32(), nullable=False),
        pa.field("height", pa.int32(), nullable=False),
        pa.field("sha256", pa.string(), nullable=False),
        pa.field("attribute", pa.bool_()),
        pa.field("group", pa.string()),
        pa.field("label", pa.string()),
        pa.field("pool", pa.bool_()),
        pa.field("source", pa.string()),
    ]
)
"""images.parquet, one row an image, ascending; `pool` is there where the dump has a pool, and `source` where labels
name what images were made from."""

POOL = pa.schema(
    [
        pa.field("feature", pa.int32(), nullable=False),
        pa.field("images", pa.list_(pa.int64()), nullable=False),
        pa.field("activations", pa.list_(pa.float32()), nullable=False),
        pa.field("alike", pa.list_(pa.int64()), nullable=False),
    ]
)
"""pool.parquet, one row a feature, ascending: what it does on the images of the pool."""
NEAR = 0.5
"""pool.parquet states every activation on an image of the pool above this share of the threshold."""


Population = Literal["complete", "sample", "unknown"]


class Attribute(BaseModel):
    """The boolean label that images of a dump may carry, e.g. that they show a physical error."""

    model_config = ConfigDict(frozen=True)

    name: str = Field(min_length=1)
    description: str


class HierarchyInfo(BaseModel):
    """How many parents and duplicates a dump states, and how many there would be by chance."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    n_with_parents: int
    """Features that have a parent."""
    n_with_duplicates: int
    """Features that have a duplicate in a smaller prefix."""
    n_too_rare: int
    """Features that fire too rarely to tell."""
    n_pairs: int
    """Pairs of a feature and a parent; of a feature at most three are stated."""
    n_pairs_shuffled: int | None = None
    """The same with the patches of the candidates shuffled within each image; None where nothing has a place."""
    share: float | None = None
    """Part of the child's strong patches at which the parent is on, the mean over the pairs; None without any."""
    elsewhere: float | None = None
    """Part of the other patches of the same images at which it is on."""


class CoderOrigin(BaseModel):
    """Which coder a dump was harvested with."""

    model_config = ConfigDict(frozen=True)

    format: str
    """The tool or format of its files."""
    digest: str
    """SHA-256, hex, over all that its latents depend on."""
    source: str
    """Its folder, file or name on the hub, as it was named."""
    revision: str | None = None
    """The commit of the hub; None for files that were on disk."""


class BackboneOrigin(BaseModel):
    """Which model a dump's images were run through, and how it was shown them: enough to run another image alike."""

    model_config = ConfigDict(frozen=True)

    name: str
    """As `harvest --backbone` takes it."""
    digest: str | None = None
    """SHA-256, hex, over its weights and how it prepares a picture."""
    precision: str = "float32"
    """In which numbers it was run."""
    side: int | None = None
    """Pixels of the square that it takes."""
    shortest: int | None = None
    """The shorter side in pixels to which a picture is brought before its middle is cropped; None stretches it all."""


class TopOnly(BaseModel):
    """What a dump does not know whose source kept only the strongest images of each feature."""

    model_config = ConfigDict(frozen=True)

    k: int
    """How many images the source keeps of a feature at most."""
    n_full: int
    """Features that other images may fire than those listed."""
    counted: bool
    """Whether `n_active` counts all images that fire them; else only those listed."""
    drawn: bool = False
    """Whether those listed were drawn among all that fire, in bands, and are not the strongest alone."""
    assumed_silent: bool = False
    """Whether silent images of them were drawn from all that are not listed, some of which may fire them."""

    @property
    def note(self) -> str:
        """What this means for scores, in a sentence."""
        whose = "1 feature" if self.n_full == 1 else f"{self.n_full:,} features"
        if self.drawn:
            what = f"of {whose} the source keeps {self.k:,} images at most, drawn from all that fire"
        else:
            what = (
                f"only the stratum top is covered: of {whose} the source keeps the {self.k:,} strongest images at most"
            )
        others = "the others that fire" if self.counted else "others that fire, whose number is unknown"
        them = "it" if self.n_full == 1 else "them"
        silent = (
            "some of these may count as silent here"
            if self.assumed_silent
            else f"detection leaves {them} unscored, since which images are silent is unknown"
        )
        return f"{what}; scores say nothing of {others}, and {silent}"


class DumpInfo(BaseModel):
    """The record of dump.json; keys it does not know are ignored, since other programs may add some."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    format: str = FORMAT
    name: str = Field(min_length=1)
    created: str
    """ISO 8601."""
    created_by: str
    """Program and version."""
    model: str
    hookpoint: str
    n_latents: int = Field(gt=0, lt=2**31)
    widths: tuple[int, ...] = Field(min_length=1)
    """Nested prefix widths, ascending; the last is `n_latents`."""
    n_images: int = Field(ge=0)
    """Size of the image population that was run, of which images.parquet may hold a part."""
    active_above: float
    """A feature fires on an image when its activation is greater than this; raw units."""
    patch_grid: tuple[int, int] | None = None
    """Rows and columns of the heat maps."""
    attribute: Attribute | None = None
    population: Population = "complete"
    """Whether `n_images` and the counts speak of all images that were run, of a sample of them, or nobody knows."""
    classifier: str | None = Field(default=None, exclude_if=lambda value: value is None)
    """SHA-256, hex, over all weights of the classifier's network that was run; None for a model by itself."""
    hierarchy: HierarchyInfo | None = Field(default=None, exclude_if=lambda value: value is None)
    """None where parents were not sought, or by a version that did not look at places."""
    coder: CoderOrigin | None = Field(default=None, exclude_if=lambda value: value is None)
    """None where features are of no coder, or nobody wrote it down."""
    backbone: BackboneOrigin | None = Field(default=None, exclude_if=lambda value: value is None)
    """None where nobody wrote it down."""
    top_only: TopOnly | None = Field(default=None, exclude_if=lambda value: value is None)
    """None where every image that fires a feature could become evidence."""

    @field_validator("format")
    @classmethod
    def _known(cls, value: str) -> str:
        if value != FORMAT:
            raise ValueError(f"is {value!r}, and this version reads {FORMAT!r}; upgrade autointerp or export it again")
        return value

    @field_validator("created")
    @classmethod
    def _time(cls, value: str) -> str:
        try:
            datetime.fromisoformat(value)
        except ValueError:
            raise ValueError(f"{value!r} is not an ISO 8601 time such as 2026-01-31T12:00:00+00:00") from None
        return value

    @field_validator("patch_grid")
    @classmethod
    def _positive(cls, value: tuple[int, int] | None) -> tuple[int, int] | None:
        if value is not None and min(value) < 1:
            raise ValueError(f"is {list(value)}; expected [rows, columns], each at least 1")
        return value

    @model_validator(mode="after")
    def _nested(self) -> "DumpInfo":
        steps = zip((0, *self.widths), self.widths, strict=False)
        if self.widths[-1] != self.n_latents or any(a >= b for a, b in steps):
            raise ValueError(f"widths {list(self.widths)} must ascend from above 0 to n_latents, {self.n_latents}")
        return self

    @property
    def heat_bytes(self) -> int | None:
        """Length of every heat map in bytes; None where the dump has none."""
        return math.prod(self.patch_grid) if self.patch_grid else None

    def density_of(self, n_active: int) -> float | None:
        """Share of the images that were run on which a feature fires, 0 to 1; None where that is not known."""
        if self.population == "unknown" or self.uncounted(n_active):
            return None
        return n_active / self.n_images if self.n_images else 0.0

    def uncounted(self, n_active: int) -> bool:
        """Whether a feature that fires on so many images may fire on more, since the source lists no more of any."""
        top = self.top_only
        return top is not None and not top.counted and n_active >= top.k

    @property
    def population_note(self) -> str | None:
        """What the counts do not say, in a sentence; None where they speak of all images that were run."""
        return _NOTES[self.population]

    @property
    def notes(self) -> tuple[str, ...]:
        """What the dump does not say, a sentence each: of its counts, and of its evidence."""
        coverage = None if self.top_only is None else self.top_only.note
        return tuple(note for note in (coverage, self.population_note) if note is not None)

    def width_of(self, feature: int) -> int:
        """The smallest nested prefix that holds `feature`, which must be in 0 … n_latents - 1."""
        return next(w for w in self.widths if feature < w)


_NOTES: dict[Population, str | None] = {
    "complete": None,
    "sample": "the dump counts a sample of the images that were run: densities and population scores speak of it alone",
    "unknown": "the dump does not say how many images were run: densities are unknown, and population scores such as "
    "F1 and precision speak of the images in the dump alone",
}


def part_name(number: int) -> str:
    """File name of the `number`-th part, from 0, of exemplars that are split."""
    return f"exemplars-{number:05d}.parquet"


def load_info(folder: AnyPath) -> DumpInfo:
    """Reads dump.json.

    Raises:
        DumpError: there is none, it is not JSON, or a key is missing or has a value that cannot be.
    """
    path = folder / INFO_FILE
    try:
        content = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise DumpError(
            f"{folder}: not a dump, it has no {INFO_FILE}; give a folder such as `autointerp import` writes"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise DumpError(f"{path}: cannot be read: {error}") from error
    try:
        record = json.loads(content)
        if isinstance(record, dict) and "format" not in record:
            raise DumpError(f"{path}: there is no format; expected {FORMAT!r}, so this may be another program's file")
        return DumpInfo.model_validate(record)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        said = first["msg"].removeprefix("Value error, ")
        raise DumpError(f"{path}: {where}: {said}" if where else f"{path}: {said}") from error
    except RecursionError as error:
        raise DumpError(
            f"{path}: is nested too deep; a dump's record holds texts, numbers and lists of them"
        ) from error
    except ValueError as error:
        raise DumpError(f"{path}: not JSON: {error}") from error
