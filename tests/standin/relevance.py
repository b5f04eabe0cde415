"""What a run's relevance scores say together, read record by record."""

from collections.abc import Iterable

import numpy as np

from autointerp.schema import Score, Scored
from autointerp.scoring.fdr import LEVEL, Discoveries, FalsePositives, discovered, false_positives


def discoveries(scores: Iterable[Score], *, level: float = LEVEL) -> Discoveries:
    """Corrects the Fisher p-values of relevance scores; the last one of a feature holds."""
    p: dict[int, float] = {}
    for score in scores:
        if isinstance(score, Scored) and (value := score.number("p_fisher")) is not None:
            p[score.feature] = value
    return discovered(np.array(list(p), np.int64), np.array(list(p.values()), float), level=level)


def false_positive_rate(scores: Iterable[Score]) -> FalsePositives | None:
    """Computes the rates of the LMM form; None where no shuffled set was asked about."""
    own: dict[int, bool] = {}
    shuffled: dict[int, bool] = {}
    for score in scores:
        if isinstance(score, Scored) and score.details.get("form") == "lmm":
            own[score.feature] = score.value == 1
            if (control := score.controls.get("shuffled")) is not None:
                shuffled[score.feature] = control.value == 1
    return false_positives(sum(own.values()), len(own), sum(shuffled.values()), len(shuffled)) if shuffled else None
