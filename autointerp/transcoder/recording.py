"""Tokens of images from a backbone into a store, in one pass."""

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor

from autointerp.transcoder.backbones.protocol import Activations as Taken
from autointerp.transcoder.backbones.protocol import Backbone
from autointerp.transcoder.batches import prepared_batches
from autointerp.transcoder.population import Population
from autointerp.transcoder.store import StoreWriter

LOT = 0x70CE5
"""Keeps the draw of patches apart from other draws of the same seed."""


def record(
    backbone: Backbone,
    population: Population,
    writer: StoreWriter,
    *,
    tokens_per_image: int | None,
    seed: int,
    batch: int,
    progress: Callable[[int, int], None],
) -> None:
    """Runs every image once and adds its tokens, image by image in the population's order.

    Args:
        backbone: has the hookpoints that the writer's store is of.
        population: images, whose groups go along with their tokens.
        writer: of the store, entered.
        tokens_per_image: patches drawn of each image, without replacement and in their own order; None takes all.
        seed: of that draw, which depends on an image's content and not on its place.
        batch: images run at once.
        progress: is told images done and all images.

    Raises:
        SettingsError: an image has changed since it was read, or an activation does not fit the store's type.
    """
    about = writer.about
    hookpoints = list(dict.fromkeys([about.reads] if about.writes is None else [about.reads, about.writes]))
    group_of: Mapping[int, int] = dict(
        zip((i.image for i in population.images), population.groups.tolist(), strict=True)
    )
    done = 0
    for images, pixels in prepared_batches(backbone, population.images, size=batch):
        taken = backbone.run(pixels, hookpoints)
        for row, image in enumerate(images):
            inputs, *targets = _tokens(taken, hookpoints, row, tokens_per_image, (seed, int(image.sha256[:15], 16)))
            of = torch.full((len(inputs),), image.image)
            group = torch.full((len(inputs),), group_of[image.image])
            writer.add(inputs, targets[0] if targets else None, of, group)
        done += len(images)
        progress(done, len(population.images))


def _tokens(
    taken: Taken, hookpoints: list[str], row: int, tokens_per_image: int | None, seed: tuple[int, int]
) -> list[Tensor]:
    """Returns [tokens, width] for each hookpoint: the same patches of one image; of a pooled one, its only vector."""
    of_image = [taken[name][row] for name in hookpoints]
    of_image = [t[None] if t.ndim == 1 else t for t in of_image]
    n = len(of_image[0])
    if tokens_per_image is None or tokens_per_image >= n:
        return of_image
    drawn = np.random.default_rng((LOT, *seed)).choice(n, tokens_per_image, replace=False)
    rows = torch.from_numpy(np.sort(drawn)).to(of_image[0].device)
    return [t[rows] for t in of_image]
