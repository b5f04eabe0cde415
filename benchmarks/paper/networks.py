"""What networks make of images: a classifier's log odds, its one vector an image, what latents do on stored tokens."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from autointerp.counting import Uncounted, counted
from autointerp.images.manifest import Manifest
from autointerp.places import cache_folder
from autointerp.populations.images import Population, read_population
from autointerp.transcoder.backbones.headed import HIDDEN, with_classifier
from autointerp.transcoder.backbones.module import ModuleBackbone
from autointerp.transcoder.classifier import BACKBONE_FILE, INFO_FILE, load_classifier
from autointerp.transcoder.coder import RawUnits
from autointerp.transcoder.features import image_vectors
from autointerp.transcoder.files import read_tensors, write_table
from autointerp.transcoder.harvest.encode import Encoder, Peaks, entries_of, peaks_of
from autointerp.transcoder.harvest.source import RAW_K
from autointerp.transcoder.store import Activations, ActivationStore, StoreWriter

AT_ONCE = 16
"""Images encoded at once."""
POOLED = "pooled"


class Read(NamedTuple):
    """What the head of a classifier reads of some images."""

    population: Population
    vectors: Tensor
    """Shape [n, width]."""


def vectors_of(backbone: ModuleBackbone, classifier: Path, images: Path, labels: Path, kept: Path) -> Read:
    """Computes what a classifier's head reads of the images of a table, or finds it where it is kept."""
    info = load_classifier(classifier)[1]
    if info.tuned is not None:
        weights = read_tensors(classifier / BACKBONE_FILE, beside=INFO_FILE, remedy="train the classifier anew")
        backbone = backbone.with_weights(weights)
    found = read_population(images, labels=labels, manifest=Manifest(cache_folder()))
    return Read(found, image_vectors(backbone, info.hookpoint, found.images, kept, counted(Uncounted(), "images")))


def log_odds(classifier: Path, read: Read, out: Path) -> None:
    """Writes the log odds of an error of each image, as the classifier has them."""
    with torch.inference_mode():
        said = load_classifier(classifier)[0](read.vectors).logits.tolist()
    rows = ((image.name, f"{x:.5f}") for image, x in zip(read.population.images, said, strict=True))
    write_table(out, ("path", "log_odds"), rows)


def pooled_store(backbone: ModuleBackbone, classifier: Path, read: Read, out: Path) -> None:
    """Stores the one vector an image that the head reads, and its hidden units: h2 and h1 of the paper.

    It is what `train activations --classifier … --reads pooled --writes head.0` stores, without another pass.
    """
    if (out / "manifest.json").exists():
        return
    head, info = load_classifier(classifier)
    with torch.inference_mode():
        hidden = head(read.vectors).hidden
    assert hidden is not None, "the head is an mlp"
    about = Activations(
        backbone=info.backbone,
        reads=POOLED,
        writes=HIDDEN,
        d_in=read.vectors.shape[1],
        d_out=hidden.shape[1],
        classifier=with_classifier(backbone, classifier).classifier,
    )
    images, groups = read.population.images, read.population.groups
    with StoreWriter(out, about) as writer:
        writer.add(read.vectors, hidden, torch.tensor([i.image for i in images]), torch.from_numpy(groups))
        rows = ((i.image, i.name, i.sha256, g) for i, g in zip(images, groups.tolist(), strict=True))
        write_table(out / "images.csv", ("image", "path", "sha256", "group"), rows)


def units_read(store: Path) -> RawUnits:
    """Returns the units that coders of a store read, as latents."""
    return RawUnits(ActivationStore(store).about.d_in, RAW_K)


def stored_peaks(folder: Path, encoder: Encoder) -> tuple[npt.NDArray[np.str_], Peaks]:
    """Returns the names of a store's images, and the maximum of each latent over each one's tokens, [n, n_latents].

    All images have as many tokens, which stand together, and a file holds whole images.
    """
    store, found = ActivationStore(folder), []
    ids: list[int] = []
    for number in range(len(store.manifest.shards)):
        column = store.column(number, "images").numpy()
        mine, starts = np.unique(column, return_index=True)
        each = len(column) // len(mine)
        assert np.array_equal(starts, np.arange(len(mine)) * each), "images stand in order, with as many tokens each"
        ids += mine.tolist()
        for at in range(0, len(mine), AT_ONCE):
            n = min(AT_ONCE, len(mine) - at)
            inputs = store.rows(number, [(at * each, (at + n) * each)]).inputs.float()
            entries = entries_of(encoder, folder.name, inputs.reshape(n, each, -1))
            found.append(peaks_of(entries, n, encoder.n_latents))
    rows = (line.split(",")[:2] for line in (folder / "images.csv").read_text().splitlines()[1:])
    names = {int(image): path for image, path in rows}
    return np.array([names[i] for i in ids]), np.concatenate(found)
