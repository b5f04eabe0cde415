"""Trains a coder with this package, by its defaults or with decoder rows whose norms are learned."""

import torch
from torch import Tensor
from torch.nn import functional

from autointerp.transcoder.coder import SparseCoder
from autointerp.transcoder.settings import CoderConfig, TrainSettings
from autointerp.transcoder.trainer import train
from benchmarks.coders.measures import Coder
from benchmarks.coders.peers import Task
from benchmarks.coders.world import Stream

SPARSITY = {"topk": "topk", "transcoder": "topk", "prefix-topk": "prefix-topk"}
"""By kind; the others are BatchTopK."""
NESTED = ("matryoshka", "prefix-topk", "matryoshka-transcoder")
KEPT = {"topk": "token", "batchtopk": "batch", "prefix-topk": "prefix"}
FIT = 16_384
"""Tokens that means, scales and the map are fitted on."""


def config_of(task: Task, channels: int, **how: object) -> CoderConfig:
    """What is trained: the defaults in all but kind, sizes and k, and what is given."""
    form = CoderConfig(
        d_in=channels,
        d_out=channels,
        kind="transcoder" if task.kind.endswith("transcoder") else "sae",
        widths=task.widths if task.kind in NESTED else task.widths[-1:],
        k=task.k,
        sparsity=SPARSITY.get(task.kind, "batchtopk"),
    )
    return form.model_copy(update=how)


def free(task: Task, stream: Stream) -> Coder:
    """Trains with `--decoder-rows free`."""
    return ours(task, stream, decoder_rows="free")


def ours(task: Task, stream: Stream, **form: object) -> Coder:
    """Trains by `autointerp.transcoder.trainer.train`."""
    how = {} if task.rate is None else {"rate": task.rate}
    settings = TrainSettings(steps=task.steps, batch=task.batch, seed=task.seed, fit_tokens=FIT, **how)
    return readable(train(config_of(task, stream.channels, **form), stream, settings))


def readable(coder: SparseCoder) -> Coder:
    """The coder as the measures read it."""
    weights = coder.state_dict()

    def activations(x: Tensor) -> Tensor:
        normal = (x - coder.in_mean) / coder.in_scale
        return functional.linear(normal, weights["encoder"], weights["encoder_bias"]).relu()

    bias = weights["decoder_biases.0"] * coder.out_scale + coder.out_mean
    rows: Tensor = weights["decoders.0"] * coder.out_scale
    return Coder(activations, torch.clone(rows), bias, KEPT[coder.config.sparsity], nested=len(coder.widths) > 1)
