"""What each candidate explanation is made from: all that is shown of the feature, or a few images of it."""

from itertools import cycle
from random import Random

from autointerp.evidence import Shown
from autointerp.schema import Exemplar
from autointerp.settings import CandidateSettings


def draw_views(shown: Shown, settings: CandidateSettings, *, feature: int, seed: int) -> list[Shown]:
    """What the explainer is shown for each candidate, [n].

    Every second one sees all active images, each time in another order; the others see a few, dealt so that each image
    is in as many of these sets as any other, to within one. An explanation that holds for few of the images has a
    chance only where few are shown. All of them see the same silent images, and nobody sees any other image. An image
    that is shown without a region too is shown so wherever it is shown.

    Args:
        shown: what one explanation would be made from; the first view is this itself.
        settings: how many candidates, and how many images the smaller views have.
        feature: id, and
        seed: what the draw depends on.
    """
    chance = Random(f"views:{seed}:{feature}")
    deal = cycle(_shuffled(shown.active, chance))
    size = min(settings.subset, len(shown.active))
    views = [shown]
    for i in range(1, settings.n):
        part = [next(deal) for _ in range(size)] if i % 2 else _shuffled(shown.active, chance)
        ids = {e.image for e in part}
        pairs = tuple(pair for pair in shown.pairs if pair.image in ids)
        views.append(Shown(active=tuple(part), contrast=shown.contrast, pairs=pairs))
    return views


def _shuffled(exemplars: tuple[Exemplar, ...], chance: Random) -> list[Exemplar]:
    out = list(exemplars)
    chance.shuffle(out)
    return out
