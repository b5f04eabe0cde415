"""Accuracy as published: of held-out images that fire the feature, the share that fits the explanation.

It is recall: there are no silent images in it, so the explanation "an image" scores 1.0. Kept for comparison with the
literature (LanSE, arXiv 2508.18236), never as the headline.
"""

from autointerp.lmm.calls import Failure
from autointerp.schema import STRATA, Control
from autointerp.scoring.protocol import Case, Outcome
from autointerp.scoring.statistics import Interval, wilson
from autointerp.scoring.trials import MORE_ACTIVE

NAME = "accuracy"
BANDS = ((0.7, "high"), (0.3, "middle"), (0.0, "low"))
"""As published: at least .7, .3 to .7, below .3."""


async def accuracy(case: Case) -> Outcome:
    """Share of yes on held-out active crops, with a Wilson interval, also by activation stratum.

    It reads the images of the first round: judging on goes where it narrows detection's interval, not to a fair share
    of the bands. Of unanswered crops the value takes the mean of the others; the interval runs from all of them no to
    all of them yes.
    """
    least = case.settings.min_active
    if case.explanation.none:
        return case.unscored(NAME, "the explainer found no common property")
    if (n := len(case.pool.active)) < least:
        return case.unscored(NAME, f"{n} held-out active images, {least} are needed; {MORE_ACTIVE}")
    judged = await case.verdicts()
    if isinstance(judged, Failure):
        return judged
    first = {item.exemplar.image for item in case.sample.active}
    active = [v for v in judged.all if v.active and v.image in first]
    n, yes = len(active), sum(v.belief == 1 for v in active)
    open_ones = sum(v.belief is None for v in active)
    worst, best = wilson(yes, n), wilson(yes + open_ones, n)
    share = Interval(yes / (n - open_ones) if open_ones < n else 0.5, worst.low, best.high)
    details: dict[str, float | int | str | bool | None] = {
        "band": next(name for least, name in BANDS if share.value >= least),
        "unsure": sum(v.belief == 0.5 for v in active),
    }
    if open_ones:
        details["unanswered"] = open_ones
    for stratum in STRATA:
        own = [v for v in active if v.stratum == stratum]
        if own:
            details[f"{stratum}_yes"] = sum(v.belief == 1 for v in own)
            details[f"{stratum}_n"] = len(own)
    # What "an image" would score: the reason why this number never stands alone.
    controls = {"always_yes": Control(value=1.0, n=n)}
    return case.scored(NAME, share, n, details, controls, judged=judged)
