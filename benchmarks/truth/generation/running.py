"""Harvests planted latents from rendered scenes and scores every kind of text by the package's own commands."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

import autointerp
from autointerp import ModuleBackbone, ScoreSettings
from autointerp.schema import Scored, Unscored
from autointerp.synthetic.concepts import Concept, holds_all
from autointerp.synthetic.drawing import draw
from autointerp.synthetic.scenes import Scenes, draw_scenes
from autointerp.transcoder.coder import SparseCoder
from autointerp.transcoder.coder_io import load_coder
from autointerp.transcoder.settings import HarvestSettings, NetworkChoice
from benchmarks.truth.generation.network import ABOVE, HOOKPOINT, SIDE, backbone, write_coder
from benchmarks.truth.generation.painter import Painter
from benchmarks.truth.generation.planted import LATENTS
from benchmarks.truth.generation.server import Endpoint, Judge, serving

BATCH = 16
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Texts = Mapping[int, str]
"""A text for each latent that has one of its kind."""


def concepts() -> dict[str, Concept]:
    """Returns all concepts by their texts."""
    return {c.text: c for latent in LATENTS for c in latent.texts.values()}


def texts_of(kind: str) -> dict[int, str]:
    """Returns the texts of a kind, by latent."""
    return {i: latent.texts[kind].text for i, latent in enumerate(LATENTS) if kind in latent.texts}


@dataclass
class World:
    """A population of scenes, a network and its coder, and a dump harvested from them."""

    folder: Path
    scenes: Scenes
    pictures: Sequence[Image.Image]
    network: ModuleBackbone
    coder: SparseCoder

    @cached_property
    def activations(self) -> Floats:
        """What each latent does on each picture of the population, [n, latents]."""
        return self.encoded(self.pictures)

    def encoded(self, pictures: Sequence[Image.Image]) -> Floats:
        """Runs pictures one batch after the other and takes each latent's maximum over the patches, [n, latents]."""
        out = np.zeros((len(pictures), len(LATENTS)))
        for first in range(0, len(pictures), BATCH):
            batch = torch.stack([self.network.prepare(p) for p in pictures[first : first + BATCH]])
            mixed = self.network.run(batch, [HOOKPOINT])[HOOKPOINT]
            found = torch.relu(mixed @ self.coder.encoder.T + self.coder.encoder_bias)
            out[first : first + len(batch)] = found.amax(dim=1).detach().numpy()
        return out

    def extension(self, text: str) -> Bools:
        """Says of which scenes of the population a text holds."""
        return holds_all(concepts()[text], self.scenes)


def make_world(folder: Path, n: int, seed: int, *, random: int | None = None) -> World:
    """Renders a population and harvests it; with `random` by a network and a coder of random weights."""
    scenes = draw_scenes(n, seed)
    pictures = [draw(scene, SIDE) for scene in scenes]
    images = folder / "images"
    images.mkdir(parents=True)
    for i, picture in enumerate(pictures):
        picture.save(images / f"{i:05d}.png", compress_level=1)
    network = backbone(random)
    write_coder(folder / "coder", network, random)
    fires = {"active_above": ABOVE} if random is None else {"density": 0.1}
    settings = HarvestSettings.model_validate({"n_pool": n, "seed": seed} | fires)
    coders = (str(folder / "coder"),)
    autointerp.harvest(
        str(images), folder / "dump", coders=coders, backbone=network, settings=settings, batch=BATCH, store="bytes"
    )
    coder = load_coder(folder / "coder").coder
    assert isinstance(coder, SparseCoder)
    return World(folder, scenes, pictures, network, coder)


@contextmanager
def endpoint_of(world: World, seed: int) -> Iterator[Endpoint]:
    """Serves pictures of all texts, and the judge of a population."""
    with serving(Painter(concepts(), seed), Judge(world.scenes, world.pictures, concepts())) as endpoint:
        yield endpoint


def scored(
    world: World, texts: Texts, run: Path, settings: ScoreSettings, **judge: str | None
) -> dict[int, Scored | Unscored]:
    """Scores a text for each latent by one scorer; returns scores by latent.

    Args:
        world: whose dump is asked about.
        texts: by latent.
        run: the folder of the run, which must not exist.
        settings: with the scorer.
        **judge: options that name an endpoint; none where the network alone is asked.
    """
    table = run.with_suffix(".csv")
    with table.open("w", newline="") as file:
        csv.writer(file).writerows([("feature", "text"), *texts.items()])
    network = NetworkChoice(coder=str(world.folder / "coder"), backbone=world.network)
    dump = str(world.folder / "dump")
    autointerp.score(dump, explanations=table, new_run=run, settings=settings, network=network, **judge)
    return {score.feature: score for score in autointerp.open_run(run).scores()}
