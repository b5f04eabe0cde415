"""Active images that can be shown without a region as a contrast: the network says that the feature is silent then."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from autointerp.evidence import Images, draw_shown
from autointerp.explanation.explainer import EDITED, ERASED, Explainer
from autointerp.explanation.painting import Editor, is_settled
from autointerp.explanation.sampler import Sampler
from autointerp.images.alteration import ERASURES, Source, erased
from autointerp.lmm.outcomes import DEFERRED, Failure
from autointerp.schema import Counterfactual, Exemplar, Feature, ImageRow, Usage
from autointerp.scoring.encoder import PictureEncoder
from autointerp.tiles import removable_regions


@dataclass
class Found:
    """What became of the images that were tried."""

    pairs: list[Counterfactual] = field(default_factory=list)
    files: dict[str, Path] = field(default_factory=dict)
    """Of those that were painted, by their digests."""
    usage: Usage = field(default_factory=Usage)
    """What painting took."""
    gaps: list[Failure] = field(default_factory=list)
    """Why images were not painted that would not be the next time either."""
    failure: Failure | None = None
    """Why one was not painted that may be the next time; nothing was tried after it, unless a batch job paints it."""
    waiting: int = 0
    """How many a batch job is to paint."""

    def known_to(self, asks: Explainer | Sampler) -> Explainer | Sampler:
        """The explainer that shows these images once more."""
        explainer = asks.explainer if isinstance(asks, Sampler) else asks
        files: Mapping[str, Path] = self.files
        known = replace(explainer, counterfactuals=tuple(self.pairs), painted=files, painting=self.usage)
        return replace(asks, explainer=known) if isinstance(asks, Sampler) else known


async def find_counterfactuals(
    asks: Explainer | Sampler, feature: Feature, images: Images, encoder: PictureEncoder, editor: Editor | None
) -> Found:
    """Tries the images in the order in which they are shown, until there are as many as contrast is asked for.

    Args:
        asks: the explainer.
        feature: with its evidence.
        images: rows of its images.
        encoder: encodes the images without their regions.
        editor: paints regions anew; None where they are filled.

    Raises:
        EndpointError: no request of this run can succeed.
    """
    explainer = asks.explainer if isinstance(asks, Sampler) else asks
    settings, found = explainer.settings, Found()
    if settings.contrast_kind not in (ERASED, EDITED):
        return found
    for exemplar in draw_shown(feature, images, settings).active:
        # Of what a batch job is to paint as many are asked for at once as may be wanted.
        stopped = found.failure is not None and found.failure.kind != DEFERRED
        if stopped or len(found.pairs) + found.waiting >= settings.n_contrast:
            break
        image = images[exemplar.image]
        if settings.contrast_kind == ERASED:
            await _erase(found, feature, exemplar, image, explainer, encoder)
        elif editor is not None:
            await _edit(found, feature, exemplar, image, explainer, encoder, editor)
    return found


async def _erase(
    found: Found,
    feature: Feature,
    exemplar: Exemplar,
    image: ImageRow,
    explainer: Explainer,
    encoder: PictureEncoder,
) -> None:
    """Takes the smallest region away whose removal silences the feature, by the first filling that does."""
    for box in removable_regions(exemplar, image, explainer.grid, explainer.settings.region):
        values = await encoder.activations([erased(Source.of(image), box, how) for how in ERASURES], feature.id)
        for how, value in zip(ERASURES, values.tolist(), strict=True):
            if _is_silent(feature, exemplar, value, explainer.settings.silent_below):
                pair = Counterfactual(image=image.image, box=box.corners, how=how, activation=value)
                found.pairs.append(pair)
                return


async def _edit(
    found: Found,
    feature: Feature,
    exemplar: Exemplar,
    image: ImageRow,
    explainer: Explainer,
    encoder: PictureEncoder,
    editor: Editor,
) -> None:
    """Has the region around the peak painted anew, and looks whether that silences the feature."""
    for box in removable_regions(exemplar, image, explainer.grid, explainer.settings.region)[:1]:
        edited = await editor.edited(image, box, encoder)
        if isinstance(edited, Failure):
            if is_settled(edited):
                found.gaps.append(edited)
            else:
                found.failure = edited
                found.waiting += edited.kind == DEFERRED
            return
        found.usage += edited.usage
        (value,) = (await encoder.activations([edited.picture], feature.id)).tolist()
        if _is_silent(feature, exemplar, value, explainer.settings.silent_below):
            source = edited.picture.source
            found.files[source.sha256] = edited.file
            found.pairs.append(
                Counterfactual(
                    image=image.image,
                    box=box.corners,
                    how=EDITED,
                    activation=value,
                    picture=source.sha256,
                    size=source.size,
                )
            )


def _is_silent(feature: Feature, exemplar: Exemplar, value: float, silent_below: float) -> bool:
    """Whether the feature is as silent as on an image that is shown for contrast."""
    if not np.float32(value) <= np.float32(feature.active_above):
        return False
    as_silent = replace(exemplar, stratum="silent", silent_activation=value)
    return not feature.in_margin(as_silent, silent_below)
