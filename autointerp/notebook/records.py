"""Features, explanations and scores as a notebook shows them."""

from collections.abc import Sequence

from autointerp.dump.reader import Dump
from autointerp.notebook.html import MOST_LISTED, Thumbnail, escaped, facts, framed, heading, listed, strip, table
from autointerp.notebook.thumbnails import thumbnails
from autointerp.schema import Explanation, Feature, PartScore, Scored, Unscored

N_ACTIVE, N_SILENT = 8, 4
"""Pictures of a feature at most: the strongest, and some on which it is silent."""


def interval(score: Scored | PartScore) -> str:
    """The value and its interval."""
    return f"{score.value:.2f} [{score.low:.2f}, {score.high:.2f}]"


def said_of(explanation: Explanation) -> str:
    """The text, or that there is none."""
    return "no common property" if explanation.none else explanation.text


def of_explanation(e: Explanation) -> str:
    """An explanation: the text, and how it came about."""
    about = {
        "explanations of their own": listed(e.parts),
        "concepts": listed(e.concepts),
        "looks alike, but does not fire it": e.lookalikes,
        "images shown": f"{len(e.images)} active, {len(e.contrast)} silent" if e.images else "",
        e.domain.domain if e.domain else "": e.domain.text or "nothing found" if e.domain else "",
        "model": e.model,
    }
    return framed(heading(f"Feature {e.feature}"), f"<div>{escaped(said_of(e))}</div>", facts(about))


def of_score(s: Scored | Unscored) -> str:
    """A score: its value and interval, beside what should lose; or why there is none."""
    title = heading(f"{s.scorer} of feature {s.feature}", f"judged by {s.judge}" if s.judge else "")
    if s.status == "unscored":
        return framed(title, f"<div>not scored: {escaped(s.reason)}</div>")
    value = interval(s) + (" undetermined" if s.undetermined else "")
    rows = [("value, 95 % interval", value), ("judgements", f"{s.n:,}")]
    for name, c in list(s.controls.items())[:MOST_LISTED]:
        ends = "" if c.low is None or c.high is None else f" [{c.low:.2f}, {c.high:.2f}]"
        rows.append((f"control: {name}", f"{c.value:.2f}{ends}"))
    rows += [(f"part: {part.text}", interval(part)) for part in s.parts[:MOST_LISTED]]
    return framed(title, table((), rows))


def of_feature(feature: Feature) -> str:
    """A feature: how often and how strongly it fires, and some of its images."""
    row = feature.row
    about = {
        "fires on": f"{row.n_active:,} images",
        "strongest activation": f"{row.max_activation:.4g}",
        "smallest prefix": row.width,
        "with the attribute": None if row.n_active_attribute is None else f"{row.n_active_attribute:,}",
        "parents": listed(row.parents or ()),
        "duplicates": listed(row.duplicates or ()),
        "rows": f"{len(feature.active):,} active, {len(feature.negatives):,} silent",
    }
    return framed(heading(f"Feature {feature.id}"), facts(about), strip(_pictures(feature)))


def _pictures(feature: Feature) -> Sequence[Thumbnail]:
    dump = feature.origin.value if feature.origin else None
    strongest = sorted(feature.active, key=lambda e: (-e.activation, e.image))[:N_ACTIVE]
    return thumbnails(dump, (*strongest, *feature.negatives[:N_SILENT])) if isinstance(dump, Dump) else ()
