"""How many pictures the network that made a dump would be shown: what `causal` and explaining by the network cost."""

from collections.abc import Sequence

from autointerp.dump.reader import Dump
from autointerp.evidence import Images, Shown, draw_shown, held_out
from autointerp.explanation.explainer import AUTO, EDITED, ERASED
from autointerp.images.alteration import ERASURES
from autointerp.job import images_of
from autointerp.schema import Exemplar, Feature, ImageRow
from autointerp.scoring.scorers.causal import MOST_DONATED, NAME, PASSES
from autointerp.settings import ExplainSettings, ScoreSettings
from autointerp.tiles import region_box, region_boxes, removable_regions


def forward_passes(
    dump: Dump, features: Sequence[Feature], explain: ExplainSettings, score: ScoreSettings | None
) -> float:
    """Counts the pictures of some features, at most; gives the mean over them.

    Args:
        dump: theirs.
        features: at least one.
        explain: how images are shown.
        score: which scorers run; None for none.
    """
    return sum(_of_feature(dump, feature, explain, score) for feature in features) / len(features)


def _of_feature(dump: Dump, feature: Feature, explain: ExplainSettings, score: ScoreSettings | None) -> int:
    images = images_of(dump, feature)
    shown = draw_shown(feature, images, explain)
    if not shown.active:
        return 0
    n = 0
    rows, grid = [(e, images[e.image]) for e in shown.active], dump.info.patch_grid
    if AUTO in explain.renderings:
        n += sum(len(region_boxes(e, row, grid, explain.region)) for e, row in rows)
    if explain.contrast_kind == ERASED:
        n += len(ERASURES) * sum(len(removable_regions(e, row, grid, explain.region)) for e, row in rows)
    n += _painted(dump, rows, explain)
    if score is not None and NAME in score.scorers:
        n += PASSES * min(score.n_causal, _with_region(dump, feature, images, shown, explain)) + MOST_DONATED
    return n


def painted_regions(dump: Dump, features: Sequence[Feature], explain: ExplainSettings) -> float:
    """Counts the regions of some features that an image model would paint anew, at most; gives the mean over them.

    Arguments as for `forward_passes`.
    """
    n = 0
    for feature in features:
        images = images_of(dump, feature)
        n += _painted(dump, [(e, images[e.image]) for e in draw_shown(feature, images, explain).active], explain)
    return n / len(features)


def _painted(dump: Dump, shown: Sequence[tuple[Exemplar, ImageRow]], explain: ExplainSettings) -> int:
    if explain.contrast_kind != EDITED:
        return 0
    grid = dump.info.patch_grid
    return sum(region_box(exemplar, row, grid, explain.region) is not None for exemplar, row in shown)


def _with_region(dump: Dump, feature: Feature, images: Images, shown: Shown, explain: ExplainSettings) -> int:
    """Held-out images whose region is smaller than the image."""
    left = held_out(feature, images, [e.image for e in (*shown.active, *shown.contrast)])
    regions = (region_box(e, images[e.image], dump.info.patch_grid, explain.region) for e in left if not e.silent)
    return sum(box is not None for box in regions)
