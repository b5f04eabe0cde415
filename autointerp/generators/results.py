"""The record of a result, `autointerp-benchmark/1`: what a pack found in the images of each generator."""

from typing import Annotated, Literal

from pydantic import Field, FiniteFloat, NonNegativeInt

from autointerp.generators.records import Digest, Estimated, Figures, PlainName, Rate, Text
from autointerp.record import Several

RESULT_FORMAT = "autointerp-benchmark/1"
ANY = "any"
"""Stands for all modes together among the things that are compared."""


class Compared(Figures):
    """The share of B less the share of A."""

    value: FiniteFloat
    low: FiniteFloat
    high: FiniteFloat
    """`low` and `high` bound a 95 % interval, which allows for style."""
    p: FiniteFloat
    """Two-sided, allowing for what negative controls differ by."""
    p_plain: FiniteFloat
    """The same if style made no difference."""


class OfMode(Figures):
    """What a mode does in the images of a set."""

    rate: Rate
    severity: Estimated | None
    """Mean strength on the images on which it is on, in units of what is typical of images with the attribute; None
    with fewer than two clusters."""
    judged: Estimated | None
    """Share of the images that show it by the judge's word on a random sample; None without one."""
    precision: Rate | None
    """Share of the judged images on which it is on that show it."""
    missed: Rate | None
    """Share of the judged images on which it is not on that show it all the same."""
    against_reference: Compared | None


class OfSet(Figures):
    """One set of images: a generator, or the reference."""

    name: Text
    reference: bool
    n_images: NonNegativeInt
    n_prompts: NonNegativeInt
    """Prompts that are named; 0 where nobody said."""
    n_clusters: NonNegativeInt
    sizes: Several[tuple[int, int]]
    """Width and height of its images, the most frequent first, at most three."""
    broken: Several[Text] = ()
    """One line for each file that cannot be read, at most twenty."""
    n_broken: NonNegativeInt
    ranked: bool
    """Whether it has a rank: it is no reference and has images enough."""
    any: Rate
    """Share of the images on which at least one mode is on."""
    any_against_reference: Compared | None
    per_image: Estimated | None
    """Modes that are on, a mean image."""
    judged_per_image: Estimated | None
    """Modes that a mean image shows by the judge's word."""
    modes: dict[PlainName, OfMode]
    categories: dict[Text, Rate]
    controls: FiniteFloat
    """Mean share of the images that fire a negative control."""
    shift: FiniteFloat
    """Standard deviation, on the scale of angles, of what style moves its shares by."""
    warnings: Several[Text] = ()


class Pair(Figures):
    """Compares two generators in one thing."""

    a: Text
    b: Text
    what: Text
    """`any`, a mode or a category."""
    kind: Literal["any", "mode", "category"]
    difference: Compared
    q: FiniteFloat
    """The smallest false discovery rate at which it is a finding, over all pairs and all that is compared."""
    n_shared: NonNegativeInt
    """Prompts, or other clusters, that both have."""
    shift: FiniteFloat
    """Standard deviation, on the scale of angles, of what style moves the two apart by."""
    judged: Estimated | None = None
    """The difference by the judge's word."""
    judged_q: FiniteFloat | None = None
    """The smallest false discovery rate at which that is a finding, over all pairs and modes that were judged."""

    def is_finding(self, level: float) -> bool:
        """Whether it is one: by the judge's word where there is one, else by what fires."""
        return (self.q if self.judged_q is None else self.judged_q) <= level


class Ranked(Figures):
    """A generator's place, of which 1 has the fewest failures."""

    name: Text
    rank: FiniteFloat
    """Mean over the draws."""
    shares: Several[FiniteFloat]
    """How often it has each rank, from 1 on."""


class Strong(Figures):
    """One of the strongest images of a mode in a set."""

    set: Text
    mode: PlainName
    path: Text
    prompt: Text
    strength: FiniteFloat
    """In units of what is typical of images with the attribute."""
    file: Annotated[str, Field(pattern=r"^pictures/[0-9a-f]{32}\.jpg$")]
    """In the folder of the result."""
    width: int
    height: int
    """Pixels of the picture."""
    outline: Annotated[str, Field(pattern=r"^[MLZ0-9 ]*$", max_length=20_000)]
    """The border of the region that fires, as an SVG path in the picture's pixels; empty where none is known."""


class PackRef(Figures):
    """The pack that images were run with."""

    name: Text
    digest: Digest
    attribute: Text
    backbone: Text
    coder: Text
    n_controls: NonNegativeInt
    measured_on: NonNegativeInt
    """Held-out images behind its rates."""


class ModeRef(Figures):
    """A mode as the pack has it."""

    id: PlainName
    name: Text
    category: Text
    n_features: NonNegativeInt
    with_attribute: Rate
    without_attribute: Rate


class Judging(Figures):
    """Who looked at a sample of the images."""

    judge: Text
    n_judged: NonNegativeInt
    n_unsure: NonNegativeInt
    n_missing: NonNegativeInt
    """Images of the sample without a usable answer."""


class Made(Figures):
    """How the result was made."""

    seed: NonNegativeInt
    replicates: NonNegativeInt
    level: FiniteFloat
    """The false discovery rate at which differences are findings."""
    least: NonNegativeInt
    """Images with which a generator has a rank, at least."""
    by: Text
    """Version of the program, and what ran the images."""
    created: Text


class Result(Figures):
    """Is what result.json holds."""

    format: Literal["autointerp-benchmark/1"] = RESULT_FORMAT
    pack: PackRef
    made: Made
    reference: Text
    """The name of the reference set, or the pack's own held-out images without the attribute."""
    modes: Several[ModeRef]
    sets: Several[OfSet]
    """Generators from fewest to most failures, then the reference."""
    pairs: Several[Pair]
    ranks: Several[Ranked]
    ranked_by: Literal["fired", "judged"]
    strongest: Several[Strong]
    judging: Judging | None
    notes: Several[Text]
