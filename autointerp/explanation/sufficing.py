"""Which images can be shown as crops: those whose crops fire the feature by themselves, as the network says."""

from dataclasses import replace

import numpy as np

from autointerp.evidence import Images, draw_shown
from autointerp.explanation.explainer import AUTO, Explainer
from autointerp.explanation.sampler import Sampler
from autointerp.images.alteration import Source, crop
from autointerp.schema import Feature
from autointerp.scoring.encoder import PictureEncoder
from autointerp.tiles import region_boxes


async def with_sufficing(
    asks: Explainer | Sampler, feature: Feature, images: Images, encoder: PictureEncoder | None
) -> Explainer | Sampler:
    """The explainer that shows this feature's images as crops where these suffice, and else whole and outlined.

    Args:
        asks: the explainer.
        feature: with its evidence.
        images: rows of its images.
        encoder: encodes the crops; None where nothing hangs on it.
    """
    explainer = asks.explainer if isinstance(asks, Sampler) else asks
    if encoder is None or AUTO not in explainer.settings.renderings:
        return asks
    known = replace(explainer, sufficing=await _sufficing(feature, images, explainer, encoder))
    return replace(asks, explainer=known) if isinstance(asks, Sampler) else known


async def _sufficing(feature: Feature, images: Images, explainer: Explainer, encoder: PictureEncoder) -> frozenset[int]:
    """The shown images of which one of the crops alone fires the feature."""
    settings = explainer.settings
    crops = [
        (e.image, crop(Source.of(row), box))
        for e in draw_shown(feature, images, settings).active
        for row in [images[e.image]]
        for box in region_boxes(e, row, explainer.grid, settings.region)
    ]
    values = await encoder.activations([made for _, made in crops], feature.id)
    fires = values.astype(np.float32) > np.float32(feature.active_above)
    return frozenset(image for (image, _), fired in zip(crops, fires.tolist(), strict=True) if fired)
