"""`autointerp status`: how far a run is and what its scores are so far."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from autointerp.commands.status import Status
from autointerp.job import Progress
from autointerp.jobs.batch.plan import FOLDER as BATCH
from autointerp.record import Record
from autointerp.remote.path import as_path
from autointerp.runs.figure_files import UnusableFiguresError, explanation_figures, score_figures
from autointerp.runs.figures import NO_SCORES, Rows, ScoreFigures, last, usage_of
from autointerp.runs.judgings import beside, judged_by
from autointerp.runs.parts import open_with_parts, places
from autointerp.schema import Score, Usage
from autointerp.scoring.control_tests import CAREFUL, CONTROLS, SCORER, Separation, headline, tested
from autointerp.scoring.fdr import LEVEL, discovered, false_positives
from autointerp.scoring.random_weights_control import random_scores
from autointerp.shards.remote_runs import read_run
from autointerp.statistics.rates import mean_interval
from autointerp.unexplainable import UNEXPLAINABLE

EMBEDDING = "embedding"
"""The one scorer whose values, mean cosines, may be below 0."""


class ScorerStatus(Record):
    """One scorer over all features."""

    scorer: str
    n: int
    """Features scored."""
    unscored: int
    mean: float | None
    """None where nothing is scored yet."""
    low: float | None
    high: float | None
    """95 % interval of the mean over features."""
    undetermined: int = 0
    """Of the features scored, those whose interval is too wide to say anything."""
    mean_determined: float | None = None
    """The mean over the others; None where there are none."""


class RunStatus(Record):
    """Describes a run in numbers."""

    run: str
    dump: str
    explainer: str
    judge: str | None
    """Whose scores these are."""
    others: str | None = None
    """Whose scores the run has as well, in a sentence; None where there are no others."""
    explained: int
    none: int
    """Of them, without a common property."""
    mixed: int
    pending: dict[str, int]
    """Features that failed and have not succeeded since, by `stage: kind`."""
    unexplainable: dict[str, int]
    """Features that can never be explained, by why; no run asks about them again."""
    unmerged: int
    """Parts of shards that `autointerp merge` has not joined yet; the figures count what is in them."""
    batch: bool
    """Whether commands were recorded for batch jobs: `autointerp batch status` tells of them."""
    headline: str | None
    """Whether the controls separate; None where nothing is scored."""
    controls: tuple[Separation, ...]
    scorers: tuple[ScorerStatus, ...]
    associated: str | None
    """Relevance over the run: features that carry the attribute more often than chance; None where not tested."""
    shuffled: str | None
    """How often the second pass finds an error, beside how often in shuffled sets; None where there were none."""
    several: str | None
    """Features that keep several explanations, and how collapsed the candidates were; None where none were sampled."""
    usage: Usage
    """Of all explanations and scores, answers from the cache included."""


def status_of(run: str | Path, judge: str | None = None) -> RunStatus:
    """Reads a run folder and its shards, merged or not, which may be in the middle of being written.

    Args:
        run: the folder.
        judge: whose scores are told of, as `--judge` names it; the first one's by default.

    Raises:
        RunError: not a run folder, or a broken line in it.
        SettingsError: nobody of this name scored it.
    """
    opened = judged_by(open_with_parts(run), judge)
    info, whole = opened.info, explanation_figures(opened.folders)
    explained, everything = last(whole), score_figures(opened.folders)
    scores = everything.of_judging(opened.judging)
    seed = opened.stage.settings.seed if opened.stage else 0
    by_scorer = {name.partition("@")[0]: own for name, own in scores.by_name() if len(own.rows)}
    controls = _separations(by_scorer.get(SCORER, NO_SCORES), random_scores(opened), seed)
    through = {"explain": explained["feature"]} | {name: own.rows["feature"] for name, own in by_scorer.items()}
    failures = opened.open_failures(lambda stage: set(through.get(stage, np.zeros(0)).tolist()))
    return RunStatus(
        run=str(opened.path),
        dump=info.dump.name,
        explainer=info.explain.model.model,
        judge=opened.stage.judge.model if opened.stage else None,
        others=beside(opened),
        explained=len(explained),
        none=int(explained["none"].sum()),
        mixed=int(explained["mixed"].sum()),
        pending=dict(Counter(f"{f.stage}: {f.kind}" for f in failures if f.kind != UNEXPLAINABLE)),
        unexplainable=dict(Counter({f.feature: f.message for f in failures if f.kind == UNEXPLAINABLE}.values())),
        unmerged=len(places(opened.path)),
        batch=(opened.path / BATCH).is_dir(),
        headline=headline(controls),
        controls=controls,
        scorers=tuple(_scorer(name, last(own.rows)) for name, own in sorted(by_scorer.items())),
        associated=_associated(scores),
        shuffled=_shuffled(scores),
        several=_several(explained[explained["sampled"]]),
        usage=usage_of(whole) + usage_of(everything.rows),
    )


def _separations(detection: ScoreFigures, random: Iterable[Score], seed: int) -> tuple[Separation, ...]:
    """Tests the controls of the run's own scores."""
    found = detection.where(detection.rows["scored"]).last()
    careful = found.column(CAREFUL)
    own = np.where(np.isnan(careful), found.column("value"), careful)
    return tested(own, {name: found.column(name) for name in CONTROLS}, random, seed=seed)


def _associated(scores: ScoreFigures) -> str | None:
    own = last(scores.rows[~np.isnan(scores.rows["p_fisher"])])
    if not len(own):
        return None
    n = len(discovered(own["feature"], own["p_fisher"], level=LEVEL).discovered)
    return f"{n:,} of {len(own):,} features carry the attribute more often, at a false discovery rate of 5 %"


def _shuffled(scores: ScoreFigures) -> str | None:
    asked = scores.where(scores.rows["lmm"])
    own, sets = asked.last(), asked.where(~np.isnan(asked.column("shuffled"))).last()
    if not len(sets.rows):
        return None
    found, mixed = (int(np.sum(column == 1)) for column in (own.column("value"), sets.column("shuffled")))
    rate = false_positives(found, len(own.rows), mixed, len(sets.rows))
    own_share, shuffled = rate.found, rate.shuffled
    return (
        f"an error found in {own_share.value:.3f} [{own_share.low:.3f}, {own_share.high:.3f}] of {rate.n:,} features, "
        f"in {shuffled.value:.3f} [{shuffled.low:.3f}, {shuffled.high:.3f}] of {rate.n_shuffled:,} shuffled sets "
        f"(p = {rate.p:.2g})"
    )


def _several(sampled: Rows) -> str | None:
    if not len(sampled):
        return None
    known = sampled["collapse"][~np.isnan(sampled["collapse"])]
    mean = f"; mean collapse index {known.mean():.3f} over {len(known):,}" if len(known) else ""
    return f"{int(sampled['several'].sum()):,} of {len(sampled):,} features keep several explanations{mean}"


def _scorer(name: str, rows: Rows) -> ScorerStatus:
    """Of a scorer, of which each feature has one row."""
    scored = rows[rows["scored"]]
    unscored = len(rows) - len(scored)
    if not len(scored):
        return ScorerStatus(scorer=name, n=0, unscored=unscored, mean=None, low=None, high=None)
    mean = mean_interval(scored["value"], (-1.0 if name == EMBEDDING else 0.0, 1.0))
    told = scored["value"][~scored["undetermined"]]
    return ScorerStatus(
        scorer=name,
        n=len(scored),
        unscored=unscored,
        mean=mean.value,
        low=mean.low,
        high=mean.high,
        undetermined=len(scored) - len(told),
        mean_determined=float(told.mean()) if len(told) else None,
    )


def run(settings: Status, *, progress: Progress | None = None) -> RunStatus:
    """Reads a run, which may be in the middle of being written.

    Raises:
        RunError: not a run folder, or a broken line in it.
    """
    try:
        return _read(settings, figures=True)
    except UnusableFiguresError:
        return _read(settings, figures=False)


def _read(settings: Status, *, figures: bool) -> RunStatus:
    with read_run(settings.run, exchanges=False, figures=figures) as folder:
        return status_of(folder, settings.judge).model_copy(update={"run": str(as_path(settings.run))})
