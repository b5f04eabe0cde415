"""`autointerp estimate`: tokens and dollars of the planned requests, by model, before anything is sent."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from autointerp.commands.estimate import Estimate
from autointerp.dump.reader import open_dump
from autointerp.errors import SettingsError
from autointerp.estimation.cost_levers import Plan, levers
from autointerp.estimation.dry_run import Part, Question, Questions, Rehearsal
from autointerp.estimation.forecast import measured_features
from autointerp.estimation.forward_passes import forward_passes, painted_regions
from autointerp.explanation.explainer import EDITED
from autointerp.job import Progress, choose
from autointerp.lmm.image_tokens import image_tokens
from autointerp.lmm.prices import Price, batch_multiplier, cost
from autointerp.record import Record
from autointerp.scoring.scorer_list import SCORERS
from autointerp.scoring.settings_checks import named_scorers, refuse_pictures, refuse_too_few
from autointerp.session.gateway import find_price
from autointerp.session.pictures import find_picture_price, picture_dollars, said_of_pictures
from autointerp.settings import ExplainSettings, ModelName, ModelSettings, PictureSettings, ScoreSettings

MODELS = ("gpt-5-mini", "gpt-6-luna", "gpt-4.1-mini", "claude-haiku-5.5", "gemini-2.5-flash-lite", "qwen3-vl-30b-a3b")
"""Shown where no model is named."""


class Amount(Record):
    """States what some questions take."""

    requests: float
    input_tokens: float
    output_tokens: float
    dollars: float | None
    """None where the price is not known: state it with --prices."""


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
    most: Amount | None = None
    """With an interval to reach: the same where no feature reaches it before its calls or images end; the figures above
    are for explanations that are right."""


class Alternative(Record):
    """The plan, or what differs from it in one thing, for one model."""

    model: str
    name: str
    options: str
    """How to ask for it, the command first where it is one command's; empty for the plan and for batch jobs."""
    a_feature: Amount
    most: Amount | None
    """A feature, where the interval to reach decides; `a_feature` is then the least."""
    relative: float | None
    """Dollars as a multiple of the plan's; tokens where there is no price, or none to pay; None for nothing at all."""


class Forecast(Record):
    """What a job would take."""

    features: int
    measured: int
    """Features whose requests were built for this."""
    models: tuple[ModelEstimate, ...]
    passes: int = 0
    """Pictures that the network that made the dump would be shown, at most: forward passes of its backbone."""
    pictures: str = ""
    """How many pictures an image model would make at most, and what they cost, in words; empty where none are made."""
    picture_dollars: float | None = None
    """What these cost; None where the price is not known, or none are made."""
    picture_batch_dollars: float | None = None
    """The same by a batch job."""
    painted: int = 0
    """Regions that an image model would paint anew for contrast, at most."""
    painting_dollars: float | None = 0.0
    """What that would cost, at most; None where the price is not known."""
    painting_batch_dollars: float | None = 0.0
    """The same by a batch job."""
    alternatives: tuple[Alternative, ...] = ()
    """For each of the models asked about: the plan first, then what differs from it in one lever."""


def estimate_plan(o: Estimate, models: Sequence[str], alternatives_of: Sequence[str]) -> Forecast:
    """Builds the requests of a sample of the chosen features, explaining and scoring, and adds them up for each model.

    Args:
        o: the settings of the command.
        models: names as an endpoint knows them.
        alternatives_of: models for which the alternatives to the plan are worked out too.

    Raises:
        AutointerpError: something that you can mend; the message says how.
    """
    explain, score = pictures_where_made(o.explain, o.score)
    plan = Plan(explain, score if o.scoring else None, o.detail)
    if plan.score is not None:
        refuse_too_few(names := named_scorers(plan.score), plan.score)
        refuse_pictures(names, plan.score)
    with open_dump(o.dump, allow_outside=o.allow_outside) as opened:
        chosen = choose(opened, o.features, width=o.width, sample=o.sample, seed=o.seed)
        if not len(chosen):
            raise SettingsError("no feature is left to estimate; name others with --features")
        rehearsal = Rehearsal(opened, measured_features(opened, chosen, o.seed), o.prompts)
        sums = Sums(rehearsal, len(chosen), o.prices, o.base_url)
        made, asked = plan.score.pictures if plan.score is not None else None, 0
        if made is not None:
            # One set for each explanation, which serves as a control of others too, and one for the text of no feature.
            asked = made.n * (len(chosen) + 1)
        price = None if made is None else find_picture_price(made, o.prices)
        passes = len(chosen) * forward_passes(opened, rehearsal.features, plan.explain, plan.score)
        painted, painting = sums.painting(plan.explain)
        return Forecast(
            features=len(chosen),
            measured=len(rehearsal.features),
            models=tuple(sums.of_model(name, plan) for name in models),
            # Pictures that fire their feature are run a second time, for the heat map.
            passes=round(passes) + asked + (0 if made is None else made.n * len(chosen)),
            pictures="" if made is None else said_of_pictures(asked, made, price),
            picture_dollars=picture_dollars(asked, price),
            picture_batch_dollars=None if made is None else _by_batch(picture_dollars(asked, price), made),
            painted=painted,
            painting_dollars=painting,
            painting_batch_dollars=_by_batch(painting, plan.explain.pictures),
            alternatives=tuple(a for name in alternatives_of for a in sums.alternatives(name, plan)),
        )


def pictures_where_made(explain: ExplainSettings, score: ScoreSettings) -> tuple[ExplainSettings, ScoreSettings]:
    """The settings of both stages, which one image model was named for, with it where pictures are made alone."""
    if explain.contrast_kind != EDITED:
        explain = explain.model_copy(update={"pictures": None})
    if not any(s.needs_pictures for name, s in SCORERS.items() if name in score.scorers):
        score = score.model_copy(update={"pictures": None})
    return explain, score


@dataclass(frozen=True)
class Sums:
    """Adds up rehearsed questions for each model."""

    rehearsal: Rehearsal
    n: int
    """Features."""
    prices: Path | None
    base_url: str | None

    def of_model(self, name: str, plan: Plan) -> ModelEstimate:
        """The whole job with one model."""
        price, asked = self._price(name), self._asked(plan, convinced=True)
        each = self._a_feature(name, plan, asked, price)
        most = self._most(name, plan, price)
        n, multiplier = self.n, batch_multiplier(name)
        in_images, exact = self._images(name, plan, asked)
        return ModelEstimate(
            model=name,
            requests=round(each.requests * n),
            input_tokens=round(each.input_tokens * n),
            output_tokens=round(each.output_tokens * n),
            image_share=in_images / each.input_tokens if each.input_tokens else 0.0,
            dollars=None if each.dollars is None else each.dollars * n,
            batch_dollars=None if each.dollars is None else each.dollars * n * multiplier,
            price_source=price.source if price else None,
            exact_image_rule=exact,
            most=_times(most, n) if most else None,
        )

    def painting(self, explain: ExplainSettings) -> tuple[int, float | None]:
        """How many regions would be painted anew at most, and what they cost; None where the price is not known."""
        if explain.pictures is None:
            return 0, 0.0
        n = round(self.n * painted_regions(self.rehearsal.dump, self.rehearsal.features, explain))
        return n, picture_dollars(n, find_picture_price(explain.pictures, self.prices))

    def alternatives(self, name: str, plan: Plan) -> list[Alternative]:
        """The plan, and what differs from it in one lever."""
        price = self._price(name)
        out: list[Alternative] = []
        for lever in levers(plan):
            paid = price.times(batch_multiplier(name)) if price and lever.batch else price
            each = self._a_feature(name, lever.plan, self._asked(lever.plan, convinced=True), paid)
            most = self._most(name, lever.plan, paid)
            relative = _relative(each, out[0].a_feature if out else each)
            out.append(
                Alternative(
                    model=name, name=lever.name, options=lever.options, a_feature=each, most=most, relative=relative
                )
            )
        return out

    def _price(self, name: str) -> Price | None:
        return find_price(ModelSettings(model=ModelName(name), base_url=self.base_url), self.prices)

    def _asked(self, plan: Plan, *, convinced: bool) -> Questions:
        asked = self.rehearsal.explaining(plan.explain)
        if plan.score is None:
            return asked
        return asked + self.rehearsal.scoring(plan.explain, plan.score, convinced=convinced)

    def _most(self, name: str, plan: Plan, price: Price | None) -> Amount | None:
        if plan.score is None or plan.score.interval is None:
            return None
        return self._a_feature(name, plan, self._asked(plan, convinced=False), price)

    def _share(self, part: Part, plan: Plan) -> float:
        if part == "shuffled":
            return min(plan.explain.n_shuffled, self.n) / self.n
        if part == "control" and plan.score is not None:
            return min(plan.score.n_controls, self.n) / self.n
        return 1.0

    def _a_feature(self, name: str, plan: Plan, asked: Questions, price: Price | None) -> Amount:
        requests = tokens_in = tokens_out = dollars = 0.0
        for question, times in asked.items():
            often = times * self._share(question.part, plan) / len(self.rehearsal.features)
            whole = question.words + sum(t for t, _ in _images_of(name, plan, question))
            requests += often
            tokens_in += often * whole
            tokens_out += often * question.output
            dollars += often * cost(price, whole, question.output, 0) if price else 0.0
        return Amount(
            requests=requests,
            input_tokens=tokens_in,
            output_tokens=tokens_out,
            dollars=dollars if price else None,
        )

    def _images(self, name: str, plan: Plan, asked: Questions) -> tuple[float, bool]:
        """Tokens a feature that are images, and whether the rule by which they count is known."""
        total, exact = 0.0, True
        for question, times in asked.items():
            found = _images_of(name, plan, question)
            share = self._share(question.part, plan)
            total += times * share * sum(t for t, _ in found) / len(self.rehearsal.features)
            exact = exact and all(e for _, e in found)
        return total, exact


def _by_batch(dollars: float | None, made: PictureSettings | None) -> float | None:
    """What pictures cost by a batch job."""
    return dollars if dollars is None or made is None else dollars * batch_multiplier(made.model)


def _images_of(model: str, plan: Plan, question: Question) -> list[tuple[int, bool]]:
    detail = "high" if plan.detail == "auto" else plan.detail
    counted = [image_tokens(model, *size, detail) for size in question.pictures]
    return [(c.tokens, c.exact) for c in counted]


def _times(amount: Amount, n: int) -> Amount:
    return Amount(
        requests=amount.requests * n,
        input_tokens=amount.input_tokens * n,
        output_tokens=amount.output_tokens * n,
        dollars=None if amount.dollars is None else amount.dollars * n,
    )


def _relative(each: Amount, plan: Amount) -> float | None:
    if each.dollars is not None and plan.dollars:
        return each.dollars / plan.dollars
    tokens = plan.input_tokens + plan.output_tokens
    return (each.input_tokens + each.output_tokens) / tokens if tokens else None


def run(settings: Estimate, *, progress: Progress | None = None) -> Forecast:
    """Builds the requests of a sample of the chosen features and adds them up for each model."""
    if settings.models is not None and not settings.models:
        raise SettingsError("--models: no model is named; leave it out for some well-known ones")
    names = settings.models or MODELS
    return estimate_plan(settings, names, names if settings.models else names[:1])
