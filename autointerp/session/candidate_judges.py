"""Puts together what explaining by several candidates needs: explainer, judge, meanings, embedder."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from autointerp.dump.reader import Dump
from autointerp.errors import AutointerpError, SettingsError
from autointerp.evidence import Images
from autointerp.explanation.explainer import Explained, Explainer
from autointerp.explanation.replacement import with_readable_images
from autointerp.lmm.address import checked_url
from autointerp.lmm.gateway import Gateway
from autointerp.prompts import load_prompt
from autointerp.schema import Exemplar, Feature
from autointerp.session.gateway import resolve_model
from autointerp.settings import CandidateSettings, ExplainSettings, ModelSettings

if TYPE_CHECKING:
    from autointerp.explanation.sampler import Sampler
    from autointerp.explanation.steering import Steerer
    from autointerp.lmm.embedding import GatewayEmbedder


def asker(explainer: Explainer, dump: Dump, prompts: Path | None) -> "Explainer | Sampler":
    """Who explains: the explainer itself, or several candidates of it where the settings want them.

    Raises:
        PromptError: a template is missing or broken.
        SettingsError: the judge of candidates cannot be asked where the explainer is.
    """
    plan = explainer.settings.candidates
    if plan is None:
        return explainer
    from autointerp.explanation.candidate_scores import judging_settings
    from autointerp.explanation.meanings import Meanings
    from autointerp.explanation.sampler import Sampler
    from autointerp.scoring.cases import make_judge

    model, below = judge_of(explainer.model, plan), explainer.settings.silent_below
    judge = make_judge(model, judging_settings(plan, seed=explainer.settings.seed, silent_below=below), (), prompts)
    meanings = Meanings(model, load_prompt("same", prompts), plan, embedder=None)
    return Sampler(explainer, plan, judge, meanings, dump.info.n_images)


def judge_of(explainer: ModelSettings, plan: CandidateSettings) -> ModelSettings:
    """Who judges candidates: the explainer, or another model at its server; at temperature 0.

    Raises:
        SettingsError: one of the two is the embedded model, which has no server.
    """
    if plan.judge is None:
        return explainer.model_copy(update={"temperature": 0.0})
    if plan.judge.is_human:
        raise SettingsError(
            f"--candidate-judge {plan.judge}: candidates are judged by a model; name one, or leave it out"
        )
    if plan.judge.is_local != explainer.model.is_local:
        raise SettingsError(
            f"--candidate-judge {plan.judge}: candidates are judged at the explainer's own server, and the embedded "
            "model has none; leave it out"
        )
    name = resolve_model(explainer.of(plan.judge)).model
    return explainer.of(name).model_copy(update={"temperature": 0.0})


def embedder_of_explanations(settings: ExplainSettings) -> ModelSettings | None:
    """Who embeds explanations to tell meanings apart, the embedded model by its full name; None where nobody has to.

    Raises:
        SettingsError: the embedded model is not installed, or the address cannot be used.
    """
    plan = settings.candidates
    embedder = plan.embedder if plan is not None and plan.diverse else None
    embedder = embedder if settings.steer is None else settings.steer.embedder
    if embedder is None:
        return None
    checked_url(embedder.base_url, "--embedder-base-url")
    try:
        return resolve_model(embedder)
    except AutointerpError as e:
        option, without = (
            ("--diverse", "leave every pair of meanings to the judge")
            if settings.steer is None
            else ("--steer", "go by equal words")
        )
        raise SettingsError(
            f"{option}: {e}; or name a model of an embeddings endpoint with --embedder, or {without} with "
            "--embedder none"
        ) from e


def with_embedder(asks: "Explainer | Sampler", embedder: "GatewayEmbedder | None") -> "Explainer | Sampler":
    """The same with the embedder that is open now."""
    if isinstance(asks, Explainer):
        return asks
    return replace(asks, meanings=replace(asks.meanings, embedder=embedder))


def judges(asks: "Explainer | Sampler | Steerer") -> tuple[str, ...]:
    """Models that are asked besides the explainer."""
    if isinstance(asks, Explainer):
        return ()
    from autointerp.explanation.sampler import Sampler

    return (asks.judge.model.model,) if isinstance(asks, Sampler) else ()


async def explained(
    asks: "Explainer | Sampler | Steerer",
    feature: Feature,
    images: Images,
    gateway: Gateway,
    shuffled: tuple[Exemplar, ...],
    parents: Mapping[int, str],
) -> Explained:
    """What becomes of a feature, with the next image in the place of each that cannot be read.

    Arguments as for `Explainer.explain`.

    Raises:
        EndpointError: no request of this run can succeed.
    """

    async def ask(readable: Images, others: tuple[Exemplar, ...]) -> Explained:
        outcome = await asks.explain(feature, readable, gateway, others, parents)
        return outcome if isinstance(outcome, Explained) else Explained(outcome)

    return await with_readable_images(ask, feature, images, shuffled, asks.settings, gateway)
