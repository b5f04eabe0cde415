import numpy as np
import pytest

from autointerp.errors import SettingsError
from autointerp.statistics.rates import Bools
from autointerp.transcoder.splits import split_groups

SHARES = (0.7, 0.15, 0.15)


def alone(n: int) -> np.ndarray:
    return np.arange(n)


def test_a_group_never_stands_on_two_sides():
    chance = np.random.default_rng(0)
    groups = chance.integers(0, 90, 300)
    labels = chance.random(300) < 0.3

    parts = split_groups(labels, groups, shares=SHARES, seed=0)

    sets = [set(groups[part].tolist()) for part in parts]
    assert not sets[0] & sets[1]
    assert not sets[0] & sets[2]
    assert not sets[1] & sets[2]
    assert sorted(np.concatenate(parts).tolist()) == list(range(300))


def test_every_part_has_its_share_of_both_labels():
    labels = np.arange(200) < 40

    parts = split_groups(labels, alone(200), shares=SHARES, seed=1)

    assert [(len(p), int(labels[p].sum())) for p in parts] == [(140, 28), (30, 6), (30, 6)]


def test_groups_of_several_images_come_into_every_part():
    groups = np.repeat(np.arange(100), 2)
    groups[:100] = np.arange(100, 200)
    labels = np.arange(200) % 2 == 0

    parts = split_groups(labels, groups, shares=SHARES, seed=0)

    assert all(len(np.unique(groups[p])) < len(p) for p in parts)
    assert [len(p) for p in parts] == pytest.approx([140, 30, 30], abs=2)


def test_the_split_follows_its_seed():
    labels = np.arange(100) % 3 == 0
    one, same, other = (split_groups(labels, alone(100), shares=SHARES, seed=s).test.tolist() for s in (0, 0, 1))

    assert one == same != other


@pytest.mark.parametrize(
    ("labels", "groups", "problem"),
    [
        (np.zeros(9, np.bool_), alone(9), "no image with an error (label 1) among 9 labelled ones"),
        (np.ones(9, np.bool_), alone(9), "no image without (label 0) among 9 labelled ones"),
        (np.arange(9) < 4, np.arange(9) // 4, "9 labelled images form 3 groups, which is too few; add images"),
    ],
)
def test_labels_that_cannot_be_split_are_one_line(labels: Bools, groups: np.ndarray, problem: str):
    with pytest.raises(SettingsError) as error:
        split_groups(labels, groups, shares=SHARES, seed=0)

    assert problem in str(error.value)


def test_a_rare_label_is_shared_out_though_groups_mix_the_labels():
    off: list[float] = []
    for seed in range(10):
        labels = np.random.default_rng(seed).random(400) < 0.05
        parts = split_groups(labels, alone(400) // 5, shares=SHARES, seed=seed)
        off += [abs(labels[p].sum() - share * labels.sum()) for p, share in zip(parts, SHARES, strict=True)]

    assert np.mean(off) < 0.75
