"""Detection: which of the held-out crops, active and silent mixed, fit the explanation? The headline is weighted F1."""

import numpy as np

from autointerp.lmm.calls import Failure
from autointerp.schema import Control, Feature
from autointerp.scoring.protocol import Case, Outcome
from autointerp.scoring.statistics import bootstrap_rates, permuted_f1, weighted_rates

NAME = "detection"


def covered(feature: Feature) -> float:
    """Share of the images that fire a feature for which its active exemplars stand, 0 to 1."""
    stand_for = sum(1 / e.probability for e in feature.active)
    return min(1.0, stand_for / feature.row.n_active) if feature.row.n_active else 1.0


async def detection(case: Case) -> Outcome:
    """F1 over the population, each judgement weighted by 1/probability, with a stratified bootstrap interval."""
    settings = case.settings
    n_active, n_silent = len(case.sample.active), len(case.sample.silent)
    if case.explanation.none:
        return case.unscored(NAME, "the explainer found no common property")
    if n_active < settings.min_active:
        return case.unscored(
            NAME, f"{n_active} held-out active images, {settings.min_active} are needed; show fewer or harvest more"
        )
    if n_silent < settings.min_silent:
        return case.unscored(
            NAME, f"{n_silent} held-out silent images, {settings.min_silent} are needed; harvest some (stratum silent)"
        )
    judged = await case.verdicts()
    if isinstance(judged, Failure):
        return judged
    y = np.array([v.active for v in judged.all], float)
    c = np.array([v.belief for v in judged.all], float)
    w = np.array([v.weight for v in judged.all], float)
    _, stratum = np.unique([v.stratum for v in judged.all], return_inverse=True)
    seed = settings.seed + case.feature.id
    rates = bootstrap_rates(y, c, w, stratum.astype(np.int64), replicates=settings.bootstrap, seed=seed)
    dealt, p = permuted_f1(y, c, w, replicates=settings.bootstrap, seed=seed)
    controls = {
        # What "an image" would score, and what these answers would if dealt to the images at random.
        "always_yes": Control(value=weighted_rates(y, np.ones_like(c), w).f1, n=len(y)),
        "permuted": Control(value=dealt.value, low=dealt.low, high=dealt.high, n=len(y)),
    }
    details: dict[str, float | int | str | bool | None] = {"p_permuted": p}
    for name in ("precision", "recall", "specificity"):
        rate = rates[name]
        details |= {name: rate.value, f"{name}_low": rate.low, f"{name}_high": rate.high}
    details |= {
        "n_active": n_active,
        "n_silent": n_silent,
        # Below 1 the score speaks only for a part of the images that fire it, e.g. where the dump has the top alone.
        "active_covered": covered(case.feature),
        "false_positives": int(np.sum((y == 0) & (c == 1))),
        "false_negatives": int(np.sum((y == 1) & (c == 0))),
        "unsure": int(np.sum(c == 0.5)),
    }
    return case.scored(NAME, rates["f1"], len(y), details, controls, judged=judged, verdicts=judged.all)
