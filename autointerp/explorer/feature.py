"""The page of one feature, and what it loads when it is asked for: related features, questions and replies."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from autointerp.explorer.asked import feature_in
from autointerp.explorer.gallery import Gallery
from autointerp.explorer.html import page
from autointerp.explorer.index import Index
from autointerp.explorer.kept_exchanges import KeptExchanges
from autointerp.explorer.query import Query
from autointerp.explorer.related import related_to
from autointerp.explorer.reversing import WAIT
from autointerp.explorer.viewed import Viewed
from autointerp.explorer.votes import votes_on
from autointerp.reports.cards import SCORER, Meanings, fires_on, meanings_of
from autointerp.reports.exchanges import conversation
from autointerp.reports.image_rows import PictureRow
from autointerp.reports.labels import scorer_order
from autointerp.reports.score_details import axis_of
from autointerp.reports.strips import Strips
from autointerp.reports.summary import ScorerPlan
from autointerp.reports.two_sides import Other, both_sides, stronger
from autointerp.reports.unfired import CAUSAL, Unfired, unfired
from autointerp.runs.judgings import labels
from autointerp.runs.votes import digest_of
from autointerp.schema import Explanation, FailureRecord, FeatureRow, Score, Scored

LONGEST_TITLE = 100
"""Letters of an explanation in a page's title."""


@dataclass(frozen=True, slots=True)
class Judged:
    """Is one score, and where its judge was wrong or unsure."""

    score: Score
    judge: str
    """The judge's name, with that of the judging where the run has several of one judge."""
    rows: tuple[PictureRow, ...]


@dataclass(frozen=True, slots=True)
class Said:
    """Holds what one run says of a feature; it has the names that the report's cards have."""

    row: FeatureRow
    run: str
    """The run's name."""
    explanation: Explanation | None
    failures: tuple[FailureRecord, ...]
    judged: tuple[Judged, ...]
    meanings: Meanings | None
    seen: tuple[PictureRow, ...]
    network: tuple[PictureRow, ...]
    """What the network did on pictures made of its images; empty where it was not asked."""
    made: tuple[PictureRow, ...]
    """Pictures that were made of its explanation; empty where none were."""

    @property
    def id(self) -> int:
        """Returns the feature's number."""
        return self.row.feature

    @property
    def state(self) -> str:
        """Returns `one`, `mixed` or `none` by what the explanation says; `failed` or `unknown` where there is none."""
        if self.explanation is None:
            return "failed" if self.failures else "unknown"
        return "none" if self.explanation.none else "mixed" if self.explanation.mixed else "one"

    @property
    def unfired(self) -> Unfired | None:
        """Returns why the regions that are shown do not fire the feature by themselves; None where they do."""
        return unfired(self._by_scorer.get(CAUSAL))

    @property
    def both_sides(self) -> str | None:
        """Returns what the judge and pictures of the explanation come to together."""
        return both_sides(self._by_scorer)

    @property
    def stronger(self) -> tuple[Other, ...]:
        """Returns the other latents that fire more strongly on pictures of the explanation."""
        return stronger(self._by_scorer, lambda other: f"/feature/{other}")

    @property
    def _by_scorer(self) -> dict[str, Score]:
        return {judged.score.scorer: judged.score for judged in self.judged}

    @property
    def scores(self) -> Mapping[int, Score]:
        """Returns all scores, in the order of the page."""
        return dict(enumerate(judged.score for judged in self.judged))


def said_of(index: Index, run: str, gallery: Gallery) -> Said:
    """What a run says of the gallery's feature."""
    feature = gallery.feature
    explanation = index.explanation(feature.id)
    scores = ordered(list(index.scores(feature.id).values()))
    judges = labels(index.run.info) if index.run is not None else {}
    detection = next((s for s in scores if s.scorer == SCORER), None)
    strips, by_scorer = Strips(feature, gallery), {s.scorer: s for s in scores}
    return Said(
        row=feature.row,
        run=run,
        explanation=explanation,
        failures=index.failures(feature.id),
        judged=tuple(_judged(s, judges, gallery) for s in scores),
        meanings=meanings_of(explanation, detection),
        seen=tuple(gallery.rows.seen(explanation)),
        network=tuple(strips.rows(by_scorer)),
        made=tuple(strips.made(by_scorer)),
    )


def _judged(score: Score, judges: Mapping[str, str], gallery: Gallery) -> Judged:
    rows = tuple(gallery.judged(score)) if isinstance(score, Scored) else ()
    # Older runs may hold a judge that run.json does not name.
    label = judges.get(score.judging, "")
    return Judged(score, label if label.startswith(score.judge) else score.judge, rows)


def ordered(scores: Sequence[Score]) -> list[Score]:
    """Scores in the order of the report, those of one scorer by judge as they came."""
    rank = {scorer: i for i, scorer in enumerate(scorer_order({s.scorer for s in scores}))}
    return sorted(scores, key=lambda s: rank[s.scorer])


def plan_of(scores: Sequence[Score]) -> ScorerPlan:
    """An axis for each scorer, which holds all its values of one feature."""
    axes = {}
    for scorer in dict.fromkeys(s.scorer for s in scores):
        values = [s.value for s in scores if isinstance(s, Scored) and s.scorer == scorer]
        axes[scorer] = axis_of(scorer, max(values, default=0.0), min(values, default=0.0))
    # Parts of an explanation are drawn on the axis of the scorer that judged them, though it be gone.
    axes.setdefault(SCORER, axis_of(SCORER))
    return ScorerPlan(tuple(axes), (), None, axes)


class FeaturePages:
    """Answers requests for what is known of one feature."""

    def __init__(self, viewed: Viewed) -> None:
        self._viewed = viewed
        self._exchanges = [KeptExchanges(run) for run in viewed.runs]

    def show(self, request: Request) -> Response:
        """The page of a feature."""
        feature = feature_in(request, self._viewed)
        gallery = Gallery(self._viewed, feature)
        # Of a dump alone there is an index too, without a run.
        told = zip(self._viewed.runs, self._viewed.indices, strict=False)
        for index in self._viewed.indices:
            index.refresh()
        said = [said_of(index, run.path.resolve().name, gallery) for run, index in told]
        scores = [judged.score for one in said for judged in one.judged]
        before, after = self._viewed.listing.neighbours(feature.id, Query.of(request.query_params))
        return page(
            self._viewed,
            "feature.html.j2",
            _title(feature.id, said),
            feature=feature,
            row=feature.row,
            said=said,
            plan=plan_of(scores),
            bands=list(gallery.rows.bands()),
            fires_on=fires_on(self._viewed.dump.info, feature.row.n_active),
            votes=self._votes(said),
            query=_query(request),
            before=before,
            after=after,
        )

    def _votes(self, said: Sequence[Said]) -> list[dict[str, object]]:
        """The votes on the first run's explanation, so that the page has their room from the start."""
        text = said[0].explanation.text if said and said[0].explanation is not None else ""
        found = self._viewed.listing.row(said[0].id) if text else None
        # The index knows who voted; without it every page would read all votes.
        return votes_on(self._viewed.runs[0], found.feature, digest_of(text)) if found and found.votes else []

    def related(self, request: Request) -> Response:
        """The features that have to do with one; while what it needs is being made, a page that says so."""
        feature = feature_in(request, self._viewed)
        reverse = self._viewed.reversing.reverse(WAIT)
        return page(
            self._viewed,
            "feature_related.html.j2",
            f"Related to feature {feature.id}",
            id=feature.id,
            related=related_to(self._viewed, feature, reverse),
            share=self._viewed.reversing.share,
            query=_query(request),
        )

    def exchanges(self, request: Request) -> Response:
        """What was asked about a feature, and what came back."""
        feature = feature_in(request, self._viewed)
        kept = [exchange for exchanges in self._exchanges for exchange in exchanges.of(feature.id)]
        title = f"Questions about feature {feature.id}"
        return page(self._viewed, "feature_exchanges.html.j2", title, id=feature.id, asked=conversation(kept))


def _title(feature: int, said: Sequence[Said]) -> str:
    """What stands in the browser's tab, and where a link is kept."""
    texts = (one.explanation.text for one in said if one.explanation is not None)
    text = next((text for text in texts if text), "")
    return f"Feature {feature}" + (f": {text[:LONGEST_TITLE]}" if text else "")


def _query(request: Request) -> str:
    """The state of the list, which goes along to the features beside."""
    return f"?{request.url.query}" if request.url.query else ""


def routes(viewed: Viewed) -> list[Route]:
    """The pages of single features."""
    pages = FeaturePages(viewed)
    return [
        Route("/feature/{feature}", pages.show),
        Route("/feature/{feature}/related", pages.related),
        Route("/feature/{feature}/exchanges", pages.exchanges),
    ]
