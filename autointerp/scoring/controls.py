"""Judges a feature's images under explanations that should lose: of no content, of framing, of other features."""

from dataclasses import replace
from typing import Literal

import numpy as np

from autointerp.lmm.outcomes import DEFERRED, Failure
from autointerp.schema import Control, Details, Usage
from autointerp.scoring.case import Addition, Case
from autointerp.scoring.distractors import normal
from autointerp.scoring.imputation import decided, imputed
from autointerp.scoring.judge import Judgements
from autointerp.settings import ScoreSettings
from autointerp.statistics.rates import f1_samples
from autointerp.statistics.resampling import Columns, f1_not_above, interval_of, resample

ControlName = Literal["constant", "close_up", "middle", "other", "neighbour"]
CONSTANT = "an image"
"""An explanation that fits everything."""
FRAMING: dict[ControlName, str] = {
    "close_up": "a close-up of a thing",
    "middle": "an object in the middle",
}
"""Explanations that speak of framing alone: they score where active images are shown otherwise than silent ones."""


def n_control_texts(settings: ScoreSettings) -> int:
    """The number of explanations beside its own under which a controlled feature's images are judged."""
    return 3 + (len(FRAMING) if settings.framing else 0)


async def judged_controls(case: Case, said: Judgements, judged: Columns) -> Addition | Failure:
    """Judges the images of the feature's own score again, under each explanation that should lose.

    Args:
        case: the feature's case.
        said: the judge's word on the images under the feature's own explanation.
        judged: the same as columns, by the careful look alone where images were screened.

    Returns:
        The controls, and `p_<control>`, the one-sided p-value of the feature's own explanation being no better; or a
        failure that may pass.

    Raises:
        EndpointError: no request of this run can succeed.
    """
    texts = _texts(case)
    told = await case.judge_again(texts.values(), said.items, said)
    if isinstance(told, Failure):
        return told
    controls: dict[str, Control] = {}
    p_values: Details = {}
    drawn = resample(judged, case.draws)
    for name, answer in zip(texts, told, strict=True):
        belief = np.array(imputed(said.items, answer.beliefs))
        other = replace(judged, belief=belief, answered=decided(answer.beliefs))
        found = interval_of(f1_samples, other, drawn)
        controls[name] = Control(value=found.value, low=found.low, high=found.high, n=len(belief))
        p_values[f"p_{name}"] = f1_not_above(judged, belief, case.draws)
    return Addition(p_values, controls, usage=sum((t.usage for t in told), Usage()))


async def ask_ahead(case: Case, failure: Failure) -> None:
    """Gives a batch job the questions of disjuncts and controls together with the feature's own.

    Nothing is asked where adaptive sampling or a screening still decides which images they are about.

    Args:
        case: the feature's case.
        failure: what became of the feature's own questions; only for those of a batch job anything is asked.
    """
    settings = case.settings
    if failure.kind != DEFERRED or settings.interval is not None or settings.n_screen:
        return
    for text in (*case.explanation.parts, *(_texts(case).values() if case.controlled else ())):
        await case.judge.judgements(text, case.sample.items, case.gateway)


def _texts(case: Case) -> dict[ControlName, str]:
    out: dict[ControlName, str] = {"constant": CONSTANT}
    others = case.distractors
    if others.other is not None:
        out["other"] = others.other
    # Texts equal to its own come last among the neighbours: they are no control.
    if others.neighbours and normal(others.neighbours[0]) != normal(case.explanation.text):
        out["neighbour"] = others.neighbours[0]
    return out | FRAMING if case.settings.framing else out
