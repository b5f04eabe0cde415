"""Renders pairs of scenes that differ in one physical error and in nothing else, for `train evaluate --pairs`.

python -m benchmarks.paper.pairs --out DIR
autointerp train evaluate STORE --coder CODER --pairs DIR/pairs.csv

Things are those that `python -m benchmarks.paper` keeps from everything that learns (--seed as there). Needs the Debian
package tuxpaint-stamps-default, which it downloads with apt-get into the folder (or --stamps FOLDER).
"""

import argparse
from pathlib import Path
from random import Random

from benchmarks.paper.cutouts import cutouts
from benchmarks.paper.population import QUALITY, unseen_things, write
from benchmarks.paper.rooms import drawn_view
from benchmarks.paper.scenes import KINDS, PAIRS, draw

COLUMNS = ("image_a", "image_b", "attribute", "direction", "group")


def main() -> None:
    """Parses and renders."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of the pictures and of pairs.csv")
    parser.add_argument("--things", type=int, help="how many things have a pair of each error; default: all of them")
    parser.add_argument("--stamps", type=Path, help="folder of the installed stamps")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    n = render(asked.out, asked.out, n_things=asked.things, stamps=asked.stamps, seed=asked.seed)
    print(f"{n} pairs: {asked.out / 'pairs.csv'}")


def render(folder: Path, packages: Path, *, n_things: int | None, stamps: Path | None, seed: int) -> int:
    """Writes the pictures and pairs.csv, and returns the number of pairs.

    Args:
        folder: to write.
        packages: where packages are unpacked.
        n_things: things that have a pair of each error, at most; None takes all unseen ones.
        stamps: the installed stamps; None downloads them.
        seed: of the things and all draws.
    """
    folder.mkdir(parents=True, exist_ok=True)
    every = cutouts(packages, stamps)
    hidden = unseen_things(every, seed)
    things = [t for t in every if t.name in hidden]
    chance = Random(f"pairs:{seed}")
    rows: list[tuple[str, ...]] = []
    for first in chance.sample(things, min(n_things or len(things), len(things))):
        others = [t for t in things if t.name != first.name]
        for kind in KINDS:
            shown = [first, chance.choice(others)] if kind in PAIRS or chance.random() < 0.5 else [first]
            view, scene = drawn_view(chance), chance.randrange(2**31)
            stem = f"{len(rows):04d}-{kind.replace(' ', '-')}"
            names = tuple(f"{stem}-{side}.jpg" for side in ("off", "on"))
            for name, planted in zip(names, (False, True), strict=True):
                draw(shown, kind, scene, view, planted=planted).image.save(folder / name, quality=QUALITY)
            rows.append((*names, kind, "+", first.name))
    write(folder / "pairs.csv", [COLUMNS, *rows])
    return len(rows)


if __name__ == "__main__":
    main()
