from pathlib import Path
from random import Random

import numpy as np
import pytest

from autointerp.dump.format import Attribute, DumpInfo
from autointerp.dump.reader import open_dump
from autointerp.dump.writer import DumpWriter
from autointerp.schema import Exemplar, FeatureRow
from autointerp.scoring.population import AttributeCounts, base_rate, known_from, population_of

N, CARRIERS, FIRES = 3000, 300, 60
"""Images; those with the attribute are the first 300; each feature fires on 60 images, 45 of them carriers."""


def info(n_images: int, *, attribute: bool = True) -> DumpInfo:
    return DumpInfo(
        name="biased",
        created="2026-01-31T12:00:00+00:00",
        created_by="a test",
        model="vit",
        hookpoint="layer.6",
        n_latents=64,
        widths=(64,),
        n_images=n_images,
        active_above=0.5,
        patch_grid=None,
        attribute=Attribute(name="odd", description="an error") if attribute else None,
    )


def harvested(folder: Path, n_features: int = 40) -> Path:
    """Features about the attribute: top images, uniform silent ones, and look-alikes that mostly carry it."""
    chance = Random("harvest")
    evidence: list[list[Exemplar]] = []
    for _ in range(n_features):
        fires = chance.sample(range(CARRIERS), 45) + chance.sample(range(CARRIERS, N), FIRES - 45)
        silent = sorted(set(range(N)) - set(fires))
        chances = {image: 20 / 3000 + (0.05 if image < CARRIERS else 0.001) for image in silent}
        drawn = [image for image in silent if chance.random() < chances[image]]
        rows = [Exemplar(image, 2.0, "top", 1.0, None, None) for image in fires[:20]]
        rows += [Exemplar(i, 0.0, "guided" if i < CARRIERS else "silent", chances[i], None, None) for i in drawn]
        evidence.append(rows)
    stored = sorted({e.image for rows in evidence for e in rows})
    with DumpWriter(folder, info(N)) as writer:
        for i in stored:
            writer.add_image(i, path=f"{i}.png", size=(8, 8), sha256=f"{i:064x}", attribute=i < CARRIERS)
        for feature, rows in enumerate(evidence):
            writer.add_feature(FeatureRow(feature, 64, FIRES, 2.0, 45, None), rows)
    return folder


def test_the_base_rate_is_estimated_past_the_bias_of_what_is_stored(tmp_path: Path):
    dump = open_dump(harvested(tmp_path / "dump"))

    found = population_of(dump)

    naive = float(np.mean(dump.images_table()["attribute"].to_numpy(zero_copy_only=False)))
    assert naive > 0.2
    assert found.base_rate == pytest.approx(CARRIERS / N, abs=0.015)
    assert (found.n_images, found.exact) == (N, False)
    assert found.known_from is not None
    assert 100 < found.known_from < 1500  # some 800 uniform rows, and look-alikes that stand for few images


def test_the_base_rate_is_counted_where_every_image_is_stored(tmp_path: Path):
    with DumpWriter(tmp_path / "dump", info(4)) as writer:
        for i in range(4):
            writer.add_image(i, path=f"{i}.png", size=(8, 8), sha256=f"{i:064x}", attribute=i == 0)
        writer.add_feature(FeatureRow(0, 64, 1, 2.0, 1, None), [Exemplar(0, 2.0, "top", 1.0, None, None)])

    found = population_of(open_dump(tmp_path / "dump"))

    assert (found.n_images, found.base_rate, found.exact) == (4, 0.25, True)


def test_a_dump_without_attribute_or_silent_images_has_no_base_rate(tmp_path: Path):
    for name, labelled in (("plain", False), ("silentless", True)):
        with DumpWriter(tmp_path / name, info(9, attribute=labelled)) as writer:
            writer.add_image(0, path="0.png", size=(8, 8), sha256=f"{0:064x}", attribute=labelled or None)
            carriers = 1 if labelled else None
            writer.add_feature(FeatureRow(0, 64, 1, 2.0, carriers, None), [Exemplar(0, 2.0, "top", 1.0, None, None)])

        assert population_of(open_dump(tmp_path / name)).base_rate is None


def test_each_silent_row_counts_as_many_images_as_it_stands_for():
    # Fires on 10 of 100, 5 of them carriers. Silent: a carrier drawn for sure, another image drawn with chance 1/9.
    silent = np.array([1, 2]), np.array([True, False]), np.array([1.0, 1 / 9])
    drawn = AttributeCounts(np.array([10]), np.array([5]), *silent)

    assert base_rate(drawn, 100) == pytest.approx((5 + 90 * 1 / 10) / 100)


def test_features_are_pooled_before_dividing():
    # Two features, one with two carriers standing for one image each, one with an image standing for eight.
    zeros, carries = np.array([0, 0]), np.array([True, True, False])
    drawn = AttributeCounts(zeros, zeros, np.array([1, 2, 3]), carries, np.array([1.0, 1.0, 1 / 8]))

    assert base_rate(drawn, 100) == pytest.approx(0.2)


def test_a_rate_is_known_from_as_many_images_as_their_weights_are_worth():
    def of(*rows: tuple[int, float]) -> int:
        images, chances = (np.array(column) for column in zip(*rows, strict=True))
        silent = images, np.zeros(len(rows), bool), chances
        return known_from(AttributeCounts(np.array([0]), np.array([0]), *silent), 100)

    assert of((1, 0.5), (2, 0.5), (3, 0.5)) == 3
    assert of((1, 0.5), (1, 0.5), (1, 0.5)) == 1  # one image that three features drew
    assert of((1, 1.0), (2, 1.0), (3, 1 / 98)) == 1  # 100² / (1 + 1 + 98²)
