"""A coder that learned nothing: the form of a trained one, and as many latents on a token."""

import pytest
import torch

from autointerp.transcoder.coder import SparseCoder
from autointerp.transcoder.coders.linear import LinearCoder, LinearConfig, Weights
from autointerp.transcoder.coders.selection import Keep
from autointerp.transcoder.settings import CoderConfig
from autointerp.transcoder.untrained import untrained

TOKENS = torch.randn(50, 8, generator=torch.Generator().manual_seed(0)) * 3 + 5


def trained(sparsity: str) -> SparseCoder:
    config = CoderConfig.model_validate({"d_in": 8, "d_out": 8, "widths": (16, 32), "k": 4, "sparsity": sparsity})
    made = SparseCoder(config)
    made.start(7)
    made.in_mean.fill_(5.0)
    made.in_scale.fill_(3.0)
    made.threshold.fill_(100.0)
    return made.eval()


@pytest.mark.parametrize(("sparsity", "kept"), [("topk", 4), ("batchtopk", 4), ("prefix-topk", 4), ("band-topk", 4)])
def test_it_keeps_as_many_latents_of_a_token_and_has_the_same_prefixes(sparsity: str, kept: int):
    made = untrained(trained(sparsity), l0=99.0, seed=0)

    on = made.encode(TOKENS).values > 0
    assert made.widths == (16, 32)
    # Every kind but `batchtopk` keeps by token anyway; that one's threshold, 100, would leave nothing.
    assert on.sum(dim=1).float().mean() == pytest.approx(kept, abs=0.5)


def test_it_sees_inputs_at_the_scale_of_the_trained_one_and_has_weights_of_its_seed():
    of = trained("batchtopk")

    one, same, other = (untrained(of, l0=4.0, seed=seed) for seed in (0, 0, 1))

    assert torch.equal(one.in_mean, of.in_mean)
    assert torch.equal(one.in_scale, of.in_scale)
    assert torch.equal(one.encoder, same.encoder)
    assert not torch.allclose(one.encoder, other.encoder)
    assert not torch.allclose(one.encoder, of.encoder)


def test_of_another_tools_coder_it_keeps_as_many_as_that_one_had_on():
    config = LinearConfig(format="x", kind="sae", d_in=8, d_out=8, widths=(16,), keep=Keep(rule="relu", k=None))
    of = LinearCoder(
        config, Weights(encoder=torch.ones(16, 8), decoders=(torch.ones(16, 8),), shift=torch.full((8,), 5.0))
    )

    made = untrained(of, l0=3.2, seed=0)

    assert ((made.encode(TOKENS).values > 0).sum(dim=1) == 3).all()
    assert torch.equal(made.in_mean, torch.full((8,), 5.0))
