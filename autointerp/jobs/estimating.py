"""`autointerp estimate`: tokens and dollars of the planned requests, by model, before anything is sent."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from autointerp.config import ExplainSettings, ModelSettings, ScoreSettings
from autointerp.dump.reader import Dump, open_dump
from autointerp.errors import SettingsError
from autointerp.evidence import draw_shown
from autointerp.explainer import Explainer
from autointerp.images.render import picture_size
from autointerp.jobs.common import choose, images_of
from autointerp.jobs.planning import make_explainer, measured_features
from autointerp.lmm.image_tokens import image_tokens
from autointerp.lmm.prices import batch_multiplier, cost
from autointerp.lmm.request import Request
from autointerp.prompts import load_prompt
from autointerp.remote.path import Location
from autointerp.schema import Explanation, Feature, Record, Usage
from autointerp.scoring.controls import N_RIVALS
from autointerp.scoring.judge import Judge
from autointerp.scoring.sampling import draw_sample
from autointerp.session import estimate as estimate_tokens
from autointerp.session import find_price

MODELS = ("gpt-5-mini", "gpt-6-luna", "gpt-4.1-mini", "claude-haiku-5.5", "gemini-2.5-flash-lite", "qwen3-vl-30b-a3b")
"""Shown where no model is named."""
STAND_IN = "a stand-in of usual length for an explanation that is not written yet, fifteen words"


class ModelEstimate(Record):
    """What the job would take with one model."""

    model: str
    requests: int
    input_tokens: int
    output_tokens: int
    image_share: float
    """Part of the input tokens that are images, 0 to 1."""
    dollars: float | None
    """None where the price is not known: state it with --prices."""
    batch_dollars: float | None
    """The same as a batch job."""
    price_source: str | None
    exact_image_rule: bool
    """Whether the family's own rule for image tokens is known."""


class Estimate(Record):
    """What a job would take."""

    features: int
    measured: int
    """Features whose requests were built for this."""
    models: tuple[ModelEstimate, ...]


def estimate(
    dump: Location,
    *,
    models: Sequence[str] = MODELS,
    features: str | Iterable[int] = "all",
    width: int | None = None,
    sample: int | None = None,
    seed: int = 0,
    settings: ExplainSettings | None = None,
    scoring: ScoreSettings | None = None,
    prompts: Path | None = None,
    prices: Path | None = None,
    base_url: str | None = None,
    score: bool = True,
    allow_outside: bool = False,
) -> Estimate:
    """Builds the requests of a sample of the chosen features, explaining and scoring, and adds them up for each model.

    Args:
        dump: folder of the feature dump.
        models: names as an endpoint knows them.
        features: as for `explain`, like `width`, `sample` and `seed`.
        width: only this nested prefix.
        sample: only this many.
        seed: of the draw.
        settings: of explaining.
        scoring: of scoring.
        prompts: your own templates.
        prices: your own price file.
        base_url: of the server, since one of your own costs nothing.
        score: whether scoring is counted, or explaining alone.
        allow_outside: as for `explain`.

    Raises:
        AutointerpError: something that you can mend; the message says how.
    """
    with open_dump(dump, allow_outside=allow_outside) as opened:
        chosen = choose(opened, features, width=width, sample=sample, seed=seed)
        if not len(chosen):
            raise SettingsError("no feature is left to estimate; name others with --features")
        evidence = measured_features(opened, chosen, seed)
        out: list[ModelEstimate] = []
        for name in models:
            model = ModelSettings(model=name, base_url=base_url, seed=seed)
            explainer = make_explainer(opened, model, settings or ExplainSettings(seed=seed), prompts)
            judge = Judge(model, scoring or ScoreSettings(seed=seed), load_prompt("judge", prompts))
            requests = [r for f in evidence for r in _planned(opened, f, explainer, judge if score else None)]
            out.append(_add_up(model, requests, len(evidence), len(chosen), judge.settings, prices))
    return Estimate(features=len(chosen), measured=len(evidence), models=tuple(out))


def _planned(dump: Dump, feature: Feature, explainer: Explainer, judge: Judge | None) -> list[Request]:
    images = images_of(dump, feature)
    if judge is None:
        return list(explainer.requests(feature, images))
    shown = draw_shown(feature, images, explainer.settings)
    stand_in = Explanation(
        feature=feature.id,
        text=STAND_IN,
        concepts=(),
        none=False,
        model=explainer.model.model,
        prompt="",
        images=tuple(e.image for e in shown.active),
        contrast=tuple(e.image for e in shown.contrast),
        usage=Usage(),
        created="",
    )
    sample = draw_sample(
        feature, stand_in, images, judge.settings, grid=dump.info.patch_grid, n_images=dump.info.n_images
    )
    enough = len(sample.active) >= judge.settings.min_active
    return [*explainer.requests(feature, images), *(judge.requests(STAND_IN, sample) if enough else [])]


def _add_up(
    model: ModelSettings,
    requests: Sequence[Request],
    n_measured: int,
    n_features: int,
    scoring: ScoreSettings,
    prices: Path | None,
) -> ModelEstimate:
    price = find_price(model, prices)
    # Of the controlled features every judgement is asked again under each explanation that should lose.
    again = 1 + N_RIVALS * min(scoring.n_controls, n_features) / n_features
    calls = tokens_in = tokens_out = in_images = dollars = 0.0
    exact = True
    for request in requests:
        used, times = estimate_tokens(request), again if request.task == "judge" else 1.0
        calls += times
        tokens_in += times * used.input_tokens
        tokens_out += times * used.output_tokens
        dollars += times * cost(price, used.input_tokens, used.output_tokens, 0) if price else 0.0
        images = [image_tokens(model.model, *picture_size(p)) for p in request.pictures]
        in_images += times * sum(i.tokens for i in images)
        exact = exact and all(i.exact for i in images)
    scale = n_features / n_measured
    total = dollars * scale if price else None
    return ModelEstimate(
        model=model.model,
        requests=round(calls * scale),
        input_tokens=round(tokens_in * scale),
        output_tokens=round(tokens_out * scale),
        image_share=in_images / tokens_in if tokens_in else 0.0,
        dollars=total,
        batch_dollars=total * batch_multiplier(model.model) if total is not None else None,
        price_source=price.source if price else None,
        exact_image_rule=exact,
    )
