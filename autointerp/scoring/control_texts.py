"""Fixes the texts whose pictures serve as controls, before any picture is made."""

import numpy as np

from autointerp.dump.reader import Dump
from autointerp.evidence import lowest_hashed
from autointerp.job import only
from autointerp.runs.index import ExplanationIndex, Ints
from autointerp.runs.info import ControlTexts
from autointerp.scoring.distractors import DistractorFinder, normal
from autointerp.settings import ScoreSettings

_SPARE = 4
"""So many times as many features are looked at as texts are wanted, since some have no text, or that of another."""


def fixed_texts(
    dump: Dump, index: ExplanationIndex, chosen: Ints, settings: ScoreSettings, known: ControlTexts | None
) -> ControlTexts:
    """Gives the control texts of a run: those that are known already, and what the chosen features lack.

    Args:
        dump: of the run.
        index: its explanations.
        chosen: the features that are scored.
        settings: whose number of controls is that of the texts.
        known: of the run; None where nothing is fixed yet.

    Raises:
        RunError: an explanation is broken.
        DumpError: the dump is damaged.
    """
    texts = known.texts if known is not None else _drawn(index, settings)
    there = {} if known is None else known.neighbours
    lacking = np.array([f for f in chosen.tolist() if f not in there and not index[f].none], np.int64)
    finder = DistractorFinder(dump, index, seed=settings.seed)
    found: dict[int, str] = {}
    for feature in dump.features(only(lacking)) if settings.n_controls and len(lacking) else ():
        explanation = index[feature.id]
        nearest = next(iter(finder.of(feature, explanation).neighbours), explanation.text)
        if normal(nearest) != normal(explanation.text):
            found[feature.id] = nearest
    return ControlTexts(texts=texts, neighbours=found | there)


def _drawn(index: ExplanationIndex, settings: ScoreSettings) -> tuple[str, ...]:
    """As many texts as there are controls, no two alike; those of features whose numbers hash lowest."""
    looked_at = lowest_hashed(index.features, _SPARE * settings.n_controls, settings.seed)
    # Each text once, by the first of its features.
    different = {normal(said.text): said for f in looked_at[::-1].tolist() if not (said := index[f]).none}
    features = np.array(sorted(said.feature for said in different.values()), np.int64)
    return tuple(index[f].text for f in lowest_hashed(features, settings.n_controls, settings.seed).tolist())
