import pytest
import torch
from torch import Tensor

from autointerp.transcoder.coder import ForwardOutput, SparseCoder
from autointerp.transcoder.losses import auxiliary_error, l0, magnitude, measure, nested_error, nested_fvu
from autointerp.transcoder.settings import CoderConfig
from autointerp.transcoder.sparse import Places
from autointerp.transcoder.tokens import TokenBatch

CONFIG = CoderConfig(d_in=2, d_out=2, widths=(2, 4), k=1, prefix_weights=(0.25, 0.75), aux_weight=0.5, l1_weight=0.1)
TARGET = torch.tensor([[1.0, 0.0], [3.0, 0.0]])


def output(first: Tensor, second: Tensor, revived: Tensor | None = None) -> ForwardOutput:
    places = Places(torch.tensor([0, 1, 1]), torch.tensor([0, 0, 3]))
    return ForwardOutput((first, second), TARGET, torch.tensor([2.0, 1.0, 1.0]), places, revived)


def test_error_is_the_weighted_sum_over_prefixes():
    out = output(torch.zeros(2, 2), TARGET - 2)

    loss = nested_error(out, CONFIG)

    # Mean squares 10 / 4 and 4, weighted 1/4 and 3/4.
    assert float(loss) == pytest.approx(0.25 * 2.5 + 0.75 * 4)


def test_auxiliary_error_is_of_the_rest_that_the_whole_dictionary_leaves_and_moves_only_the_dead():
    made, revived = torch.zeros(2, 2, requires_grad=True), torch.ones(2, 2, requires_grad=True)
    out = output(TARGET, made, revived)

    loss = auxiliary_error(out, CONFIG)
    loss.backward()

    # The rest is the target; (0, 1, 2, 1) squared is 6 over 4 numbers, halved.
    assert float(loss.detach()) == pytest.approx(0.75)
    assert made.grad is None
    assert revived.grad is not None


def test_auxiliary_error_without_dead_latents_is_nothing():
    assert float(auxiliary_error(output(TARGET, TARGET), CONFIG)) == 0


def test_magnitude_counts_zeros_in():
    # 4 over 2 tokens of 4 latents, times 0.1.
    assert float(magnitude(output(TARGET, TARGET), CONFIG)) == pytest.approx(0.05)


def test_fvu_is_one_for_the_mean_zero_for_the_target_and_unchanged_by_scale():
    mean = torch.tensor([[2.0, 0.0], [2.0, 0.0]])

    assert nested_fvu((mean, TARGET), TARGET).tolist() == [1, 0]
    assert nested_fvu((torch.zeros(2, 2),), TARGET).tolist() == [5]
    assert nested_fvu((torch.zeros(2, 2),), 8 * TARGET).tolist() == [5]


def test_l0_is_latents_on_a_token():
    assert l0(output(TARGET, TARGET)) == 1.5


def test_measures_over_batches_are_those_over_all_tokens_at_once():
    # Identity of two channels: the first prefix makes the first channel alone.
    coder = SparseCoder(CoderConfig(d_in=2, d_out=2, widths=(1, 2, 3), k=2)).eval()
    coder.encoder.data[:2] = torch.eye(2)
    coder.decoders[0].data[:2] = torch.eye(2)
    x = torch.tensor([[1.0, 0.0], [3.0, 0.0], [2.0, 4.0], [2.0, 2.0]])

    found = measure(coder, [TokenBatch(x[:3], x[:3]), TokenBatch(x[3:], x[3:])])

    # Around the means 2 and 1.5 the channels' squares sum to 2 and 11; without the second, 20 is left over.
    assert found.fvu == pytest.approx((20 / 13, 0, 0))
    assert found.l0 == (1, 1.5, 1.5)
    assert found.dead_share == pytest.approx(1 / 3)
    assert found.tokens == 4
