"""Tests whether a run's scores stand above what explanations that should lose get on the same images."""

from array import array
from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

import numpy as np

from autointerp.arrays import last_of_each
from autointerp.record import Record
from autointerp.schema import Score, Scored
from autointerp.statistics.comparison import Contrast, paired, unpaired
from autointerp.statistics.rates import Floats
from autointerp.statistics.resampling import Draws

SCORER = "detection"
"""The scorer whose controls are tested."""
CONTROLS = {
    "constant": "“an image”",
    "close_up": "“a close-up of a thing”",
    "middle": "“an object in the middle”",
    "other": "another feature's explanation",
    "permuted": "the same answers dealt at random",
    "random": "features of random weights",
    "neighbour": "the nearest neighbour's explanation",
}
"""What each control is, in words."""
MUST_LOSE = ("constant", "close_up", "middle", "other", "permuted", "random")
"""The controls that must lose. A neighbour may describe the same thing, so its explanation may rightly do as well."""
HARDER = ("constant", "close_up", "middle", "other", "random")
"""The controls among them that other explanations, or other features, make; chance alone is easily beaten."""
CAREFUL = "careful_f1"
"""The detail with which controls are compared where images were screened first."""
LEAST = 8
"""With fewer features a verdict is withheld: of six a single bad one already lifts p above .05."""
LEVEL = 0.05
PERMUTATIONS = 10_000

Verdict = Literal["separates", "does not separate", "too few"]


class Separation(Record):
    """The test of one control over all features that carry it."""

    control: str
    n: int
    """The number of features that carry it; for `random`, those of the random dump."""
    own: float
    """The mean of the explanations' own scores on the same features; for `random`, over the run."""
    value: float
    """The mean under the control."""
    difference: float
    low: float | None
    high: float | None
    """`low` and `high` bound the 95 % interval of own less control; None where there are too few features for one."""
    p: float
    """The two-sided p-value, by sign flips over features; for `random`, by dealing features to the two dumps."""
    verdict: Verdict


def separations(scores: Iterable[Score], random: Iterable[Score] = (), *, seed: int = 0) -> tuple[Separation, ...]:
    """Tests each control of a run against the features' own detection scores.

    Args:
        scores: the scores of the run; other scorers than detection are passed over. The last one of a feature holds.
        random: the scores of a run over a dump of random weights, if there is one.
        seed: the seed of the permutations.
    """
    found = _Values(scores)
    return tested(found.own, found, random, seed=seed)


def tested(
    own: Floats, controls: Mapping[str, Floats], random: Iterable[Score], *, seed: int
) -> tuple[Separation, ...]:
    """The same tests of columns.

    Args:
        own: detection's own values, those of `CAREFUL` where there are such; one a feature, shape [n].
        controls: what each of the controls has, shape [n] as well; NaN for none.
        random: as `separations` has it.
        seed: as above.
    """
    out: list[Separation] = []
    for name in controls:
        column = controls[name]
        known = np.isfinite(column)
        if known.any():
            out.append(_separation(name, paired(column[known], own[known], Draws(PERMUTATIONS, seed))))
    without = _Values(random).own
    if len(without) and len(own):
        out.append(_separation("random", unpaired(without, own, Draws(PERMUTATIONS, seed))))
    return tuple(sorted(out, key=lambda s: list(CONTROLS).index(s.control)))


def headline(found: Iterable[Separation]) -> str | None:
    """Says in one line whether the controls separate; None where there are none."""
    tests = [s for s in found if s.control in MUST_LOSE]
    if not tests:
        return None
    lost = [s for s in tests if s.verdict == "does not separate"]
    if lost:
        said = "; ".join(f"{with_verb(s.control)} {s.value:.2f}, own {s.own:.2f} (p = {s.p:.2g})" for s in lost)
        return f"CONTROLS DO NOT SEPARATE: {said}: these scores say little about the explanations"
    enough = [s for s in tests if s.verdict == "separates"]
    if not {s.control for s in enough} & set(HARDER):
        n = max((s.n for s in tests if s.control in HARDER), default=0)
        if enough:
            return (
                f"answers beat chance (own {enough[0].own:.2f}, dealt at random {enough[0].value:.2f}); too few "
                f"features carry other explanations to tell more ({n}, at least {LEAST} are needed)"
            )
        return f"controls: {max(s.n for s in tests)} features carry them, too few to tell (at least {LEAST} are needed)"
    said = ", ".join(f"{CONTROLS[s.control]} {s.value:.2f}" for s in enough)
    worst = max(s.p for s in enough)
    return f"controls separate: own explanations {enough[0].own:.2f}, {said} (every p <= {worst:.2g})"


def with_verb(control: str) -> str:
    """Puts a control before its verb: “an image” scores, the same answers score."""
    return f"{CONTROLS[control]} {'score' if control in ('permuted', 'random') else 'scores'}"


def _separation(name: str, contrast: Contrast) -> Separation:
    n = min(contrast.n_a, contrast.n_b)
    above = contrast.difference.value > 0 and contrast.tested.p < LEVEL
    return Separation(
        control=name,
        n=contrast.n_a,
        own=contrast.mean_b.value,
        value=contrast.mean_a.value,
        difference=contrast.difference.value,
        low=contrast.difference.low,
        high=contrast.difference.high,
        p=contrast.tested.p,
        verdict="too few" if n < LEAST else "separates" if above else "does not separate",
    )


class _Values(Mapping[str, Floats]):
    """Detection's own values, and by control those under it, of which only what is there takes memory.

    The column of a control is made when it is asked for: of each feature its value, NaN for none, shape [features].

    Args:
        scores: of which other scorers' are passed over; the last one of a feature holds.
    """

    def __init__(self, scores: Iterable[Score]) -> None:
        features, values = array("q"), array("d")
        self._under: dict[str, tuple[array[int], array[float]]] = {}
        """By control: which of the scores have it, and the value under it."""
        for s in scores:
            if isinstance(s, Scored) and s.scorer == SCORER:
                for name in CONTROLS.keys() & s.controls.keys():
                    places, under = self._under.setdefault(name, (array("q"), array("d")))
                    places.append(len(features))
                    under.append(s.controls[name].value)
                features.append(s.feature)
                own = s.number(CAREFUL)
                values.append(s.value if own is None else own)
        self._n, self._latest = len(features), last_of_each(np.array(features, np.int64))
        self.own = np.array(values, float)[self._latest]
        """By ascending feature, shape [features]."""

    def __getitem__(self, control: str) -> Floats:
        places, values = self._under[control]
        column = np.full(self._n, np.nan)
        column[np.array(places, np.int64)] = values
        return column[self._latest]

    def __iter__(self) -> Iterator[str]:
        return iter(self._under)

    def __len__(self) -> int:
        return len(self._under)
