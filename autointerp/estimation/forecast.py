"""What explaining will ask and what that takes, before anything is sent."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from autointerp.dump.reader import Dump
from autointerp.errors import PromptError, SettingsError
from autointerp.explanation.explainer import Explainer
from autointerp.job import images_of, only
from autointerp.lmm.budget import Ledger
from autointerp.lmm.prices import Price, cost
from autointerp.prompts import domain_names, load_prompt
from autointerp.runs.index import Ints
from autointerp.schema import Feature
from autointerp.session.gateway import estimate, find_price
from autointerp.settings import Budget, ExplainSettings, ModelSettings

if TYPE_CHECKING:
    from autointerp.explanation.sampler import Sampler

N_MEASURED = 40
"""Features whose requests are built; the others are taken to be like them."""


def make_explainer(dump: Dump, model: ModelSettings, settings: ExplainSettings, prompts: Path | None) -> Explainer:
    """Loads the templates and makes the explainer.

    Raises:
        PromptError: a template is missing or broken.
        SettingsError: no image would be shown.
    """
    if settings.n_top + settings.n_bands == 0:
        raise SettingsError("--top 0 with --bands 0: no active image would be shown; raise one of them")
    domain = None
    if settings.domain is not None:
        names = domain_names(prompts)
        if settings.domain not in names:
            raise PromptError(f"--domain {settings.domain}: no such domain; there is {', '.join(names)}")
        domain = load_prompt(f"domains/{settings.domain}", prompts)
    grid = dump.info.patch_grid
    return Explainer(model, settings, load_prompt("explain", prompts), domain, grid, dump.info.active_above)


def measured_features(dump: Dump, ids: Ints, seed: int) -> Sequence[Feature]:
    """Returns at most `N_MEASURED` of the features, drawn by seed."""
    drawn = np.random.default_rng(seed).choice(ids, min(N_MEASURED, len(ids)), replace=False)
    return list(dump.features(only(np.sort(drawn))))


def forecast(
    dump: Dump,
    explainer: "Explainer | Sampler",
    ids: Ints,
    budget: Budget,
    prices: Path | None,
    more_base_urls: tuple[str, ...] = (),
) -> str:
    """Says in one line what explaining these features is expected to take, and how far the budget goes.

    Raises:
        SettingsError: the price file cannot be read.
    """
    asked = [explainer.model] if isinstance(explainer, Explainer) else [explainer.model, explainer.judge.model]
    priced: dict[str, Price | None] = {m.model: find_price(m, prices, more_base_urls) for m in asked}
    Ledger(budget, priced)  # refuses dollars where a price is not known
    features = measured_features(dump, ids, explainer.settings.seed)
    used = 0.0
    for feature in features:
        for request in explainer.requests(feature, images_of(dump, feature)):
            tokens, price = estimate(request), priced[request.model]
            in_dollars = cost(price, tokens.input_tokens, tokens.output_tokens, 0) if price else 0.0
            used += in_dollars if budget.unit == "usd" else sum(tokens)
    each = used / len(features)
    total = f"${each * len(ids):,.2f}" if budget.unit == "usd" else f"{each * len(ids):,.0f} tokens"
    enough = each * len(ids) <= budget.limit
    far = "covers them" if enough else f"covers about {int(budget.limit / each):,} of them"
    return f"estimated: {total} for {len(ids):,} features; the budget of {budget} {far}"
