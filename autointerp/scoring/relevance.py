"""Relevance as published: whether a feature is about the domain, e.g. a physical error.

LMM form: the second pass of the explanation named a shared error. Label form: of the images that fire it, the share
that carries the dump's attribute; a feature counts as relevant from 95 % on. The run's figure is the share of relevant
features. Source: the scripts released with Matryoshka Transcoders (arXiv 2511.10094).
"""

from autointerp.schema import Control, FeatureRow
from autointerp.scoring.protocol import Case, Outcome
from autointerp.scoring.statistics import Interval, wilson

NAME = "relevance"
RELEVANT = 0.95
"""Share of carriers among the images that fire it from which the label form calls a feature relevant."""


async def relevance(case: Case) -> Outcome:
    """1 or 0 by the LMM form where there was a second pass, else the share of the label form."""
    row, finding = case.feature.row, case.explanation.domain
    label = _label_form(row, case.base_rate)
    if finding is not None:
        details = {"form": "lmm", "category": finding.category, "text": finding.text, **label}
        found = float(finding.found)
        # One yes or no: a single feature has no interval narrower than everything; the run's share has one.
        return case.scored(NAME, Interval(found, 0.0, 1.0), len(case.explanation.images), details, {})
    if row.n_active_attribute is None or row.n_active == 0:
        return case.unscored(NAME, "the run has no second pass (--domain) and the dump no attribute")
    share = wilson(row.n_active_attribute, row.n_active)
    controls = {"base_rate": Control(value=case.base_rate)} if case.base_rate is not None else {}
    return case.scored(NAME, share, row.n_active, {"form": "label", **label}, controls)


def _label_form(row: FeatureRow, base_rate: float | None) -> dict[str, float | int | str | bool | None]:
    if row.n_active_attribute is None or row.n_active == 0:
        return {}
    share = wilson(row.n_active_attribute, row.n_active)
    return {
        "label_share": share.value,
        "label_low": share.low,
        "label_high": share.high,
        "label_relevant": share.value >= RELEVANT,
        "label_base_rate": base_rate,
    }
