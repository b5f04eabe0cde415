"""Relevance: whether a feature is about the domain, e.g. a physical error; as published, and as a tested effect.

The published measure (the scripts released with Matryoshka Transcoders, arXiv 2511.10094) has two forms. In the LMM
form a feature is relevant where the second pass of the explanation named a shared error. In the label form it is
relevant where at least 95 % of the images that fire it carry the dump's attribute. The run's figure is the share of
relevant features.

As a tested effect, the label form has the lift over the attribute's share in the population, with its interval and
Fisher's p (over all features of a run: `scoring/fdr.py`). The LMM form asks the same question about a shuffled image
set; its answers over the run are the rate of false positives.
"""

from collections.abc import Mapping

from autointerp.schema import Control, Details, DomainFinding, FeatureRow
from autointerp.scoring.case import Case, Outcome, Population, Scorer
from autointerp.statistics.exact import hypergeometric_tail
from autointerp.statistics.lift import lift_of
from autointerp.statistics.rates import Interval, wilson

NAME = "relevance"
RELEVANT = 0.95
"""The share of carriers among the images that fire a feature from which the label form calls it relevant."""


async def relevance(case: Case) -> Outcome:
    """Gives 1 or 0 by the LMM form where there was a second pass, else the share of the label form."""
    row, said = case.feature.row, case.explanation
    label = label_form(row, case.population)
    if said.domain is not None:
        details = {"form": "lmm", "category": said.domain.category, "text": said.domain.text, **label}
        found = float(said.domain.found)
        # One yes or no: a single feature has no interval narrower than everything; the run's share has one.
        interval = Interval(found, 0.0, 1.0)
        return case.scored(NAME, interval, len(said.images), details, _shuffled(said.shuffled))
    if row.n_active == 0:
        return case.unscored(NAME, "it fires on no image")
    if row.n_active_attribute is None:
        return case.unscored(
            NAME, "the run has no second pass (--domain) and the dump does not count the attribute for it"
        )
    share = wilson(row.n_active_attribute, row.n_active)
    base = case.population.base_rate
    controls = {"base_rate": Control(value=base)} if base is not None else {}
    return case.scored(NAME, share, row.n_active, {"form": "label", **label}, controls)


def _shuffled(finding: DomainFinding | None) -> Mapping[str, Control]:
    return {} if finding is None else {"shuffled": Control(value=float(finding.found), n=1)}


def label_form(row: FeatureRow, population: Population) -> Details:
    """Computes the label form's figures: none without counts, and no effect where the base rate is not known.

    `established` asks more than the published rule: that even the lower Wilson bound is at 95 %, which takes 73
    carriers of 73. Where the base rate is estimated, test and interval take it for that of a uniform draw which knows
    it as well.
    """
    if row.n_active_attribute is None or row.n_active == 0:
        return {}
    k, n, base = row.n_active_attribute, row.n_active, population.base_rate
    share = wilson(k, n)
    out: Details = {
        "label_share": share.value,
        "label_low": share.low,
        "label_high": share.high,
        "label_relevant": share.value >= RELEVANT,
        "established": share.low >= RELEVANT,
        "label_base_rate": base,
    }
    if base is None:
        return out
    if (others := population.known_from) is not None:
        p = hypergeometric_tail(k, n, k + round(base * others), n + others)
        found = lift_of(k, n, base, others=others, overlap=0.0) if base else None
    else:
        others = population.n_images - n
        carriers = min(max(round(base * population.n_images), k), k + others)
        p = hypergeometric_tail(k, n, carriers, population.n_images)
        rate, overlap = carriers / population.n_images, n / population.n_images
        found = lift_of(k, n, rate, others=others, overlap=overlap) if carriers else None
    out |= {"base_rate_exact": population.exact, "p_fisher": p}
    return out | ({"lift": found.value, "lift_low": found.low, "lift_high": found.high} if found else {})


RELEVANCE = Scorer(NAME, relevance, reads_text=False, sides="none")
