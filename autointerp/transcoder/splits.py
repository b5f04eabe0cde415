"""Cuts a labelled population into parts so that no group stands on two sides."""

from collections import defaultdict
from typing import NamedTuple

import numpy as np

from autointerp.errors import SettingsError
from autointerp.statistics.rates import Bools, Ints

LARGE = 0.1
"""A group with more than this share of the smallest part is dealt out before the others."""


def held_out_groups(groups: Ints, *, share: float, seed: int, where: object) -> Ints:
    """Returns the groups that a coder's training leaves out, ascending.

    Args:
        groups: all there are, each at least once.
        share: of the groups, in [0, 1); at least one group if above 0.
        seed: of the draw.
        where: what holds them, for a message.

    Raises:
        SettingsError: none would be left to learn from.
    """
    found = np.unique(groups)
    n_held = max(1, round(share * len(found))) if share else 0
    if n_held >= len(found):
        raise SettingsError(f"{where}: has only {len(found)} image groups; hold less out")
    return np.sort(np.random.default_rng((seed, 0)).permutation(found)[:n_held])


class Parts(NamedTuple):
    """Positions of the images in each part, ascending."""

    train: Ints
    validation: Ints
    """By which training stops."""
    test: Ints
    """Seen by no choice."""


def split_groups(labels: Bools, groups: Ints, *, shares: tuple[float, float, float], seed: int) -> Parts:
    """Deals whole groups out to three parts, each with about its share of either label.

    Groups come in random order, except that those too large to be made up for come first, and each goes where its
    images are missing most.

    Args:
        labels: of each image, shape [n].
        groups: of each image, shape [n].
        shares: of training, validation and test; together 1.
        seed: of the order.

    Raises:
        SettingsError: a label is missing, or there are too few groups for each part to have both labels.
    """
    for value, words in ((True, "with an error (label 1)"), (False, "without (label 0)")):
        if not np.any(labels == value):
            raise SettingsError(f"no image {words} among {len(labels)} labelled ones; both labels are needed")
    members: dict[int, list[int]] = defaultdict(list)
    for i, group in enumerate(groups.tolist()):
        members[group].append(i)
    order = np.random.default_rng((0x5B117, seed)).permutation(len(members))
    large = LARGE * min(shares) * len(labels)
    dealt = [list(members.values())[i] for i in order]
    dealt.sort(key=lambda group: -len(group) if len(group) > large else 0)
    total = np.array([np.sum(~labels), np.sum(labels)])
    missing = np.outer(shares, total)
    parts: list[list[int]] = [[], [], []]
    for group in dealt:
        counts = np.bincount(labels[group].astype(np.int64), minlength=2)
        # How much of what the part still lacks, relative to all, the group would fill.
        part = int(np.argmax((missing / total) @ (counts / total)))
        parts[part] += group
        missing[part] -= counts
    out = Parts(*(np.sort(np.array(p, dtype=np.int64)) for p in parts))
    for name, part in zip(Parts._fields, out, strict=True):
        if len(np.unique(labels[part])) < 2:
            raise SettingsError(
                f"the {name} part would have images of one label only: {len(labels)} labelled images form "
                f"{len(dealt)} groups, which is too few; add images"
            )
    return out
