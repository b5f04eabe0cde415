"""`autointerp status`: how far a run is and what its scores are so far."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from autointerp.commands.status import Status
from autointerp.job import Progress
from autointerp.jobs.batch.plan import FOLDER as BATCH
from autointerp.record import Record
from autointerp.remote.path import as_path
from autointerp.runs.folder import Run
from autointerp.runs.judgings import beside, judged_by
from autointerp.runs.parts import open_with_parts, places
from autointerp.runs.score_lines import FIGURES
from autointerp.schema import Scored, Unscored, Usage
from autointerp.scoring.control_tests import CAREFUL, Separation, headline, separations
from autointerp.scoring.fdr import discoveries, false_positive_rate
from autointerp.scoring.random_weights_control import random_scores
from autointerp.shards.remote_runs import read_run
from autointerp.statistics.rates import mean_interval
from autointerp.unexplainable import UNEXPLAINABLE

EMBEDDING = "embedding"
"""The one scorer whose values, mean cosines, may be below 0."""

SPOKEN_OF = (CAREFUL, "form", "p_fisher")
"""Details of a score that something here is told by."""
_NOTHING = {"verdicts": (), "margin": (), "parts": (), "usage": Usage(), "judge": "", "prompt": "", "created": ""}

Collapse = tuple[bool, float | None]
"""Whether a feature keeps several explanations; its collapse index."""


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
    info, usage = opened.info, Usage()
    explained: dict[int, tuple[bool, bool]] = {}
    sampled: dict[int, Collapse] = {}
    for e in opened.explanations():
        explained[e.feature] = (e.none, e.mixed)
        sampled.pop(e.feature, None)
        if e.sampled is not None:
            sampled[e.feature] = (len(e.parts) > 1, e.sampled.collapse)
        usage += e.usage
    scores, judged = _read_scores(opened)
    seed = opened.stage.settings.seed if opened.stage else 0
    controls = separations(scores, random_scores(opened), seed=seed)
    through = {"explain": explained.keys(), **_features(scores)}
    failures = opened.open_failures(lambda stage: through.get(stage, set()))
    return RunStatus(
        run=str(opened.path),
        dump=info.dump.name,
        explainer=info.explain.model.model,
        judge=opened.stage.judge.model if opened.stage else None,
        others=beside(opened),
        explained=len(explained),
        none=sum(none for none, _ in explained.values()),
        mixed=sum(mixed for _, mixed in explained.values()),
        pending=dict(Counter(f"{f.stage}: {f.kind}" for f in failures if f.kind != UNEXPLAINABLE)),
        unexplainable=dict(Counter({f.feature: f.message for f in failures if f.kind == UNEXPLAINABLE}.values())),
        unmerged=len(places(opened.path)),
        batch=(opened.path / BATCH).is_dir(),
        headline=headline(controls),
        controls=controls,
        scorers=_scorers(scores),
        associated=_associated(scores),
        shuffled=_shuffled(scores),
        several=_several(list(sampled.values())),
        usage=usage + judged,
    )


def _read_scores(run: Run) -> tuple[list[Scored | Unscored], Usage]:
    """Every score of the judging, with nothing but what `status` speaks of, and what those of all judgings used.

    A score with its verdicts takes a hundred times the memory, and some times as long to read.
    """
    usage = Usage()
    found: list[Scored | Unscored] = []
    for score in run.all_scores(FIGURES):
        if isinstance(score, Scored):
            usage += score.usage
        if score.judging != run.judging:
            continue
        if isinstance(score, Scored):
            details = {name: score.details[name] for name in SPOKEN_OF if name in score.details}
            score = score.model_copy(update={**_NOTHING, "details": details})
        found.append(score)
    return found, usage


def _features(scores: Iterable[Scored | Unscored]) -> dict[str, set[int]]:
    out: dict[str, set[int]] = {}
    for score in scores:
        out.setdefault(score.scorer, set()).add(score.feature)
    return out


def _associated(scores: Iterable[Scored | Unscored]) -> str | None:
    found = discoveries(scores)
    if not found.n_tested:
        return None
    n = len(found.discovered)
    return f"{n:,} of {found.n_tested:,} features carry the attribute more often, at a false discovery rate of 5 %"


def _shuffled(scores: Iterable[Scored | Unscored]) -> str | None:
    rate = false_positive_rate(scores)
    if rate is None:
        return None
    own, mixed = rate.found, rate.shuffled
    return (
        f"an error found in {own.value:.3f} [{own.low:.3f}, {own.high:.3f}] of {rate.n:,} features, "
        f"in {mixed.value:.3f} [{mixed.low:.3f}, {mixed.high:.3f}] of {rate.n_shuffled:,} shuffled sets "
        f"(p = {rate.p:.2g})"
    )


def _several(sampled: Sequence[Collapse]) -> str | None:
    if not sampled:
        return None
    known = [index for _, index in sampled if index is not None]
    mean = f"; mean collapse index {sum(known) / len(known):.3f} over {len(known):,}" if known else ""
    return f"{sum(several for several, _ in sampled):,} of {len(sampled):,} features keep several explanations{mean}"


def _scorers(scores: Iterable[Scored | Unscored]) -> tuple[ScorerStatus, ...]:
    found: dict[str, dict[int, Scored | None]] = {}
    for s in scores:
        found.setdefault(s.scorer, {})[s.feature] = s if isinstance(s, Scored) else None
    return tuple(_one(name, list(by_feature.values())) for name, by_feature in sorted(found.items()))


def _one(name: str, found: Sequence[Scored | None]) -> ScorerStatus:
    scored = [s for s in found if s is not None]
    unscored = len(found) - len(scored)
    if not scored:
        return ScorerStatus(scorer=name, n=0, unscored=unscored, mean=None, low=None, high=None)
    mean = mean_interval(np.array([s.value for s in scored]), (-1.0 if name == EMBEDDING else 0.0, 1.0))
    told = [s.value for s in scored if not s.undetermined]
    return ScorerStatus(
        scorer=name,
        n=len(scored),
        unscored=unscored,
        mean=mean.value,
        low=mean.low,
        high=mean.high,
        undetermined=len(scored) - len(told),
        mean_determined=float(np.mean(told)) if told else None,
    )


def run(settings: Status, *, progress: Progress | None = None) -> RunStatus:
    """Reads a run, which may be in the middle of being written.

    Raises:
        RunError: not a run folder, or a broken line in it.
    """
    with read_run(settings.run, exchanges=False) as folder:
        return status_of(folder, settings.judge).model_copy(update={"run": str(as_path(settings.run))})
