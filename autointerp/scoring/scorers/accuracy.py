"""Accuracy as published: the share of held-out images that fire the feature which fits the explanation.

It is recall: there are no silent images in it, so the explanation "an image" scores 1.0. It is kept for comparison with
the literature (LanSE, arXiv 2508.18236) and is never the headline.
"""

from collections.abc import Sequence

import numpy as np

from autointerp.lmm.outcomes import Failure
from autointerp.schema import STRATA, Control, Details, Verdict
from autointerp.scoring.case import Case, Outcome, Scorer
from autointerp.scoring.judge import JUDGE
from autointerp.statistics.rates import Floats, Interval, wilson

NAME = "accuracy"
BANDS = ((0.7, "high"), (0.3, "middle"), (0.0, "low"))
"""The bands as published: at least .7, .3 to .7, below .3."""


async def accuracy(case: Case) -> Outcome:
    """Computes the share of yes on held-out active crops, with a Wilson interval, also by activation stratum.

    It reads the images of the first round alone, since adaptive sampling takes images where they narrow detection's
    interval and not a fair share of the bands. An unanswered crop takes the mean of the others in the value; the
    interval runs from all of them no to all of them yes.
    """
    said = await case.judgements()
    if isinstance(said, Failure):
        return said
    first = {item.exemplar.image for item in case.sample.active}
    active = [v for v in said.verdicts if v.active and v.image in first]
    n, yes = len(active), sum(v.belief == 1 for v in active)
    unanswered = sum(v.belief is None for v in active)
    worst, best = wilson(yes, n), wilson(yes + unanswered, n)
    share = Interval(yes / (n - unanswered) if unanswered < n else 0.5, worst.low, best.high)
    details: Details = {
        "band": next(name for least, name in BANDS if share.value >= least),
        "unsure": sum(v.belief == 0.5 for v in active),
    }
    if unanswered:
        details["unanswered"] = unanswered
    for stratum in STRATA:
        own = [v for v in active if v.stratum == stratum]
        if own:
            details[f"{stratum}_yes"] = sum(v.belief == 1 for v in own)
            details[f"{stratum}_n"] = len(own)
    # What "an image" would score: the reason why this number never stands alone.
    controls = {"always_yes": Control(value=1.0, n=n)}
    return case.scored(NAME, share, n, details, controls, said=said)


def _share_of_yes(verdicts: Sequence[Verdict], weight: Floats) -> float:
    """The share as the scorer has it: each image counts the same and unsure is no yes; a guess counts as it is."""
    return float(np.mean([0.0 if v.belief is None or v.belief == 0.5 else v.belief for v in verdicts]))


ACCURACY = Scorer(NAME, accuracy, task=JUDGE, sides="active", value_of=_share_of_yes, verdicts_with="detection")
