"""What explaining will ask and what that takes, before anything is sent."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from autointerp.dump.reader import Dump
from autointerp.errors import PromptError, SettingsError
from autointerp.explanation.explainer import EDITED, Explainer
from autointerp.job import images_of, only
from autointerp.lmm.budget import Ledger
from autointerp.lmm.prices import Price, cost
from autointerp.prompts import domain_names, load_prompt
from autointerp.runs.index import Ints
from autointerp.schema import Feature
from autointerp.session.gateway import estimate, find_price
from autointerp.settings import PIPELINE, Budget, ExplainSettings, ModelSettings

if TYPE_CHECKING:
    from autointerp.explanation.sampler import Sampler

N_MEASURED = 40
"""Features whose requests are built; the others are taken to be like them."""


def make_explainer(dump: Dump, model: ModelSettings, settings: ExplainSettings, prompts: Path | None) -> Explainer:
    """Loads the templates and makes the explainer.

    Raises:
        PromptError: a template is missing or broken.
        SettingsError: no image would be shown, or the explainer is to be steered.
    """
    if settings.steer is not None:
        raise SettingsError("--steer: only `explain` steers; leave it out")
    if settings.n_top + settings.n_bands == 0:
        raise SettingsError("--top 0 with --bands 0: no active image would be shown; raise one of them")
    _check_contrast(settings)
    domain = None
    if settings.domain is not None:
        names = domain_names(prompts)
        if settings.domain not in names:
            raise PromptError(f"--domain {settings.domain}: no such domain; there is {', '.join(names)}")
        domain = load_prompt(f"domains/{settings.domain}", prompts)
    grid = dump.info.patch_grid
    template = load_prompt("explain" if settings.contrast_kind == "silent" else "explain-pairs", prompts)
    edit = load_prompt("edit", prompts) if settings.contrast_kind == EDITED else None
    return Explainer(model, settings, template, domain, grid, dump.info.active_above, edit=edit)


def _check_contrast(settings: ExplainSettings) -> None:
    kind, pictures = settings.contrast_kind, settings.pictures
    if kind != "silent" and not settings.n_contrast:
        raise SettingsError(f"--contrast-kind {kind} with --contrast 0: no contrast would be shown; raise the latter")
    if kind == EDITED and pictures is None:
        raise SettingsError(
            f"--contrast-kind {kind}: name who paints regions anew with --image-model, and the server with "
            "--image-base-url"
        )
    if kind != EDITED and pictures is not None:
        raise SettingsError("--image-model: nothing is painted; add --contrast-kind edited")
    if pictures is not None and pictures.model.startswith(PIPELINE):
        raise SettingsError(f"--image-model {pictures.model}: paints no region anew; name a model of an Images API")


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
