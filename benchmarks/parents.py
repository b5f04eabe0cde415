"""Planted hierarchies: how many of the stated parents and duplicates are true, and how many of the true ones are found.

Run as `python -m benchmarks.parents [--seeds 5] [--write]`; half a minute of processor time a seed. Latents are
planted on a grid of patches, with scales that differ up to tenfold and a whisper at a third of all patches:

- parents, in the first prefix, are blobs; children, in the second and third, are on at a part of one's patches, and
  absorb it at 0 to 45 % of theirs, where the parent is silent; grandchildren are children of children, and theirs are
  both;
- duplicates are on where a latent of an earlier prefix is, with 0 to 15 % of the patches missing;
- companions are on the same images as a parent, at other places;
- scenes are on at most of an image, corners at the same place of most images, and lone latents anywhere.

Beside the harvest's rule stands that of earlier versions: a parent fires on half of the child's images, and twice as
often as on any.
"""

import argparse
import json
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import bdtrc

from autointerp.statistics.rates import wilson
from autointerp.transcoder.harvest.encode import threshold
from autointerp.transcoder.harvest.parents import Found, Placed, hierarchy_of

N_IMAGES, SIDE = 1200, 12
N_PARENTS, N_COMPANIONS, N_SCENES, N_CORNERS, N_LONE = 24, 12, 4, 4, 20
"""Of the first prefix; the others hold children, duplicates, companions and lone latents."""
CHILDREN_EACH, GRANDCHILDREN, DUPLICATES = 2, 24, 16
WHISPER = 0.05
"""Of a latent's usual activation, at a third of all patches."""
FILE = Path(__file__).with_name("parents.json")

Maps = npt.NDArray[np.bool_]


class World(NamedTuple):
    """Planted latents and what is true of them."""

    placed: Placed
    widths: tuple[int, ...]
    parents: frozenset[tuple[int, int]]
    """Child and parent, grandparents included."""
    duplicates: frozenset[tuple[int, int]]
    """Later and earlier latent, duplicates of duplicates included."""


def blobs(chance: np.random.Generator, share: float, size: tuple[int, int]) -> Maps:
    """[images, patches]: a rectangle of `size` range of sides on a share of the images."""
    out = np.zeros((N_IMAGES, SIDE, SIDE), np.bool_)
    for i in np.flatnonzero(chance.random(N_IMAGES) < share).tolist():
        rows, columns = chance.integers(size[0], size[1] + 1, 2).tolist()
        top, left = (int(chance.integers(0, SIDE - n + 1)) for n in (rows, columns))
        out[i, top : top + rows, left : left + columns] = True
    return out.reshape(N_IMAGES, -1)


def part_of(chance: np.random.Generator, whole: Maps, images: float, patches: float) -> Maps:
    """On a share of the images a band of the patches of `whole`."""
    kept = np.zeros_like(whole)
    for i in np.flatnonzero(whole.any(axis=1) & (chance.random(N_IMAGES) < images)).tolist():
        own = np.flatnonzero(whole[i])
        n = max(1, round(patches * len(own)))
        start = int(chance.integers(0, len(own) - n + 1))
        kept[i, own[start : start + n]] = True
    return kept


def beside(chance: np.random.Generator, whole: Maps) -> Maps:
    """On the same images as `whole`, at as many other patches."""
    out = np.zeros_like(whole)
    for i in np.flatnonzero(whole.any(axis=1)).tolist():
        free = np.flatnonzero(~whole[i])
        n = min(int(whole[i].sum()), len(free))
        start = int(chance.integers(0, len(free) - n + 1))
        out[i, free[start : start + n]] = True
    return out


def world(seed: int) -> World:
    """Plants a world."""
    chance = np.random.default_rng((0x9A7E, seed))
    first = [blobs(chance, chance.uniform(0.06, 0.2), (3, 6)) for _ in range(N_PARENTS)]
    own = list(first)
    first += [beside(chance, first[i]) for i in range(N_COMPANIONS)]
    first += [
        chance.random((N_IMAGES, SIDE * SIDE)) < 0.8 * (chance.random((N_IMAGES, 1)) < 0.3) for _ in range(N_SCENES)
    ]
    corner = np.zeros((SIDE, SIDE), np.bool_)
    corner[:5, :5] = True
    turned = [np.rot90(corner, k).reshape(1, -1) for k in range(4)]
    first += [t & (chance.random((N_IMAGES, 1)) < 0.9) for t in turned[:N_CORNERS]]
    first += [blobs(chance, 0.1, (2, 5)) for _ in range(N_LONE)]
    n_first = len(first)
    parents: set[tuple[int, int]] = set()
    duplicates: set[tuple[int, int]] = set()
    second: list[Maps] = []
    for p in range(N_PARENTS):
        for _ in range(CHILDREN_EACH):
            parents.add((n_first + len(second), p))
            second.append(part_of(chance, own[p], chance.uniform(0.25, 0.6), chance.uniform(0.2, 0.5)))
    n_children = len(second)
    for p in range(DUPLICATES // 2):
        duplicates.add((n_first + len(second), p))
        second.append(own[p] & (chance.random(own[p].shape) > chance.uniform(0, 0.15)))
    second += [blobs(chance, 0.05, (2, 4)) for _ in range(N_LONE)]
    third: list[Maps] = []
    n_two = n_first + len(second)
    for g in range(GRANDCHILDREN):
        child = g % n_children
        own_parent = child // CHILDREN_EACH
        parents |= {(n_two + len(third), n_first + child), (n_two + len(third), own_parent)}
        if own_parent < DUPLICATES // 2:
            # What is equal to the parent is above its grandchild as well.
            parents.add((n_two + len(third), n_first + n_children + own_parent))
        third.append(part_of(chance, second[child], 0.6, 0.5))
    for p in range(DUPLICATES // 2, DUPLICATES):
        duplicates.add((n_two + len(third), p))
        third.append(own[p] & (chance.random(own[p].shape) > chance.uniform(0, 0.15)))
    third += [beside(chance, second[i]) for i in range(N_COMPANIONS)]
    third += [blobs(chance, 0.03, (2, 3)) for _ in range(N_LONE)]
    everything = [*first, *second, *third]
    widths = (n_first, n_two, len(everything))
    return World(
        _sounding(chance, absorbed(chance, everything, parents)), widths, frozenset(parents), frozenset(duplicates)
    )


def absorbed(chance: np.random.Generator, maps: list[Maps], parents: set[tuple[int, int]]) -> list[Maps]:
    """The maps as they are heard: a child silences its parent at a share of its patches of its own."""
    heard = [m.copy() for m in maps]
    for child, parent in sorted(parents):
        heard[parent] &= ~(maps[child] & (chance.random(maps[child].shape) < chance.uniform(0, 0.45)))
    return heard


def _sounding(chance: np.random.Generator, maps: list[Maps]) -> Placed:
    """Gives the latents activations of scales of their own, and a whisper where they are off."""
    n_patches = SIDE * SIDE
    columns: list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float32]]] = []
    peaks = np.zeros((N_IMAGES, len(maps)), np.float32)
    for j, on in enumerate(maps):
        scale = 10.0 ** chance.uniform(-0.5, 0.5)
        whisper = chance.uniform(0, WHISPER, on.shape) * (chance.random(on.shape) < 1 / 3)
        value = (scale * np.where(on, chance.uniform(0.6, 1.0, on.shape), whisper)).astype(np.float32)
        peaks[:, j] = value.max(axis=1)
        image, patch = np.nonzero(value)
        columns.append((image, patch, value[image, patch]))
    image, patch, value = (np.concatenate(column) for column in zip(*columns, strict=True))
    latent = np.repeat(np.arange(len(maps)), [len(c[0]) for c in columns])
    return Placed(image, patch, latent, value, N_IMAGES, n_patches, peaks)


def on_the_same_images(placed: Placed, widths: tuple[int, ...], density: float = 0.02) -> Found:
    """Finds parents as earlier versions did: by the images that fire both, at one threshold for all latents."""
    fires = placed.peaks > np.float32(threshold(placed.peaks, density))
    found: Found = [()] * widths[0]
    for below, width in pairwise(widths):
        chance = fires[:, :below].mean(axis=0)
        for c in range(below, width):
            n, both = int(fires[:, c].sum()), fires[fires[:, c], :below].sum(axis=0)
            share = both / max(n, 1)
            luck = bdtrc(both - 1.0, np.full(below, n), chance) * below if n else np.ones(below)
            close = (n >= 5) & (share >= 0.5) & (share >= 2 * chance) & (luck < 0.05)
            named = np.flatnonzero(close)
            found.append(tuple(named[np.lexsort((named, -share[named]))][:3].tolist()))
    return found


def counted(found: Found, true: frozenset[tuple[int, int]]) -> tuple[int, int, int]:
    """Returns pairs stated, those of them that are true, and all true ones."""
    stated = {(c, p) for c, others in enumerate(found) for p in others or ()}
    return len(stated), len(stated & true), len(true)


def measured(seeds: int) -> dict[str, dict[str, object]]:
    """Counts over worlds of several seeds, by rule."""
    sums: dict[str, list[tuple[int, int, int]]] = {}
    by_chance: list[int] = []
    for seed in range(seeds):
        planted = world(seed)
        made = hierarchy_of(planted.placed, planted.widths, None, seed=seed)
        former = on_the_same_images(planted.placed, planted.widths)
        sums.setdefault("parents by place", []).append(counted(made.parents, planted.parents))
        sums.setdefault("duplicates by place", []).append(counted(made.duplicates, planted.duplicates))
        sums.setdefault("parents on the same images", []).append(counted(former, planted.parents))
        by_chance.append(made.info.n_pairs_shuffled or 0)
    out: dict[str, dict[str, object]] = {name: _figures(counts) for name, counts in sums.items()}
    out["parents by place"]["with places shuffled"] = sum(by_chance)
    return out


def _figures(counts: list[tuple[int, int, int]]) -> dict[str, object]:
    stated, right, true = (sum(column) for column in zip(*counts, strict=True))
    found: dict[str, object] = {"stated": stated, "true": right, "planted": true}
    for name, n in (("precision", stated), ("recall", true)):
        share = wilson(right, n)
        found[name] = [round(x, 4) for x in (share.value, share.low, share.high)]
    return found


def main() -> None:
    """Prints the figures, and keeps them with --write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    found = measured(options.seeds)
    text = json.dumps({"command": f"python -m benchmarks.parents --seeds {options.seeds}", "rules": found}, indent=2)
    print(text)
    if options.write:
        FILE.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
