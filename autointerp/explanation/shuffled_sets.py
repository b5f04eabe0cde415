"""Image sets that share nothing, one image of each of several features: a second pass is asked of them as a control."""

from random import Random

from autointerp.dump.near_copies import NearCopies
from autointerp.dump.reader import Dump
from autointerp.evidence import draw_shown, duplicate_keys, lowest_hashed, strata
from autointerp.job import images_of
from autointerp.runs.index import Ints, holds
from autointerp.schema import Exemplar, Feature, ImageRow
from autointerp.settings import ExplainSettings

MOST_TRIES = 4
"""Features looked at for each image of a set, since some have no image to lend."""


class Shuffler:
    """Draws the sets by seed and feature, so that an interrupted run goes on with the same ones.

    Args:
        dump: whose features lend their images.
        chosen: features of the run, ascending; some of them get a set.
        settings: how many, and what is shown of each.
        near_copies: groups near-duplicates as for the explainer.
    """

    def __init__(
        self, dump: Dump, chosen: Ints, settings: ExplainSettings, near_copies: NearCopies | None = None
    ) -> None:
        self._dump = dump
        self._near_copies = near_copies
        self._settings = settings
        n = settings.n_shuffled if settings.domain is not None else 0
        self._controlled = lowest_hashed(chosen, n, settings.seed)
        # The run's own features lend where they suffice: what they fire on was to be explained.
        enough = len(chosen) > MOST_TRIES * (settings.n_top + settings.n_bands)
        self._lenders = chosen if enough else dump.feature_ids

    def wants(self, feature: int) -> bool:
        """Whether the feature is one of those controlled."""
        return holds(self._controlled, feature)

    def draw(self, feature: Feature) -> tuple[Exemplar, ...]:
        """As many active exemplars as the explainer is shown of the feature, each of another feature, strata likewise.

        None of them is a near-duplicate of another, nor of an image on which the feature is known to fire. The set is
        smaller where the dump has fewer features to lend, and empty where it has no other.

        Raises:
            DumpError: a row group that is read is damaged.
        """
        images = images_of(self._dump, feature, near_copies=self._near_copies)
        shown = draw_shown(feature, images, self._settings).active
        taken = {key for e in feature.active for key in duplicate_keys(images[e.image])}
        chance = Random(f"shuffled:{self._settings.seed}:{feature.id}")
        n = min(MOST_TRIES * len(shown), len(self._lenders))
        lenders = [int(self._lenders[i]) for i in chance.sample(range(len(self._lenders)), n)]
        out: list[Exemplar] = []
        for lender in lenders:
            if len(out) == len(shown):
                break
            if lender != feature.id and (lent := self._lent(lender, shown[len(out)].stratum, taken, chance)):
                out.append(lent[0])
                taken |= duplicate_keys(lent[1])
        return tuple(out)

    def _lent(self, lender: int, stratum: str, taken: set[str], chance: Random) -> tuple[Exemplar, ImageRow] | None:
        other = self._dump.feature(lender)
        own = strata(other.active).get(stratum) or other.active
        if not own:
            return None
        exemplar = own[chance.randrange(len(own))]
        image = self._dump.image(exemplar.image)
        return None if duplicate_keys(image) & taken else (exemplar, image)
