"""Pictures whose only error is a red square, a coder of colours, a run that says so, and generators of known rates."""

import csv
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch
from coloured import colours
from PIL import Image

from autointerp.clock import now
from autointerp.commands.harvest import harvest
from autointerp.dump.reader import open_dump
from autointerp.job import reference
from autointerp.runs.folder import RunWriter
from autointerp.runs.info import ExplainStage, RunInfo, ScoreStage
from autointerp.schema import Control, DomainFinding, Explanation, Scored, Usage
from autointerp.settings import ExplainSettings, ModelName, ModelSettings, ScoreSettings
from autointerp.transcoder.backbones.module import ModuleBackbone
from autointerp.transcoder.coder import SparseCoder
from autointerp.transcoder.coder_io import describe, save_coder
from autointerp.transcoder.settings import CoderConfig, HarvestSettings

SIDE = 16
N = 240
RED, GREEN, BLUE = 0, 1, 2
MODE = "a-red-square-that-floats"
SAYS = {RED: "a red square that floats", GREEN: "a green square", BLUE: "a blue square"}


def picture(seed: int, squares: Sequence[int]) -> Image.Image:
    """Grey noise with a square of 4 x 4 pixels of each of some colours, at a place of its own."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(90, 120, (SIDE, SIDE, 1)).repeat(3, axis=2).astype(np.uint8)
    for colour in sorted(squares, reverse=True):
        x, y = (int(v) * 4 for v in rng.integers(0, SIDE // 4, 2))
        pixels[y : y + 4, x : x + 4] = 0
        pixels[y : y + 4, x : x + 4, colour] = 255
    return Image.fromarray(pixels)


def population(folder: Path) -> None:
    """Pictures of which those in `implausible` have a red square; every third has a green one, every fifth a blue."""
    for i in range(N):
        wrong = i % 2 == 0
        squares = [*([RED] if wrong else []), *([GREEN] if i % 3 == 0 else []), *([BLUE] if i % 5 == 0 else [])]
        path = folder / ("implausible" if wrong else "plausible") / f"{i:04d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture(i, squares).save(path)


def backbone(*_: object, **__: object) -> ModuleBackbone:
    """A network that sees the colours of a picture of 4 x 4 patches."""
    return colours()


def coder(folder: Path) -> None:
    """A coder with a latent for each colour that is stronger than the others, and one for what is dark."""
    config = CoderConfig(d_in=3, d_out=3, kind="sae", widths=(4,), k=4, sparsity="topk", normalise=False)
    made = SparseCoder(config)
    with torch.no_grad():
        rows = [[1.0, -0.5, -0.5], [-0.5, 1.0, -0.5], [-0.5, -0.5, 1.0], [-0.4, -0.3, -0.3]]
        made.encoder.copy_(torch.tensor(rows))
        made.encoder_bias.fill_(-1.5)
        made.decoders[0].copy_(torch.tensor(rows))
    save_coder(made, describe(config, model="colours", reads="pixels", writes="pixels"), folder)


def dump(folder: Path) -> Path:
    """A dump of the pictures, harvested with the coder; pictures and coder lie beside it."""
    population(folder / "images")
    coder(folder / "coder")
    settings = HarvestSettings(active_above=0.2, seed=0)
    harvest(
        folder / "images", folder / "dump", [folder / "coder"], backbone=backbone(), settings=settings, store="bytes"
    )
    return folder / "dump"


def run_over(dump_path: Path, out: Path, *, detection: float = 0.8) -> Path:
    """A run that says of each latent what it is; each explanation scores `detection` ± 0.1, its controls 0.3."""
    model = ModelSettings(model=ModelName("m"))
    with open_dump(dump_path) as opened:
        info = RunInfo(
            version="0",
            created=now(),
            dump=reference(opened),
            explain=ExplainStage(model=model, settings=ExplainSettings(), prompts={}),
            score=ScoreStage(judge=model, settings=ScoreSettings(), prompts={}),
        )
    with RunWriter(out, info) as writer:
        for feature, text in SAYS.items():
            writer.explanation(_explanation(feature, text))
            writer.score(_score(feature, detection))
    return out


def _explanation(feature: int, text: str) -> Explanation:
    found = DomainFinding(
        domain="physical-plausibility", found=True, text=text, category="gravity-and-support", images=()
    )
    return Explanation(
        feature=feature,
        text=text,
        concepts=(text,),
        none=False,
        domain=found if feature == RED else None,
        model="m",
        prompt="0" * 12,
        images=(),
        usage=Usage(),
        created=now(),
    )


def _score(feature: int, value: float) -> Scored:
    return Scored(
        feature=feature,
        scorer="detection",
        value=value,
        low=value - 0.1,
        high=value + 0.1,
        n=40,
        details={},
        controls={"always_yes": Control(value=0.3), "permuted": Control(value=0.2)},
        judge="m",
        prompt="0" * 12,
        created=now(),
    )


def generator(folder: Path, n: int, red: float, *, seed: int, blue: float = 0.2) -> Path:
    """A folder of `n` pictures, exactly the share `red` of which have a red square."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    for i in range(n):
        squares = [*([RED] if i < round(red * n) else []), *([BLUE] if rng.random() < blue else [])]
        picture(100_000 * seed + i, squares).save(folder / f"{i:04d}.png")
    return folder


class Embedder:
    """Gives each text a vector of its own: no two mean the same."""

    name = "words"

    async def texts(self, texts: Sequence[str]) -> np.ndarray:
        made = np.zeros((len(texts), 64), np.float32)
        for i, text in enumerate(texts):
            made[i, sorted(set(texts)).index(text) % 64] = 1.0
        return made


def named(folder: Path, *names: str) -> list[str]:
    """Folders as --images takes them."""
    return [f"{name}={folder / name}" for name in names]


def questions(result: Path) -> list[dict[str, str]]:
    """The rows of a result's table for a judge."""
    with (result / "to-judge.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def judged_table(result: Path, to: Path, answer: Callable[[dict[str, str], bool], str]) -> Path:
    """Answers a result's questions, given the image's row in images.parquet and whether the mode is on."""
    images = {row["sha256"]: row for row in pq.read_table(result / "images.parquet").to_pylist()}
    rows = questions(result)
    with to.open("w", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        for row in rows:
            image = images[row["sha256"]]
            table.writerow({**row, "answer": answer(image, row["mode"] in image["modes"])})
    return to
