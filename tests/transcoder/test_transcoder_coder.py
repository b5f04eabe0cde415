import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from autointerp.transcoder.activation import Encoded, largest_of_bands, largest_of_batch, largest_of_token
from autointerp.transcoder.coder import ForwardOutput, RawUnits, SparseCoder
from autointerp.transcoder.settings import CoderConfig, CoderForm
from autointerp.transcoder.sparse import Places, decoded

FORMS = {
    "batchtopk": CoderForm(widths=(3, 7, 12), k=3),
    "topk": CoderForm(widths=(3, 7, 12), k=3, sparsity="topk"),
    "band-topk": CoderForm(widths=(3, 7, 12), k=3, sparsity="band-topk"),
    "prefix-topk": CoderForm(widths=(3, 7, 12), k=6, sparsity="prefix-topk", prefix_tokens="all"),
    "prefix-topk, shared": CoderForm(widths=(3, 7, 12), k=6, sparsity="prefix-topk"),
    "plain": CoderForm(widths=(12,), k=3, sparsity="topk"),
    "skip": CoderForm(widths=(3, 7, 12), k=3, skip=True),
    "separate": CoderForm(widths=(3, 7, 12), k=3, sparsity="band-topk", decoder="separate", jump=0.5),
}


TRAINED_ON = ((True, 10), (True, 4), (True, 3), (False, 10))


def drawn(form: CoderForm, d_in: int = 5, d_out: int = 4) -> SparseCoder:
    """A coder whose every weight and buffer is something."""
    coder = SparseCoder(CoderConfig(d_in=d_in, d_out=d_out, **dict(form)))
    coder.start(0)
    torch.manual_seed(1)
    for tensor in (coder.encoder_bias, *coder.decoder_biases, coder.in_mean, coder.out_mean):
        tensor.data.normal_(std=0.1)
    if coder.skip is not None:
        coder.skip.data.normal_(std=0.1)
    coder.in_scale.fill_(2.0)
    coder.out_scale.fill_(3.0)
    return coder


def tokens(n: int, size: int, seed: int = 0) -> Tensor:
    return torch.randn(n, size, generator=torch.Generator().manual_seed(seed))


def dense(out: ForwardOutput, n_latents: int) -> Tensor:
    made = torch.zeros(len(out.target), n_latents)
    made[out.places] = out.values.detach()
    return made


def slow_selection(coder: SparseCoder, z: Tensor, width: int) -> Tensor:
    """Which latents the prefix keeps in training, token by token, by sorting."""
    config = coder.config
    keep = torch.zeros_like(z, dtype=torch.bool)
    if config.sparsity == "batchtopk":
        for i in z.flatten().argsort(descending=True)[: config.k * len(z)].tolist():
            keep[i // z.shape[1], i % z.shape[1]] = True
    for row, activations in enumerate(z):
        if config.sparsity == "topk":
            keep[row, activations.argsort(descending=True)[: config.k]] = True
        if config.sparsity == "prefix-topk":
            keep[row, activations[:width].argsort(descending=True)[: config.kept[config.widths.index(width)]]] = True
        start = 0
        for size, k in zip(config.bands, config.kept, strict=True):
            if config.sparsity == "band-topk":
                keep[row, start + activations[start : start + size].argsort(descending=True)[:k]] = True
            start += size
    return keep


def slow_prefix(coder: SparseCoder, x: Tensor, width: int) -> Tensor:
    """What a prefix makes of raw inputs, decoded by itself with full matrices; normalised units, with gradient."""
    config = coder.config
    normal = (x - coder.in_mean) / coder.in_scale
    z = (normal @ coder.encoder.T + coder.encoder_bias).relu()
    z = z + config.jump * (z.detach() > config.jump) if config.jump else z
    kept = z * slow_selection(coder, z.detach(), width)
    number = config.widths.index(width) if config.decoder == "separate" else 0
    made = kept[:, :width] @ coder.decoders[number][:width] + coder.decoder_biases[number]
    return made if coder.skip is None else made + normal @ coder.skip.T


@pytest.mark.parametrize("name", FORMS)
def test_every_prefix_and_gradient_is_that_of_the_slow_obvious_version(name: str):
    coder = drawn(FORMS[name]).train()
    x, y = tokens(9, 5), tokens(9, 4, 1)

    fast = coder(x, y)
    torch.stack([(m - t).square().mean() for m, t in zip(fast.made, fast.targets, strict=True)]).sum().backward()
    fast_grads = [p.grad.clone() for p in coder.parameters() if p.grad is not None]
    coder.zero_grad()
    # With shared tokens, the first prefix learns from every fourth token, and the second from their neighbours.
    shared = (slice(0, None, 4), slice(1, None, 4), slice(None))
    parts = shared if name.endswith("shared") else (slice(None),) * len(coder.widths)
    slow = [slow_prefix(coder, x, width)[part] for width, part in zip(coder.widths, parts, strict=True)]
    wanted = [fast.target[part] for part in parts]
    torch.stack([(m - t).square().mean() for m, t in zip(slow, wanted, strict=True)]).sum().backward()

    for made, expected in zip(fast.made, slow, strict=True):
        torch.testing.assert_close(made, expected)
    slow_grads = [p.grad for p in coder.parameters() if p.grad is not None]
    assert len(fast_grads) == len(slow_grads)
    for grad, expected in zip(fast_grads, slow_grads, strict=True):
        torch.testing.assert_close(grad, expected)


@pytest.mark.parametrize("name", FORMS)
def test_encoding_and_decoding_reconstructs_in_raw_units_what_each_prefix_makes(name: str):
    coder = drawn(FORMS[name]).eval()
    coder.threshold.fill_(0.2)
    x, y = tokens(9, 5), tokens(9, 4, 1)

    out = coder(x, y)

    for width, made in zip(coder.widths, out.made, strict=True):
        torch.testing.assert_close(coder.reconstruct(x, width), made.detach() * 3 + coder.out_mean)


def test_prefix_of_a_bigger_coder_reconstructs_as_the_coder_of_its_own_width_does():
    big = drawn(CoderForm(widths=(4, 12), k=3)).eval()
    big.threshold.fill_(0.3)
    small = SparseCoder(CoderConfig(d_in=5, d_out=4, widths=(4,), k=3)).eval()
    cut = {"encoder": 4, "encoder_bias": 4, "decoders.0": 4}
    small.load_state_dict({k: t[: cut[k]] if k in cut else t for k, t in big.state_dict().items()})
    x = tokens(20, 5)

    prefix = big.reconstruct(x, 4)

    torch.testing.assert_close(prefix, small.reconstruct(x))
    assert not torch.allclose(prefix, big.reconstruct(x))


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 6), st.integers(1, 8), st.data())
def test_batchtopk_keeps_exactly_k_a_token_on_the_mean_even_where_values_tie(
    n_tokens: int, n: int, data: st.DataObject
):
    k = data.draw(st.integers(1, n))
    values = data.draw(st.lists(st.integers(0, 3), min_size=n_tokens * n, max_size=n_tokens * n))
    likely = data.draw(st.sampled_from([0.0, 1.0, 2.5]))
    z = torch.tensor(values, dtype=torch.float32).reshape(n_tokens, n)

    places = largest_of_batch(z, k, likely)

    best = sorted((v for v in values if v > 0), reverse=True)[: k * n_tokens]
    assert sorted(z[places].tolist(), reverse=True) == best
    assert len(set(zip(places.tokens.tolist(), places.latents.tolist(), strict=True))) == len(best)
    assert places.tokens.tolist() == sorted(places.tokens.tolist())


def test_topk_keeps_the_largest_of_each_token_and_nothing_at_zero():
    z = torch.tensor([[0.0, 3.0, 1.0, 2.0], [0.0, 0.0, 5.0, 0.0]])

    places = largest_of_token(z, 2)

    assert list(zip(*map(Tensor.tolist, places), strict=True)) == [(0, 1), (0, 3), (1, 2)]


def test_bands_keep_their_own_largest():
    z = torch.tensor([[9.0, 8.0, 1.0, 2.0, 3.0]])

    places = largest_of_bands(z, (2, 3), (1, 2))

    assert places.latents.tolist() == [0, 3, 4]


def test_threshold_is_the_mean_of_the_least_that_batches_kept():
    coder = SparseCoder(CoderConfig(d_in=1, d_out=1, widths=(1,), k=1)).train()
    coder.encoder.data.fill_(1.0)

    for least in (1.0, 2.0, 6.0):
        batch = torch.tensor([[least], [10.0]])
        coder(batch, batch)

    assert float(coder.threshold) == pytest.approx(3.0)


def test_latents_of_a_token_do_not_depend_on_its_batch_outside_training():
    coder = drawn(FORMS["batchtopk"]).eval()
    coder.threshold.fill_(0.3)
    x = tokens(50, 5)

    together = coder.encode(x).dense(12)
    alone = torch.cat([coder.encode(x[i : i + 1]).dense(12) for i in range(50)])

    torch.testing.assert_close(together, alone)
    assert bool((together > 0.3).any(dim=1).any())
    assert float(together[together > 0].min()) > 0.3


def test_encoding_lists_the_strongest_first_and_pads_with_nothing():
    coder = SparseCoder(CoderConfig(d_in=3, d_out=3, widths=(3,), k=3)).eval()
    coder.encoder.data.copy_(torch.eye(3))
    coder.threshold.fill_(0.5)

    encoded = coder.encode(torch.tensor([[1.0, 3.0, 2.0], [0.1, 0.2, 4.0], [0.0, 0.0, 0.0]]))

    assert encoded.values.tolist() == [[3, 2, 1], [4, 0, 0], [0, 0, 0]]
    assert encoded.indices.tolist() == [[1, 2, 0], [2, 0, 0], [0, 0, 0]]
    assert encoded.dense(3).tolist() == [[1, 3, 2], [0, 0, 4], [0, 0, 0]]


def test_encoding_in_chunks_is_encoding_at_once(monkeypatch: pytest.MonkeyPatch):
    coder = drawn(FORMS["topk"]).eval()
    x = tokens(10, 5)
    whole = coder.encode(x)

    monkeypatch.setattr("autointerp.transcoder.coder.CHUNK", 3)
    parts = coder.encode(x)

    torch.testing.assert_close(parts.dense(12), whole.dense(12))


def test_bag_without_entries_sums_to_zero():
    made = decoded(torch.tensor([2.0]), torch.tensor([[1.0, 3.0]]), torch.tensor([0]), torch.tensor([1]), 3)

    assert made.tolist() == [[0, 0], [2, 6], [0, 0]]


def test_places_below_a_width_are_of_its_latents():
    places = Places(torch.tensor([0, 0, 1]), torch.tensor([1, 4, 3]))

    assert places.below(4).tolist() == [True, False, True]


def test_sae_starts_with_the_transpose_of_unit_decoder_rows_brought_to_the_norm_asked_for():
    sae = SparseCoder(CoderConfig(kind="sae", d_in=5, d_out=5, widths=(12,), k=3, encoder_norm=0.25))

    sae.start(0)

    torch.testing.assert_close(sae.decoders[0].norm(dim=1), torch.ones(12))
    assert torch.equal(sae.encoder, 0.25 * sae.decoders[0])


@pytest.mark.parametrize(("rows", "second"), [("free", (0.0, 4.0)), ("unit", (0.0, 1.0))])
def test_transcoder_starts_from_what_a_linear_map_makes_of_its_encoder(rows: str, second: tuple[float, float]):
    sizes = {"d_in": 2, "d_out": 2, "widths": (3,), "k": 1, "decoder_rows": rows}
    coder = SparseCoder(CoderConfig.model_validate(sizes))
    coder.encoder.data.copy_(torch.tensor([[0.3, 0.0], [0.0, 0.5], [0.0, -0.1]]))
    coder.decoders[0].data.copy_(torch.tensor([[0.6, 0.8], [1.0, 0.0], [1.0, 0.0]]))

    # The first channel is mapped to nothing, so its latent keeps the row that was drawn.
    coder.start_from(torch.tensor([[0.0, 0.0], [0.0, 4.0]]))

    expected = torch.tensor([(0.6, 0.8), second, (0.0, -second[1])])
    torch.testing.assert_close(coder.decoders[0].data, expected)


def test_gradient_along_a_decoder_row_is_removed_and_rows_return_to_norm_one():
    coder = drawn(FORMS["batchtopk"].model_copy(update={"decoder_rows": "unit"})).train()
    out = coder(tokens(30, 5), tokens(30, 4, 1))
    (out.made[-1] - out.target).square().mean().backward()
    grad, rows = coder.decoders[0].grad, coder.decoders[0].data
    assert grad is not None
    assert float((grad * rows).sum(dim=1).abs().max()) > 1e-3

    coder.project_gradient()
    torch.testing.assert_close((grad * rows).sum(dim=1), torch.zeros(12), atol=1e-6, rtol=0)
    rows.mul_(7)
    coder.unit_rows()

    torch.testing.assert_close(rows.norm(dim=1), torch.ones(12))


def test_narrower_prefixes_share_half_of_the_tokens_in_training_alone_and_of_a_batch_that_is_large_enough():
    coder = drawn(FORMS["prefix-topk, shared"])
    x, y = tokens(10, 5), tokens(10, 4, 1)

    lengths = [[len(made) for made in coder.train(training)(x[:n], y[:n]).made] for training, n in TRAINED_ON]

    # Of ten tokens, three are every fourth from the first or the second on.
    assert lengths == [[3, 3, 10], [1, 1, 4], [3, 3, 3], [10, 10, 10]]


def test_top_k_of_each_prefix_with_a_decoder_each_is_that_of_the_slow_obvious_version():
    form = FORMS["prefix-topk"].model_copy(update={"decoder": "separate"})
    coder = drawn(form).train()
    x, y = tokens(9, 5), tokens(9, 4, 1)

    made = coder(x, y).made

    for of, width in zip(made, coder.widths, strict=True):
        torch.testing.assert_close(of, slow_prefix(coder, x, width))


def test_dead_latents_alone_make_what_revives_them():
    coder = drawn(FORMS["plain"]).train()
    x = tokens(9, 5)

    out = coder(x, tokens(9, 4, 1), torch.tensor([2, 11]))

    z = ((x - coder.in_mean) / 2 @ coder.encoder.T + coder.encoder_bias).relu()
    assert out.revived is not None
    torch.testing.assert_close(out.revived, z[:, [2, 11]] @ coder.decoders[0][[2, 11]])


def test_raw_units_keep_the_largest_by_magnitude_with_their_sign():
    units = RawUnits(4, 2)
    x = torch.tensor([[1.0, -5.0, 3.0, 0.0]])

    encoded = units.encode(x)

    assert encoded.indices.tolist() == [[1, 2]]
    assert encoded.values.tolist() == [[-5, 3]]
    assert encoded.dense(4).tolist() == [[0, -5, 3, 0]]


def test_dense_adds_nothing_where_padding_names_a_latent_that_is_on():
    encoded = Encoded(torch.tensor([[2.0, 0.0]]), torch.tensor([[0, 0]]))

    assert encoded.dense(2).tolist() == [[2, 0]]
