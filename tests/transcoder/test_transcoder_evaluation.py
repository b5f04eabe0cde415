import numpy as np
import pytest
import torch

from autointerp.statistics.rates import Z95
from autointerp.transcoder.classification_metrics import auroc
from autointerp.transcoder.coder import SparseCoder
from autointerp.transcoder.evaluation import Images, area, effect_of, mean_target, nesting
from autointerp.transcoder.settings import CoderConfig
from autointerp.transcoder.tokens import TokenBatch


def broad_and_narrow(widths: tuple[int, ...] = (1, 2)) -> SparseCoder:
    """Latent 0 is the first channel and writes (1, 0); latent 1 is the second and writes (0.6, 0.8)."""
    made = SparseCoder(CoderConfig(d_in=2, d_out=2, widths=widths, k=2, sparsity="topk"))
    made.encoder.data.copy_(torch.eye(2))
    made.decoders[0].data.copy_(torch.tensor([[1.0, 0.0], [0.6, 0.8]]))
    return made.eval()


def tokens() -> list[TokenBatch]:
    """Latent 0 fires on tokens 0 and 1, whose parts along it are 2 and 4; parts of 3 or more are on 1, 2 and 3."""
    inputs = torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 1.0], [0.0, 0.0], [0.0, 1.0]])
    targets = torch.tensor([[2.0, 0.0], [4.0, 0.0], [3.0, 0.0], [5.0, 0.0], [0.0, 1.0]])
    return [TokenBatch(inputs[:2], targets[:2]), TokenBatch(inputs[2:], targets[2:])]


def images(labels: list[int], groups: list[int] | None = None) -> Images:
    """A label of -1 is none."""
    found = np.array(labels)
    return Images(found == 1, found >= 0, np.array(groups if groups is not None else range(len(labels))))


def test_a_broad_latent_is_silent_on_two_of_three_tokens_that_need_it_and_the_narrow_one_fires_on_one():
    (found,) = nesting(broad_and_narrow(), tokens, seed=0)

    assert (found.width, found.n_firing) == (1, 1)
    assert found.cosine == pytest.approx(0.6)
    assert found.also == pytest.approx(1 / 2)
    assert found.also_chance == pytest.approx(3 / 5)
    assert found.missed == pytest.approx(2 / 3)
    assert found.instead == pytest.approx(1 / 3)
    assert found.instead_chance == pytest.approx(2 / 3 * 3 / 5)


def test_the_closest_later_latent_is_one_that_fires():
    made = SparseCoder(CoderConfig(d_in=2, d_out=2, widths=(1, 3), k=3, sparsity="topk"))
    made.encoder.data.copy_(torch.tensor([[1.0, 0.0], [0.0, 0.0], [0.0, 1.0]]))
    made.decoders[0].data.copy_(torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.6, 0.8]]))

    (found,) = nesting(made.eval(), tokens, seed=0)

    assert found.cosine == pytest.approx(0.6)


def test_a_plain_coder_and_one_whose_later_latents_are_dead_nest_nothing():
    dead = broad_and_narrow()
    dead.encoder.data[1] = 0

    assert nesting(broad_and_narrow((2,)), tokens, seed=0) == ()
    assert nesting(dead, tokens, seed=0) == ()


def test_mean_target_is_over_tokens_and_not_over_batches():
    assert mean_target(tokens()).tolist() == pytest.approx([14 / 5, 1 / 5])


def test_what_changes_nothing_changes_nothing():
    before = np.array([2.0, -1.0, 1.0, -3.0])

    found = effect_of("itself", before, before, images([1, 0, 1, 0]), seed=0)

    assert (found.change.value, found.change.low, found.change.high) == (0, 0, 0)
    assert (found.agreement.value, found.agreement.high) == (1, 1)
    assert found.agreement.low == pytest.approx(1 - Z95**2 / (4 + Z95**2))
    assert found.auroc is not None
    assert found.auroc.value == 1
    assert found.auroc_change is not None
    assert (found.auroc_change.value, found.auroc_change.low, found.auroc_change.high) == (0, 0, 0)


def test_three_nats_over_four_images_one_decision_and_one_tie():
    before, after = np.array([2.0, -1.0, 1.0, -3.0]), np.array([1.0, -1.0, -1.0, -3.0])

    found = effect_of("x", before, after, images([1, 0, 1, 0]), seed=0)

    assert found.change.value == pytest.approx(3 / 4)
    assert found.agreement.value == pytest.approx(3 / 4)
    assert found.auroc is not None
    assert found.auroc.value == pytest.approx(3.5 / 4)
    assert found.auroc_change is not None
    assert found.auroc_change.value == pytest.approx(-0.5 / 4)
    assert found.change.low < 3 / 4 < found.change.high


def test_images_without_a_label_count_for_changes_and_not_for_ranks():
    before, after = np.array([2.0, -1.0, 5.0]), np.array([2.0, -1.0, -4.0])

    found = effect_of("x", before, after, images([1, 0, -1]), seed=0)

    assert found.change.value == pytest.approx(9 / 3)
    assert found.auroc is not None
    assert found.auroc.value == 1
    assert area(after, images([1, 1, -1]), seed=0) is None


def test_two_groups_of_ten_say_less_than_twenty_images():
    before, after = np.zeros(20), np.repeat([0.0, 1.0], 10)

    alone = effect_of("x", before, after, images([-1] * 20), seed=0).change
    together = effect_of("x", before, after, images([-1] * 20, [0] * 10 + [1] * 10), seed=0).change

    assert (together.low, together.value, together.high) == (0, 0.5, 1)
    assert 0.2 < alone.low < 0.4 < 0.6 < alone.high < 0.8


def test_area_is_that_of_ranks_and_its_interval_about_obuchowskis():
    chance = np.random.default_rng(0)
    labels, groups = chance.random(300) < 0.4, np.arange(300) // 2
    scores = np.round(chance.normal(size=300) + labels, 1)

    found = area(scores, Images(labels, np.ones(300, bool), groups), seed=0)

    other = auroc(scores, labels, groups)
    assert found is not None
    assert found.value == pytest.approx(other.value)
    assert found.low == pytest.approx(other.low, abs=0.02)
    assert found.high == pytest.approx(other.high, abs=0.02)
