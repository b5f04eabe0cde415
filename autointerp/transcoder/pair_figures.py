"""Figures of how a coder's latents respond to pairs of images that differ in one attribute."""

from autointerp.record import Record
from autointerp.transcoder.estimate import Estimate


class Response(Record):
    """How one latent, or a coalition of several, responds to held-out pairs of an attribute."""

    attribute: str
    latents: tuple[int, ...]
    """One, or the members of a coalition in the order in which they were chosen."""
    raised: Estimate
    """Share of the attribute's pairs in which it responds upwards where the attribute is."""
    lowered: float
    """Share in which it responds downwards there."""
    others: float | None
    """Share of another attribute's pairs in which it responds either way, the mean over the other attributes; None
    where there is none."""
    selectivity: Estimate
    """`raised` - `lowered` - `others`, -2 to 1: 1 responds always, in the right direction, and to nothing else."""
    n_up: int
    """Groups of the attribute's pairs in which more pairs raise than lower it."""
    n_down: int
    """Groups in which more lower it."""
    p: float
    """Exact sign test of these, one-sided."""
    q: float
    """Smallest false discovery rate at which it would be found (Benjamini & Hochberg 1995): a latent among all
    attributes and latents, a coalition among the coalitions of all attributes."""
    found: bool
    """Whether `q` is at most the level, and the interval of `selectivity` lies above 0."""


class AttributeMatch(Record):
    """What a prefix has for one attribute."""

    attribute: str
    n_latents: int
    """Latents of the prefix that are found by themselves."""
    single: Response | None
    """The latent that is best on the training pairs; None where none is better than nothing there."""
    coalition: Response | None
    """The latents that matching pursuit puts together on the training pairs; it begins with the single one."""


class PrefixMatch(Record):
    """What the first latents have for each attribute."""

    width: int
    """How many they are."""
    selectivity: Estimate
    """Mean over attributes of the coalitions' selectivity, 0 for an attribute without one."""
    n_found: int
    """Attributes whose coalition is found."""
    attributes: tuple[AttributeMatch, ...]


class PairFigures(Record):
    """How the latents of one coder, or a layer's own units, respond."""

    n_tested: int
    """Pairs of attribute and latent that were tested: those that respond in enough groups to be found at all."""
    latents: tuple[Response, ...]
    """Latents that are found by themselves, the surest first."""
    prefixes: tuple[PrefixMatch, ...]
    """In the order of the prefixes; the last is the whole dictionary."""


class CoderPairs(Record):
    """How a coder responds to pairs, and its controls."""

    own: PairFigures
    untrained: PairFigures | None
    """Of a coder of the same form with random weights; None for a coder of another backbone."""
    raw: PairFigures | None
    """Of the layer's own units, which the coder reads; None likewise."""
    above_untrained: tuple[Estimate, ...] = ()
    """Mean selectivity less the untrained coder's, of each prefix, over the same bootstrap samples."""
    above_raw: Estimate | None = None
    """That of the whole dictionary less the raw units'."""


class AskedAttribute(Record):
    """Pairs of one attribute."""

    name: str
    n_training: int
    """Pairs on which latents are chosen."""
    n_held_out: int
    """Pairs that the figures are of."""
    n_groups: int
    """Groups of the held-out ones."""


class AskedPairs(Record):
    """The pairs that coders were asked about."""

    table: str
    n_images: int
    n_groups: int
    """Pairs that share a picture, or that the table puts together, are one."""
    attributes: tuple[AskedAttribute, ...]
