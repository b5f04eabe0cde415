"""Writes the recipe's images: scenes with and without a planted error, and generated faces, with labels and truth."""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import NamedTuple

from benchmarks.paper.cutouts import Cutout, cutouts
from benchmarks.paper.faces import generated
from benchmarks.paper.rooms import View, drawn_view
from benchmarks.paper.scenes import KINDS, PAIRS, Scene, draw

DISTORTED = "distorted face"
"""The kind of error that the generators make by themselves."""
SOUND = 0.58
"""Share of the scenes in which nothing is wrong; the others have each planted error as often."""
UNSEEN_THINGS, UNSEEN_SCENES = 0.30, 0.25
"""Shares of things that are kept from everything that learns, and of the scenes that show them."""
QUALITY = 92
LEARN, SPARE, UNSEEN = "learn", "spare", "unseen"
"""Parts: coders and classifier learn from the first, of the second the classifier alone, and nothing of the third."""
BROAD = ("animals", "plants")
"""Folders of things whose own folders are families."""


class Image(NamedTuple):
    """One row of truth.csv."""

    path: str
    """Below the folder of images."""
    kind: str
    """What is wrong; empty where nothing is, or where nobody knows."""
    label: str
    """1 has an error, 0 has none, empty unknown."""
    group: str
    """The thing that a scene is about."""
    part: str
    """`LEARN`, `SPARE` or `UNSEEN`: no thing of an unseen scene stands in another one."""
    n_things: int
    """How many things a scene shows; 0 for a face."""
    facts: tuple[str, ...]
    """What is true of the picture, in words: what an observer who errs never could say."""


class Counts(NamedTuple):
    """How many images there are."""

    scenes: int
    spare: int
    """Scenes of known things that coders do not learn from, which saves time."""


def population(folder: Path, counts: Counts, *, stamps: Path | None, seed: int) -> list[Image]:
    """Writes `folder/images`, tables of labels and truth.csv, or reads what is there.

    Args:
        folder: to write; packages are unpacked there too.
        counts: of the images.
        stamps: the installed stamps; None downloads them.
        seed: of all draws.
    """
    truth = folder / "truth.csv"
    if not truth.exists():
        (folder / "images").mkdir(parents=True, exist_ok=True)
        rows = [*_scenes(folder, cutouts(folder, stamps), counts, seed), *_faces(folder, seed)]
        for name, parts in (("known", (LEARN, SPARE)), ("learn", (LEARN,)), ("unseen", (UNSEEN,))):
            kept = [(r.path, r.label, r.group) for r in rows if r.part in parts]
            write(folder / f"{name}.csv", [("path", "label", "group"), *kept])
        write(truth, [Image._fields, *((*r[:-1], ";".join(r.facts)) for r in rows)])
    return read(truth)


def read(truth: Path) -> list[Image]:
    """Reads truth.csv."""
    with truth.open(newline="") as file:
        return [
            Image(**(row | {"n_things": int(row["n_things"]), "facts": tuple(row["facts"].split(";"))}))  # pyright: ignore[reportArgumentType]
            for row in csv.DictReader(file)
        ]


def unseen_things(things: Sequence[Cutout], seed: int) -> frozenset[str]:
    """Draws the names of the things that nothing learns from."""
    names = sorted(t.name for t in things)
    return frozenset(Random(f"unseen:{seed}").sample(names, round(UNSEEN_THINGS * len(names))))


def _scenes(folder: Path, things: list[Cutout], counts: Counts, seed: int) -> Iterator[Image]:
    chance, hidden = Random(f"population:{seed}"), unseen_things(things, seed)
    sides = {part: [t for t in things if (t.name in hidden) == (part == UNSEEN)] for part in (LEARN, UNSEEN)}
    n_unseen = round(UNSEEN_SCENES * counts.scenes)
    parts = [UNSEEN] * n_unseen + [SPARE] * counts.spare + [LEARN] * (counts.scenes - n_unseen - counts.spare)
    number = 0
    for part in (UNSEEN, SPARE, LEARN):
        kinds = _kinds(parts.count(part), chance)
        for kind in kinds:
            n_things = 2 if kind in PAIRS else chance.choice((1, 2, 2))
            shown = chance.sample(sides[UNSEEN if part == UNSEEN else LEARN], n_things)
            view = drawn_view(chance)
            scene = draw(shown, kind, chance.randrange(2**31), view)
            name = f"scene-{number:05d}.jpg"
            scene.image.save(folder / "images" / name, quality=QUALITY)
            label = "1" if kind else "0"
            yield Image(name, kind, label, scene.things[0], part, n_things, _facts(scene, view))
            number += 1


def _kinds(n: int, chance: Random) -> list[str]:
    # Counted rather than drawn, so that every kind is as frequent.
    n_wrong = round(n * (1 - SOUND))
    kinds = [KINDS[i % len(KINDS)] if i < n_wrong else "" for i in range(n)]
    chance.shuffle(kinds)
    return kinds


def _facts(scene: Scene, view: View) -> tuple[str, ...]:
    families = {fact for name in scene.things for fact in _families(name)}
    return (
        *((scene.kind, "a physical error") if scene.kind else ()),
        "two things" if len(scene.things) > 1 else "one thing",
        *(("one before the other",) if scene.close else ()),
        "light from the left" if scene.light > 0 else "light from the right",
        *view.facts(),
        *sorted(families),
    )


def _families(name: str) -> tuple[str, ...]:
    first, second, *_ = name.split("/")
    return (first, second) if first in BROAD else (first,)


def _faces(folder: Path, seed: int) -> Iterator[Image]:
    chance = Random(f"faces:{seed}")
    for i, face in enumerate(generated()):
        name = f"face-{i:03d}.png"
        face.image.save(folder / "images" / name)
        label = "" if face.distorted is None else str(int(face.distorted))
        facts = ("a face", *((DISTORTED, "a physical error") if face.distorted else ()))
        part = chance.choice((LEARN, UNSEEN))
        yield Image(name, DISTORTED if face.distorted else "", label, f"face-{i}", part, 0, facts)


def write(path: Path, rows: Sequence[Sequence[object]]) -> None:
    """Writes a CSV file; half a one never stands under its name."""
    half = path.with_suffix(".part")
    with half.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)
    half.replace(path)
