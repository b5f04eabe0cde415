import io
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from autointerp.images.near_duplicates import (
    HASH_DISTANCE,
    THUMB_CONTRAST,
    THUMB_DISTANCE,
    THUMB_NOISE,
    Look,
    _close,
    joined,
    look_of,
    near_duplicates,
    shared_names,
)
from autointerp.synthetic.drawing import draw
from autointerp.synthetic.scenes import draw_scenes

SCENES = [draw(scene) for scene in draw_scenes(24, seed=3)]


def encoded(image: Image.Image, quality: int) -> Image.Image:
    target = io.BytesIO()
    image.save(target, "JPEG", quality=quality)
    return Image.open(target)


def cropped(image: Image.Image, share: float) -> Image.Image:
    off = round(share * image.width)
    return image.crop((off, off, image.width - off, image.height - off))


COPIES = {
    "half as large": lambda image: image.resize((image.width // 2, image.height // 2)),
    "larger": lambda image: image.resize((image.width * 2, image.height * 2)),
    "encoded anew": lambda image: encoded(image, 30),
    "small and encoded": lambda image: encoded(image.resize((170, 170)), 50),
    "a crop": lambda image: cropped(image, 0.01),
}


@pytest.mark.parametrize("kind", COPIES)
def test_a_copy_is_in_the_group_of_its_picture(kind: str):
    looks = [look_of(image) for image in SCENES]
    copies = [look_of(COPIES[kind](image)) for image in SCENES]

    groups = near_duplicates([*looks, *copies])

    assert groups[: len(SCENES)].tolist() == groups[len(SCENES) :].tolist()


def test_different_pictures_are_in_different_groups():
    groups = near_duplicates([look_of(image) for image in SCENES])

    assert groups.tolist() == list(range(len(SCENES)))


def test_pictures_that_differ_in_colour_alone_are_different():
    shape = Image.new("L", (64, 64), 0)
    shape.paste(255, (10, 20, 30, 50))
    red, blue = (
        Image.composite(Image.new("RGB", (64, 64), c), Image.new("RGB", (64, 64)), shape) for c in ("#f00", "#048")
    )

    assert near_duplicates([look_of(red), look_of(blue)]).tolist() == [0, 1]


def flat(hashed: int, grey: int) -> Look:
    return Look(hashed, bytes([grey]) * 768)


def test_neighbours_join_groups_in_chains():
    step = int(THUMB_NOISE)
    looks = [flat(0, 10), flat(0, 200), flat(1, 10 + step), flat(3, 10 + 2 * step), flat(2**40 - 1, 10)]

    assert near_duplicates(looks).tolist() == [0, 1, 0, 0, 2]


def test_no_pictures_have_no_groups():
    assert near_duplicates([]).tolist() == []
    assert joined(0, []).tolist() == []


def test_groups_are_those_of_comparing_all_pairs():
    chance = np.random.default_rng(0)
    base = 128 + chance.normal(0, 1, (40, 768)) * np.geomspace(2, 60, 40)[:, None]
    looks: list[Look] = []
    for i in range(160):
        bits = sum(1 << int(b) for b in chance.integers(0, 64, chance.integers(0, 7)))
        pixels = np.clip(base[i % 40] + chance.normal(0, chance.uniform(1, 14), 768), 0, 255).astype(np.uint8)
        looks.append(Look(int(i % 8) * 0x0123456789ABCDE ^ bits, pixels.tobytes()))

    groups = near_duplicates(looks)

    assert groups.tolist() == all_pairs(looks)
    assert 40 < len(set(groups.tolist())) < 160


def all_pairs(looks: list[Look]) -> list[int]:
    """The slow way: join whatever is close until nothing changes."""
    pixels = [np.frombuffer(look.thumb, np.uint8).astype(float) for look in looks]
    groups = list(range(len(looks)))
    for i in range(len(looks)):
        for j in range(i):
            apart = float(np.sqrt(np.mean((pixels[i] - pixels[j]) ** 2)))
            limit = min(THUMB_DISTANCE, max(THUMB_NOISE, THUMB_CONTRAST * min(pixels[i].std(), pixels[j].std())))
            if (looks[i].hash ^ looks[j].hash).bit_count() <= HASH_DISTANCE and apart <= limit:
                old, new = groups[i], groups[j]
                groups = [new if g == old else g for g in groups]
    names: dict[int, int] = {}
    return [names.setdefault(g, len(names)) for g in groups]


@pytest.mark.parametrize("distance", [0, 3, 8])
@pytest.mark.parametrize("few", [0, 512])
def test_bands_miss_no_close_pair(distance: int, few: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("autointerp.images.near_duplicates.FEW", few)
    chance = np.random.default_rng(1)
    walk = [0]
    for _ in range(200):
        walk.append(walk[-1] ^ (1 << int(chance.integers(64))))
    hashes = np.array(walk, dtype=np.uint64)

    found = {tuple(sorted(pair)) for pairs in _close(hashes, distance) for pair in pairs.tolist()}

    slow = {(i, j) for j in range(len(walk)) for i in range(j) if (walk[i] ^ walk[j]).bit_count() <= distance}
    assert found == slow
    assert not distance or all(pair in found for pair in pairwise(range(201)))


def test_labels_join_groups_and_none_joins_nothing():
    assert joined(5, [0, 1, 2, 3, 4], ["a", None, "a", None, None]).tolist() == [0, 1, 0, 2, 3]
    assert joined(5, [0, 0, 1, 2, 3], [None, "a", "a", None, None]).tolist() == [0, 0, 0, 1, 2]


def test_the_hash_is_that_of_imagehash():
    imagehash = pytest.importorskip("imagehash")

    for image in SCENES:
        assert look_of(image).hash == int(str(imagehash.phash(image)), 16)


def test_names_are_given_to_those_that_share_a_group_alone():
    assert shared_names(np.array([0, 1, 0, 2]), "look") == ["look-0", None, "look-0", None]
    assert shared_names(np.zeros(0, np.int64), "look") == []


def test_a_long_chain_is_one_group():
    looks = [Look(0, bytes([10 + i] * 768)) for i in range(200)]
    shuffled = [looks[i] for i in np.random.default_rng(0).permutation(200)]

    assert near_duplicates(shuffled).tolist() == [0] * 200
