"""What becomes of several explanations that were sampled of one feature: candidates, clusters of meaning, shares."""

from pydantic import Field

from autointerp.record import Record, Several

ALTERNATIVES = "; or "
"""Joins explanations into their disjunction."""


class Candidate(Record):
    """One sampled explanation, with what it scored on the images that are kept for choosing."""

    text: str
    concepts: Several[str]
    images: Several[int]
    """Active image ids that the explainer saw when it wrote this one."""
    score: float | None
    """Youden's J, 2 · balanced accuracy - 1, negative ones as 0: 0 is chance, 1 perfect; None where the judge's
    answers are missing."""
    f1: float | None = None
    """Over the population, as far as those images can tell: by it the explanation as a whole is put together."""
    p: float | None
    """Chance of as many more yes among the active images if yes fell on images blindly (Fisher's exact test)."""


class Cluster(Record):
    """Candidates that mean the same."""

    members: Several[int]
    """Indices of its candidates."""
    best: int
    """Index of the member by which it was judged."""
    score: float
    """Of that member, in [0, 1]."""
    p: float
    """Against chance, corrected for the number of clusters (Holm 1979). Of one of several explanations: against that it
    tells nothing which the others do not."""
    kept: bool
    """Whether it beats chance."""
    adds: bool = True
    """Of a kept one: whether it is one of the feature's explanations. The others were not told apart from these."""
    share_score: float | None = Field(default=None, exclude_if=lambda value: value is None)
    """Earlier versions told the share of it in what a sampler by score draws, and"""
    share_ips: float | None = Field(default=None, exclude_if=lambda value: value is None)
    """the same under inverse probability weights."""

    @property
    def size(self) -> int:
        """Returns how many candidates the cluster holds."""
        return len(self.members)


class Sampled(Record):
    """A feature's candidates and what was chosen of them."""

    asked: int
    """Times the explainer was asked."""
    none: int = 0
    """Replies that saw no common property."""
    failed: int = 0
    """Replies that could not be used."""
    candidates: Several[Candidate] = ()
    """A reply that saw several unrelated properties stands here as one for each of them if meanings are told apart."""
    clusters: Several[Cluster] = ()
    """The explanations first; empty where only the best was wanted."""
    collapse: float | None = None
    """Chance that two different candidates mean the same; None where meanings were not told apart, or of one alone."""
    beats_chance: bool = False
    """Whether the explanation beat chance on the images kept for choosing; else it is only the best there was."""
    judged_on: Several[int] = Field(default=())
    """Image ids kept for choosing, on which nothing is scored afterwards."""

    @property
    def kept(self) -> tuple[Candidate, ...]:
        """The explanations chosen, in the order of their clusters."""
        return tuple(self.candidates[c.best] for c in self.clusters if c.kept and c.adds)

    @property
    def frequent_is_best(self) -> bool | None:
        """Whether a meaning that came up most often has the highest score too; None where none were told apart."""
        if not self.clusters:
            return None
        most, best = max(c.size for c in self.clusters), max(c.score for c in self.clusters)
        return any(c.size == most and c.score == best for c in self.clusters)


def disjunction(texts: list[str] | tuple[str, ...]) -> str:
    """One text that holds for an image where any of the texts does."""
    return ALTERNATIVES.join(text.rstrip(" .;") for text in texts)


def alternatives(text: str) -> tuple[str, ...]:
    """The texts of a disjunction; of another text, itself alone."""
    return tuple(text.split(ALTERNATIVES))
