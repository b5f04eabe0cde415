from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
import torch
from torch import Tensor

from autointerp.errors import SettingsError
from autointerp.transcoder.coder import SparseCoder
from autointerp.transcoder.fitting import fit
from autointerp.transcoder.losses import measure
from autointerp.transcoder.settings import CoderConfig, CoderForm, TrainSettings
from autointerp.transcoder.tokens import TokenBatch, ahead, on_device
from autointerp.transcoder.trainer import Report, learn, rate, resumed, save, started, train

CHANNELS = 16
PLANTED = 24


class Mixture:
    """Tokens of which each has about two of 24 directions in 16 channels on; targets are a rotation of them."""

    def __init__(self, *, scale: float = 1.0, shift: float = 0.0, same: bool = True) -> None:
        draw = torch.Generator().manual_seed(0)
        self.rows = torch.nn.functional.normalize(torch.randn(PLANTED, CHANNELS, generator=draw), dim=1)
        self._turn = torch.linalg.qr(torch.randn(CHANNELS, CHANNELS, generator=draw)).Q
        self._scale, self._shift, self._same = scale, shift, same

    def batches(self, size: int, start: int) -> Iterator[TokenBatch]:
        """Each batch drawn from its own number."""
        while True:
            draw = torch.Generator().manual_seed(start)
            on = torch.rand(size, PLANTED, generator=draw) < 2 / PLANTED
            x = (on * (1 + torch.rand(size, PLANTED, generator=draw))) @ self.rows
            y = x if self._same else x @ self._turn
            yield TokenBatch(x * self._scale + self._shift, y * self._scale + self._shift)
            start += 1


def config(**given: object) -> CoderConfig:
    sizes = {"d_in": CHANNELS, "d_out": CHANNELS, "widths": (8, PLANTED), "k": 2, "dead_after": 3000}
    return CoderConfig.model_validate(sizes | given)


def settings(**given: object) -> TrainSettings:
    usual = {"steps": 12, "batch": 64, "rate": 3e-3, "warm_up": 5, "checkpoint_every": 4, "fit_tokens": 512}
    return TrainSettings.model_validate(usual | given)


def weights(coder: SparseCoder) -> dict[str, Tensor]:
    return coder.state_dict()


def same(left: SparseCoder, right: SparseCoder) -> bool:
    return all(torch.equal(t, weights(right)[name]) for name, t in weights(left).items())


@pytest.mark.parametrize(("sparsity", "widths"), [("batchtopk", (8, PLANTED)), ("topk", (PLANTED,))])
def test_planted_dictionary_is_recovered(sparsity: str, widths: tuple[int, ...]):
    source = Mixture()

    coder = train(
        config(kind="sae", sparsity=sparsity, widths=widths), source, settings(steps=500, batch=256, rate=5e-3)
    )

    found = (coder.decoders[0] @ source.rows.T).max(dim=0).values
    assert float(found.detach().mean()) > 0.9
    assert measure(coder, islice(source.batches(512, 10**6), 1)).fvu[-1] < 0.35


@pytest.mark.parametrize("sparsity", ["batchtopk", "prefix-topk"])
def test_transcoder_learns_each_prefix_better_than_the_one_before(sparsity: str):
    source = Mixture(same=False)

    coder = train(config(sparsity=sparsity), source, settings(steps=300, batch=256))

    first, whole = measure(coder, islice(source.batches(512, 10**6), 1)).fvu
    assert whole < first < 1
    assert whole < 0.5


def test_stopped_and_resumed_training_has_bit_equal_weights(tmp_path: Path):
    def stop(report: Report) -> None:
        if report.step == 10:
            raise KeyboardInterrupt

    whole = train(config(dead_after=64), Mixture(), settings())
    path, asked = tmp_path / "checkpoint.safetensors", settings(report_every=1)
    with pytest.raises(KeyboardInterrupt):
        train(config(dead_after=64), Mixture(), asked, checkpoint=path, progress=stop)
    steps: list[int] = []

    went_on = train(config(dead_after=64), Mixture(), asked, checkpoint=path, progress=lambda r: steps.append(r.step))

    assert steps == [9, 10, 11, 12]
    assert same(whole, went_on)


def test_asked_to_stop_it_keeps_the_step_between_two_checkpoints_and_goes_on_to_bit_equal_weights(tmp_path: Path):
    whole = train(config(dead_after=64), Mixture(), settings())
    path, asked, begun = tmp_path / "checkpoint.safetensors", settings(report_every=1), list[int]()
    with pytest.raises(KeyboardInterrupt, match="--resume"):
        train(
            config(dead_after=64),
            Mixture(),
            asked,
            checkpoint=path,
            progress=lambda r: begun.append(r.step),
            stopping=lambda: len(begun) == 6,
        )

    went_on = train(config(dead_after=64), Mixture(), asked, checkpoint=path, progress=lambda r: begun.append(r.step))

    assert begun == list(range(1, 13))
    assert same(whole, went_on)


def test_checkpoint_remembers_how_long_each_latent_was_silent(tmp_path: Path):
    state = started(config(), settings())
    state.silent_for.copy_(torch.arange(PLANTED) * 1000)
    state.step = 7

    save(state, settings(), tmp_path / "checkpoint.safetensors")
    found = resumed(config(), settings(), tmp_path / "checkpoint.safetensors")

    assert found.step == 7
    assert found.dead().tolist() == list(range(3, PLANTED))


def test_same_seed_gives_the_same_weights_and_another_seed_others():
    first, again, other = (train(config(), Mixture(), settings(seed=seed)) for seed in (1, 1, 2))

    assert same(first, again)
    assert not same(first, other)


def test_inputs_four_times_as_large_train_the_same_coder():
    one, four = (train(config(), Mixture(scale=scale), settings()) for scale in (1.0, 4.0))

    for name in ("encoder", "encoder_bias", "decoders.0", "decoder_biases.0", "threshold"):
        assert torch.equal(weights(one)[name], weights(four)[name])
    fvu = [
        measure(coder, islice(Mixture(scale=scale).batches(256, 99), 1)).fvu for coder, scale in ((one, 1), (four, 4))
    ]
    assert fvu[0] == fvu[1]


def test_fit_finds_mean_and_root_mean_square_even_far_off():
    coder = SparseCoder(config())
    source = Mixture(shift=1000.0)

    fit(coder, source, settings(batch=100, fit_tokens=300))

    x = torch.cat([b.inputs for b in islice(source.batches(100, 0), 3)]).double()
    torch.testing.assert_close(coder.in_mean.double(), x.mean(dim=0), atol=1e-4, rtol=0)
    assert float(coder.in_scale) == pytest.approx(float((x - x.mean(dim=0)).square().mean().sqrt()), rel=1e-4)


@pytest.mark.parametrize(("kind", "unit"), [("sae", True), ("transcoder", False)])
def test_rows_of_autoencoders_have_norm_one_after_every_step_and_those_of_transcoders_are_free(kind: str, unit: bool):
    asked = settings()
    state = started(config(kind=kind), asked)
    state.coder.train()

    for batch in islice(Mixture().batches(64, 0), 3):
        learn(state, batch, asked)

        norms = state.coder.decoders[0].detach().norm(dim=1)
        assert torch.allclose(norms, torch.ones(PLANTED)) == unit
    assert state.step == 3


def test_transcoder_begins_with_the_rows_that_ridge_regression_makes_of_its_encoder():
    source, coder = Mixture(same=False, scale=3.0), SparseCoder(config(encoder_norm=0.5))
    coder.start(0)

    fit(coder, source, settings(fit_tokens=4096))

    batches = list(islice(source.batches(64, 0), 64))
    x, y = (torch.cat([batch[side] for batch in batches]).double() for side in (0, 1))
    x, y = (x - x.mean(dim=0)) / coder.in_scale, (y - y.mean(dim=0)) / coder.out_scale
    # Inputs have mean square 1, of which the penalty is a hundredth for each token.
    linear = torch.linalg.solve(x.T @ x + 0.01 * len(x) * torch.eye(CHANNELS), x.T @ y)
    torch.testing.assert_close(
        coder.decoders[0].data.double(), 2 * coder.encoder.double() @ linear, atol=1e-4, rtol=1e-3
    )


def test_raw_autoencoder_is_not_fitted_to_its_tokens():
    coder = SparseCoder(config(kind="sae", normalise=False))

    fit(coder, Mixture(shift=5.0), settings())

    assert float(coder.in_mean.abs().max()) == 0
    assert float(coder.in_scale) == 1


@pytest.mark.parametrize(("aux_weight", "revived"), [(1.0, True), (0.0, False)])
def test_dead_latents_come_back_with_the_auxiliary_loss_and_not_without(aux_weight: float, revived: bool):
    asked = settings(steps=400, batch=128, warm_up=0, decay=0.0)
    form = config(kind="sae", widths=(PLANTED,), aux_weight=aux_weight, dead_after=1000, encoder_norm=1.0)
    state = started(form, asked)
    fit(state.coder, Mixture(), asked)
    # Half of the latents are too weak to be among the largest.
    state.coder.encoder.data[: PLANTED // 2] *= 0.01
    state.coder.train()

    for batch in islice(Mixture().batches(128, 0), 400):
        learn(state, batch, asked)

    n_dead = len(state.dead())
    assert n_dead <= 1 if revived else n_dead >= PLANTED // 2


def test_rate_rises_to_its_height_and_falls_to_its_last_step():
    asked = TrainSettings(steps=10, rate=1.0, warm_up=2, decay=0.5)

    assert [rate(step, CoderForm(), asked) for step in (0, 1, 5, 6, 9)] == [0.5, 1.0, 1.0, 0.8, 0.2]


def test_reports_come_every_so_many_steps_and_at_the_end():
    reports: list[Report] = []

    train(config(), Mixture(), settings(report_every=5), progress=reports.append)

    assert [r.step for r in reports] == [5, 10, 12]
    assert all(len(r.fvu) == 2 and r.l0 == 2 and r.dead_share == 0 for r in reports)
    assert set(reports[0].losses) == {"error", "auxiliary", "magnitude"}


def test_bfloat16_products_train_nearly_the_same_coder():
    source = Mixture()

    fvu = [
        measure(train(config(), source, settings(steps=150, precision=p)), islice(source.batches(512, 9999), 1)).fvu[-1]
        for p in ("float32", "bfloat16")
    ]

    assert fvu[0] == pytest.approx(fvu[1], abs=0.05)
    assert fvu[0] != fvu[1]


def test_released_form_trains_with_five_decoders():
    form = CoderForm(
        widths=(4, 8, 24), k=6, sparsity="band-topk", ks=(1, 2, 3), decoder="separate", normalise=False,
        aux_weight=0.0, l1_weight=0.01, jump=1.0,
    )  # fmt: skip
    coder = train(CoderConfig(d_in=CHANNELS, d_out=CHANNELS, **dict(form)), Mixture(), settings(steps=300, batch=256))

    found = measure(coder, islice(Mixture().batches(512, 9999), 1))
    assert [tuple(d.shape) for d in coder.decoders] == [(4, 16), (8, 16), (24, 16)]
    assert found.fvu[-1] < 0.6
    assert found.l0[-1] <= 6


def test_checkpoint_of_other_settings_or_no_checkpoint_is_one_line(tmp_path: Path):
    path = tmp_path / "checkpoint.safetensors"
    train(config(), Mixture(), settings(), checkpoint=path)

    def says(message: str, asked: TrainSettings, wanted: CoderConfig) -> None:
        with pytest.raises(SettingsError, match=message) as caught:
            train(wanted, Mixture(), asked, checkpoint=path)
        assert "\n" not in str(caught.value)

    says("was written with rate 0.003, not 0.004; give the same", settings(rate=4e-3), config())
    says("was written with k 2, not 3", settings(), config(k=3))
    path.write_bytes(path.read_bytes()[:-9])
    says("not a checkpoint to go on from", settings(), config())
    path.write_bytes(b"")
    says("not a checkpoint to go on from", settings(), config())


def test_unknown_device_and_endless_loss_are_one_line():
    with pytest.raises(SettingsError, match="--device nope: cannot be used"):
        train(config(), Mixture(), settings(device="nope"))
    with pytest.raises(SettingsError, match="no longer finite"):
        train(config(normalise=False), Mixture(scale=1e30), settings())


def test_batches_that_a_thread_makes_ahead_train_the_same_coder(monkeypatch: pytest.MonkeyPatch):
    plain = train(config(), Mixture(), settings())
    monkeypatch.setattr("autointerp.transcoder.trainer.on_device", lambda made, device: ahead(made))

    assert same(train(config(), Mixture(), settings()), plain)


def test_no_more_batches_are_made_ahead_than_asked_and_what_fails_there_is_told():
    made: list[int] = []

    def batches() -> Iterator[TokenBatch]:
        for number in range(7):
            made.append(number)
            yield TokenBatch(torch.full((1, 1), number), torch.zeros(1, 1))
        raise SettingsError("an image is gone")

    coming = ahead(batches(), 2)
    first = next(coming)
    assert len(made) <= 3
    seen = [first.inputs.item()]
    with pytest.raises(SettingsError, match="an image is gone"):
        seen.extend(batch.inputs.item() for batch in coming)
    assert seen == list(range(7))


def test_batches_for_the_cpu_are_handed_on_as_they_are():
    made = Mixture().batches(4, 0)

    assert on_device(made, "cpu") is made


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_batches_for_a_cuda_device_are_there_and_the_same():
    plain = list(islice(Mixture().batches(64, 0), 5))

    moved = list(on_device(islice(Mixture().batches(64, 0), 5), "cuda"))

    assert all(b.inputs.is_cuda and torch.equal(a.inputs, b.inputs.cpu()) for a, b in zip(plain, moved, strict=True))


def test_tensor_float_32_on_a_cpu_is_one_line():
    with pytest.raises(SettingsError, match="--precision tf32: CUDA devices have it, and --device is cpu"):
        train(config(), Mixture(), settings(precision="tf32"))
