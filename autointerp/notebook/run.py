"""A run as a notebook shows it: how it was made, how far it is, and its first features."""

from autointerp.errors import RunError
from autointerp.notebook.html import MOST_LISTED, escaped, facts, framed, heading, table
from autointerp.notebook.records import interval, said_of
from autointerp.runs.folder import Run
from autointerp.runs.index import ScoreIndex, holds
from autointerp.runs.judgings import beside, label_of
from autointerp.schema import Scored

MOST_SCORERS = 8


def of_run(run: Run) -> str:
    """Makes the HTML of a run."""
    info = run.info
    about = {
        "dump": info.dump.name,
        "explainer": info.explain.model.model,
        "judge": label_of(run),
        "scores": beside(run),
        "made": f"{info.created}, version {info.version}",
    }
    try:
        shown = _features(run)
    except RunError as e:
        shown = f"<div>{escaped(e)}</div>"
    return framed(heading(f"Run {run.path.name}", run.path), facts(about), shown)


def _features(run: Run) -> str:
    """The first features that are explained, with their scores; only their lines are read."""
    index, scores = run.index(), ScoreIndex(run.path / "scores.jsonl", run.judging)
    first, scorers = index.features[:MOST_LISTED], scores.scorers[:MOST_SCORERS]
    values: dict[tuple[int, str], str] = {}
    for scorer in scorers:
        known = scores.features(scorer)
        chosen = first[[holds(known, feature) for feature in first.tolist()]]
        for s in scores.scores(scorer, chosen):
            values[s.feature, scorer] = interval(s) if isinstance(s, Scored) else f"not scored: {s.reason}"
    headings = ("feature", "explanation", *(f"{s} ({len(scores.features(s)):,})" for s in scorers))
    rows = [(f, said_of(index[f]), *(values.get((f, s), "") for s in scorers)) for f in first.tolist()]
    left = len(index.features) - len(first)
    more = f"<div>and {left:,} more: explanations_table(), scores_table()</div>" if left else ""
    counted = f"<div>{len(index.features):,} explained</div>"
    return counted + table(headings, rows) + more
