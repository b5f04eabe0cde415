"""Writes the recipe's images: scenes with and without a planted error, and generated faces, with labels and truth."""

import csv
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import NamedTuple

from benchmarks.paper.cutouts import Cutout, cutouts
from benchmarks.paper.faces import generated
from benchmarks.paper.scenes import KINDS, PAIRS, Scene, draw

DISTORTED = "distorted face"
"""The kind of error that the generators make by themselves."""
SOUND = 0.58
"""Share of the scenes in which nothing is wrong; the others have each planted error as often."""
QUALITY = 92


class Image(NamedTuple):
    """One row of truth.csv."""

    path: str
    """Below the folder of images."""
    kind: str
    """What is wrong; empty where nothing is, or where nobody knows."""
    label: str
    """1 has an error, 0 has none, empty unknown."""
    group: str
    """The thing that a scene is about: no thing stands on both sides of a split."""
    things: str
    """How many things a scene shows; empty for a face."""
    x0: str
    y0: str
    x1: str
    y1: str


def population(folder: Path, *, work: Path, stamps: Path | None, n_scenes: int, seed: int) -> list[Image]:
    """Writes `folder/images`, labels.csv and truth.csv, or reads what is there.

    Args:
        folder: to write.
        work: where packages are unpacked.
        stamps: the installed stamps; None downloads them.
        n_scenes: scenes drawn, beside the faces.
        seed: of all draws.
    """
    truth = folder / "truth.csv"
    if not truth.exists():
        (folder / "images").mkdir(parents=True, exist_ok=True)
        rows = [*_scenes(folder, cutouts(work, stamps), n_scenes, seed), *_faces(folder)]
        _write(folder / "labels.csv", [("path", "label", "group"), *((r.path, r.label, r.group) for r in rows)])
        _write(truth, [Image._fields, *rows])
    with truth.open(newline="") as file:
        return [Image(**row) for row in csv.DictReader(file)]


def _scenes(folder: Path, things: list[Cutout], n: int, seed: int) -> Iterator[Image]:
    chance = Random(f"population:{seed}")
    # Counted rather than drawn, so that every kind is as frequent.
    n_wrong = round(n * (1 - SOUND))
    kinds = [KINDS[i % len(KINDS)] if i < n_wrong else "" for i in range(n)]
    chance.shuffle(kinds)
    for i, kind in enumerate(kinds):
        n_things = 2 if kind in PAIRS else chance.choice((1, 2, 2))
        scene = draw(chance.sample(things, n_things), kind, chance.randrange(2**31))
        yield _keep(folder, scene, f"scene-{i:05d}.jpg")


def _keep(folder: Path, scene: Scene, name: str) -> Image:
    scene.image.save(folder / "images" / name, quality=QUALITY)
    box = tuple(map(str, scene.box)) if scene.box else ("",) * 4
    return Image(name, scene.kind, "1" if scene.kind else "0", scene.things[0], str(len(scene.things)), *box)


def _faces(folder: Path) -> Iterator[Image]:
    for i, face in enumerate(generated()):
        name = f"face-{i:03d}.png"
        face.image.save(folder / "images" / name)
        label = "" if face.distorted is None else str(int(face.distorted))
        yield Image(name, DISTORTED if face.distorted else "", label, f"face-{i}", "", "", "", "", "")


def _write(path: Path, rows: list[tuple[str, ...]]) -> None:
    half = path.with_suffix(".part")
    with half.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)
    half.replace(path)
