"""Trains a coder with each of the other libraries, by its own training loop."""

import contextlib
import io
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.coders.measures import Coder
from benchmarks.coders.world import TOKENS, Stream


class Task(NamedTuple):
    """What every library is asked for alike."""

    kind: str
    """`topk`, `batchtopk`, `matryoshka` (with BatchTopK) or `transcoder` (TopK)."""
    widths: tuple[int, ...]
    k: int
    steps: int
    batch: int
    seed: int
    rate: float | None
    """The learning rate; None for the library's own settings in all but what stands above."""


Training = Callable[[Task, Stream], Coder]


def sparsify(task: Task, stream: Stream) -> Coder:
    """Trains by sparsify's `Trainer`, on a model whose one layer reads and writes the stored tokens."""
    from sparsify import SparseCoder, SparseCoderConfig, TrainConfig, Trainer

    transcodes = task.kind == "transcoder"
    own = {} if task.rate is None else {"optimizer": "adam", "lr": task.rate, "lr_warmup_steps": _rising(task)}
    sizes = SparseCoderConfig(num_latents=task.widths[-1], k=task.k, transcode=transcodes)
    sequences = stream.order.reshape(-1, TOKENS)
    with tempfile.TemporaryDirectory() as folder:
        config = TrainConfig(
            sizes, batch_size=task.batch // TOKENS, hookpoints=["layer"], init_seeds=[task.seed], log_to_wandb=False,
            save_every=10**9, save_dir=folder, run_name="coder", **own,
        )  # fmt: skip
        with _silent():
            Trainer(config, [{"input_ids": ids} for ids in sequences], _Stored(stream)).fit()  # type: ignore
        made = SparseCoder.load_from_disk(next(Path(folder).rglob("cfg.json")).parent)
    bias = made.b_dec.data
    return Coder(
        lambda x: functional.linear(x if transcodes else x - bias, made.encoder.weight, made.encoder.bias).relu(),
        made.W_dec.data, bias, "token", nested=False,
    )  # fmt: skip


class _Stored(nn.Module):
    """Stands for a language model of one layer, whose activations are those stored."""

    def __init__(self, stream: Stream) -> None:
        super().__init__()
        self.layer = _Layer(stream.targets)
        self.inputs = stream.inputs
        self.device = torch.device("cpu")
        self.dummy_inputs = {"ids": torch.zeros(1, TOKENS, dtype=torch.int64)}

    @property
    def base_model(self) -> nn.Module:
        return self

    def forward(self, ids: Tensor) -> Tensor:
        self.layer.ids = ids
        return self.layer(self.inputs[ids])


class _Layer(nn.Module):
    def __init__(self, targets: Tensor) -> None:
        super().__init__()
        self.targets = targets
        self.ids = torch.zeros(0, dtype=torch.int64)

    def forward(self, _: Tensor) -> Tensor:
        return self.targets[self.ids]


def dictionary_learning(task: Task, stream: Stream) -> Coder:
    """Trains by dictionary_learning's `trainSAE`."""
    from dictionary_learning.trainers.batch_top_k import BatchTopKSAE, BatchTopKTrainer
    from dictionary_learning.trainers.matryoshka_batch_top_k import MatryoshkaBatchTopKSAE, MatryoshkaBatchTopKTrainer
    from dictionary_learning.trainers.top_k import AutoEncoderTopK, TopKTrainer
    from dictionary_learning.training import trainSAE

    trainer, made_by = {
        "topk": (TopKTrainer, AutoEncoderTopK),
        "batchtopk": (BatchTopKTrainer, BatchTopKSAE),
        "matryoshka": (MatryoshkaBatchTopKTrainer, MatryoshkaBatchTopKSAE),
    }[task.kind]
    config = {
        "trainer": trainer, "activation_dim": stream.channels, "dict_size": task.widths[-1], "k": task.k, "layer": 0,
        "lm_name": "none", "steps": task.steps, "seed": task.seed, "device": "cpu",
    }  # fmt: skip
    if task.rate is not None:
        # The defaults are for hundreds of thousands of steps.
        late = {"warmup_steps": _rising(task), "decay_start": int(0.7 * task.steps), "threshold_start_step": 100}
        config |= {"lr": task.rate} | late
    if task.kind == "matryoshka":
        config["group_fractions"] = [b / task.widths[-1] for b in _bands(task.widths)]
    with tempfile.TemporaryDirectory() as folder:
        with _silent():
            trainSAE(stream.tokens(), [config], steps=task.steps, save_dir=folder, device="cpu")
        made = made_by.from_pretrained(Path(folder) / "trainer_0" / "ae.pt")
    if task.kind == "matryoshka":
        weight, encoder_bias, rows = made.W_enc.data.T, made.b_enc.data, made.W_dec.data
    else:
        weight, encoder_bias, rows = made.encoder.weight.data, made.encoder.bias.data, made.decoder.weight.data.T
    bias = made.b_dec.data
    return Coder(
        lambda x: functional.linear(x - bias, weight, encoder_bias).relu(),
        rows, bias, "token" if task.kind == "topk" else "batch", nested=task.kind == "matryoshka",
    )  # fmt: skip


def sae_lens(task: Task, stream: Stream) -> Coder:
    """Trains by SAELens' `SAETrainer`."""
    from sae_lens.config import SAETrainerConfig
    from sae_lens.registry import SAE_CLASS_REGISTRY, register_sae_class
    from sae_lens.saes.batchtopk_sae import BatchTopKTrainingSAE, BatchTopKTrainingSAEConfig
    from sae_lens.saes.matryoshka_batchtopk_sae import (
        MatryoshkaBatchTopKTrainingSAE,
        MatryoshkaBatchTopKTrainingSAEConfig,
    )
    from sae_lens.saes.topk_sae import TopKSAE, TopKSAEConfig, TopKTrainingSAE, TopKTrainingSAEConfig
    from sae_lens.training.sae_trainer import SAETrainer

    of, config_of = {
        "topk": (TopKTrainingSAE, TopKTrainingSAEConfig),
        "batchtopk": (BatchTopKTrainingSAE, BatchTopKTrainingSAEConfig),
        "matryoshka": (MatryoshkaBatchTopKTrainingSAE, MatryoshkaBatchTopKTrainingSAEConfig),
    }[task.kind]
    if "topk" not in SAE_CLASS_REGISTRY:
        # Its table of contents does so.
        register_sae_class("topk", TopKSAE, TopKSAEConfig)
    own = {"matryoshka_widths": list(task.widths)} if task.kind == "matryoshka" else {}
    torch.manual_seed(task.seed)
    made = of(config_of(d_in=stream.channels, d_sae=task.widths[-1], k=task.k, **own))
    # The last rate is a tenth of the highest, as its command for whole models has it.
    how: dict[str, float | int] = {"lr_end": 3e-5}
    if task.rate is not None:
        falling, window = int(0.3 * task.steps), task.steps // 5
        how = {"lr": task.rate, "lr_end": task.rate / 10, "lr_warm_up_steps": _rising(task), "lr_decay_steps": falling}
        how |= {"dead_feature_window": max(100, window)}
    config = SAETrainerConfig(task.steps * task.batch, task.batch, **how)  # type: ignore
    with _silent():
        SAETrainer(config, made, stream.tokens()).fit()
    norms, bias = made.W_dec.data.norm(dim=1), made.b_dec.data
    takes = bias if made.cfg.apply_b_dec_to_input else torch.zeros_like(bias)
    weight, encoder_bias = (made.W_enc.data * norms).T, made.b_enc.data * norms
    return Coder(
        lambda x: functional.linear(x - takes, weight, encoder_bias).relu(),
        made.W_dec.data / norms[:, None], bias, "token" if task.kind == "topk" else "batch",
        nested=task.kind == "matryoshka",
    )  # fmt: skip


def overcomplete(task: Task, stream: Stream) -> Coder:
    """Trains by overcomplete's `train_sae`, with the optimiser and the criterion of its first page."""
    from overcomplete.sae.batchtopk_sae import BatchTopKSAE
    from overcomplete.sae.topk_sae import TopKSAE
    from overcomplete.sae.train import train_sae

    torch.manual_seed(task.seed)
    if task.kind == "topk":
        made = TopKSAE(stream.channels, nb_concepts=task.widths[-1], top_k=task.k)
    else:
        # Its k is of the whole batch.
        made = BatchTopKSAE(stream.channels, nb_concepts=task.widths[-1], top_k=task.k * task.batch)
    optimiser = torch.optim.Adam(made.parameters(), lr=task.rate or 5e-4)

    def criterion(x: Tensor, x_hat: Tensor, *_: Tensor) -> Tensor:
        return (x - x_hat).square().mean()

    train_sae(made, stream.tokens(), criterion, optimiser, nb_epochs=1, monitoring=0)
    made.eval()
    kept = "token" if task.kind == "topk" else "batch"
    rows = made.get_dictionary().detach()
    return Coder(lambda x: made.encoder(x)[1], rows, torch.zeros(stream.channels), kept, nested=False)


def _rising(task: Task) -> int:
    """Returns over how many steps the rate rises, as ours does."""
    return min(50, task.steps // 10)


def _bands(widths: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(b - a for a, b in zip((0, *widths), widths, strict=False))


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Keeps what a library prints to itself."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield


PEERS: Mapping[str, Mapping[str, Training]] = {
    "topk": {
        "sparsify": sparsify,
        "dictionary_learning": dictionary_learning,
        "SAELens": sae_lens,
        "overcomplete": overcomplete,
    },
    "batchtopk": {"dictionary_learning": dictionary_learning, "SAELens": sae_lens, "overcomplete": overcomplete},
    "matryoshka": {"dictionary_learning": dictionary_learning, "SAELens": sae_lens},
    "transcoder": {"sparsify": sparsify},
}
"""Which libraries train a coder of each kind."""
