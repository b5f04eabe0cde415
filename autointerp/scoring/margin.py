"""The score with and without the images near the threshold, which count neither as active nor as silent."""

from autointerp.schema import Details
from autointerp.scoring.adaptive_sampling import columns
from autointerp.scoring.judge import Judgements
from autointerp.scoring.sampling import Pool
from autointerp.statistics.rates import Interval, f1_samples
from autointerp.statistics.resampling import Draws, interval_of, resample


def margin_details(pool: Pool, said: Judgements, headline: Interval, draws: Draws) -> Details:
    """Computes F1 with the images near the threshold counted as silent, beside the headline, which leaves them out.

    Args:
        pool: the feature's held-out images.
        said: the judgements, those near the threshold among them.
        headline: F1 without them.
        draws: how the interval is drawn.

    Returns:
        Nothing where all images below the threshold count as silent, or where the threshold is not above 0, so that
        no share of it can be reached. Only that the margin is unknown where nothing tells what the feature reached on
        any silent image. F1 with the margin is left out where some images are near the threshold and none was judged.
    """
    silent, above = pool.feature.negatives, pool.feature.active_above
    if pool.settings.silent_below >= 1 or above <= 0 or not silent:
        return {}
    unknown = sum(1 / e.probability for e in silent if e.silent_activation is None)
    unknown /= sum(1 / e.probability for e in silent)
    if unknown == 1:
        return {"margin": "unknown"}
    n_silent = pool.n_images - pool.feature.row.n_active
    out: Details = {
        "silent_below": pool.settings.silent_below,
        "margin_share": pool.margin_share * n_silent / pool.n_images if pool.n_images else 0.0,
        "n_margin": sum(i.margin for i in said.items),
        "f1_without_margin": headline.value,
        "f1_without_margin_low": headline.low,
        "f1_without_margin_high": headline.high,
    }
    if unknown:
        out["margin_unknown"] = unknown
    if not pool.margin_share or out["n_margin"]:
        out |= _with_margin(said, headline, draws)
    return out


def _with_margin(said: Judgements, headline: Interval, draws: Draws) -> Details:
    found = headline
    if any(i.margin for i in said.items):
        judged = columns(said)
        found = interval_of(f1_samples, judged, resample(judged, draws))
    return {"f1_with_margin": found.value, "f1_with_margin_low": found.low, "f1_with_margin_high": found.high}
