"""The same images under explanations that should lose: a constant one, another feature's, the nearest neighbour's."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from autointerp.lmm.calls import DEFERRED, Failure
from autointerp.schema import Control, Usage
from autointerp.scoring.case import Case
from autointerp.scoring.distractors import normal
from autointerp.scoring.imputation import filled
from autointerp.scoring.judge import Verdicts
from autointerp.scoring.resampling import Judged, interval_of, resample, swapped_f1
from autointerp.scoring.statistics import f1_samples

ControlName = Literal["constant", "other", "neighbour"]
CONSTANT = "an image"
"""An explanation that fits everything."""
N_RIVALS = 3
"""Explanations beside its own under which a controlled feature's images are judged."""


@dataclass(frozen=True, slots=True)
class Otherwise:
    """How other explanations fared on a feature's images."""

    controls: dict[str, Control]
    p_values: dict[str, float | int | str | bool | None]
    """`p_<control>`: one-sided, of the feature's own explanation being no better."""
    usage: Usage


async def explained_otherwise(case: Case, said: Verdicts, judged: Judged, seed: int) -> Otherwise | Failure:
    """Judges the very images of the feature's own score again, under each explanation that should lose.

    Raises:
        EndpointError: no request of this run can succeed.
    """
    controls: dict[str, Control] = {}
    p_values: dict[str, float | int | str | bool | None] = {}
    usage = Usage()
    waiting: Failure | None = None
    replicates = case.settings.bootstrap
    drawn = resample(judged, replicates=replicates, seed=seed)
    look = case.judge.look_again(said)
    for name, text in _texts(case).items():
        told = await case.judge.beliefs(text, said.items, case.door, look)
        if isinstance(told, Failure):
            if told.kind != DEFERRED:
                return told
            waiting = told  # a batch job takes the other texts as well
            continue
        usage += told.usage
        answered = np.array([b is not None for b in told.all])
        belief = np.array(filled(said.all, told.all))
        other = judged.answering(belief, answered)
        found = interval_of(f1_samples, other, drawn)
        controls[name] = Control(value=found.value, low=found.low, high=found.high, n=len(belief))
        p_values[f"p_{name}"] = swapped_f1(judged, belief, replicates=replicates, seed=seed)
    return waiting or Otherwise(controls, p_values, usage)


async def ask_ahead(case: Case, said: Failure) -> None:
    """Gives a batch job the questions of parts and controls with the whole's, where they ask of the same images.

    Args:
        case: the trial.
        said: what became of the feature's own questions; only for those of a batch job anything is asked.
    """
    settings = case.settings
    if said.kind != DEFERRED or settings.interval is not None or settings.n_screen:
        return
    for text in (*case.explanation.parts, *(_texts(case).values() if case.controlled else ())):
        await case.judge.beliefs(text, case.sample.items, case.door, case.judge.look)


def _texts(case: Case) -> dict[ControlName, str]:
    out: dict[ControlName, str] = {"constant": CONSTANT}
    if case.rivals.other is not None:
        out["other"] = case.rivals.other
    # Texts equal to its own come last among the neighbours: they are no control.
    if case.rivals.neighbours and normal(case.rivals.neighbours[0]) != normal(case.explanation.text):
        out["neighbour"] = case.rivals.neighbours[0]
    return out
