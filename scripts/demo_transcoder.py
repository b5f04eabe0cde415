"""A small Matryoshka transcoder of one MLP: nested prefixes of one dictionary, TopK, trained on the demo population."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from demo_harvest import PATCHES, Harvest
from torch import Tensor

WIDTHS = (128, 512, 2048)
K = 16
STEPS = 2500
BATCH = 1024
RATE = 1e-3
N_TOKENS = 400_000


class Transcoder(NamedTuple):
    """latents = TopK(relu((input - in_mean) / in_scale @ encoder + bias)); output = latents @ decoder + out_mean."""

    in_mean: Tensor
    in_scale: Tensor
    encoder: Tensor
    bias: Tensor
    decoder: Tensor
    out_mean: Tensor


class Encoded(NamedTuple):
    """Activations of the latents on the population."""

    peak: npt.NDArray[np.float32]
    """[images, latents]: maximum over the patches."""
    indices: npt.NDArray[np.int16]
    """[images, patches, K]: which latents are on in each patch."""
    values: npt.NDArray[np.float16]
    """[images, patches, K]: how strongly."""
    fvu: tuple[float, ...]
    """Fraction of variance unexplained by each prefix, on images left out of the training."""


def heat_map(encoded: Encoded, image: int, latent: int) -> npt.NDArray[np.float32]:
    """[patches]: the activation of one latent over one image."""
    hit = encoded.indices[image] == latent
    return np.where(hit, encoded.values[image], 0).astype(np.float32).sum(axis=-1)


def encoded_population(found: Harvest, seed: int) -> Encoded:
    """Trains and encodes, or reads what an earlier run has left beside the harvest."""
    file = found.folder / f"transcoder-{seed}-{WIDTHS[-1]}-{K}-{STEPS}.npz"
    if not file.exists():
        _train_and_encode(found, seed, file)
    with np.load(file) as stored:
        return Encoded(stored["peak"], stored["indices"], stored["values"], tuple(stored["fvu"].tolist()))


def _train_and_encode(found: Harvest, seed: int, file: Path) -> None:
    torch.manual_seed(seed)
    order = torch.randperm(len(found.read)).numpy()
    held_out, used = order[: len(order) // 20], np.sort(order[len(order) // 20 :])
    patches = torch.randint(PATCHES, (len(used), -(-N_TOKENS // len(used)))).numpy()
    inputs = torch.from_numpy(np.concatenate([found.read[i][p] for i, p in zip(used, patches, strict=True)])).float()
    targets = torch.from_numpy(
        np.concatenate([found.written[i][p] for i, p in zip(used, patches, strict=True)])
    ).float()
    model = _train(inputs, targets)
    fvu = _fvu(model, found, held_out)
    print("unexplained variance of the prefixes", WIDTHS, np.round(fvu, 3))
    peaks, indices, values = [], [], []
    for start in range(0, len(found.read), 16):
        value, index = _top(model, torch.from_numpy(found.read[start : start + 16].astype(np.float32)))
        dense = torch.zeros(*value.shape[:2], WIDTHS[-1]).scatter_(-1, index, value)
        peaks.append(dense.amax(dim=1).numpy())
        indices.append(index.numpy().astype(np.int16))
        values.append(value.numpy().astype(np.float16))
    np.savez(
        file,
        peak=np.concatenate(peaks),
        indices=np.concatenate(indices),
        values=np.concatenate(values),
        fvu=np.array(fvu),
    )


@torch.inference_mode()
def _top(model: Transcoder, inputs: Tensor) -> tuple[Tensor, Tensor]:
    before = (inputs - model.in_mean) / model.in_scale @ model.encoder + model.bias
    value, index = before.relu().topk(K, dim=-1)
    return value, index


def _train(inputs: Tensor, targets: Tensor) -> Transcoder:
    in_mean, out_mean = inputs.mean(dim=0), targets.mean(dim=0)
    in_scale, out_scale = (inputs - in_mean).std(), (targets - out_mean).std()
    decoder = torch.nn.functional.normalize(torch.randn(WIDTHS[-1], targets.shape[1]), dim=-1)
    encoder = torch.nn.functional.normalize(torch.randn(inputs.shape[1], WIDTHS[-1]), dim=0)
    bias = torch.zeros(WIDTHS[-1])
    learned = [encoder.requires_grad_(), bias.requires_grad_(), decoder.requires_grad_()]
    optimiser = torch.optim.Adam(learned, lr=RATE, betas=(0.9, 0.99))
    silent_for = torch.zeros(WIDTHS[-1])
    for step in range(STEPS):
        for group in optimiser.param_groups:
            group["lr"] = RATE * min(1.0, (step + 1) / 50) * min(1.0, (STEPS - step) / (STEPS * 0.3))
        rows = torch.randint(len(inputs), (BATCH,))
        x, y = (inputs[rows] - in_mean) / in_scale, (targets[rows] - out_mean) / out_scale
        before = (x @ encoder + bias).relu()
        value, index = before.topk(K, dim=-1)
        latents = torch.zeros_like(before).scatter(-1, index, value)
        loss, error = _nested_loss(latents, decoder, y)
        silent_for = torch.where((latents.detach() > 0).any(dim=0), 0, silent_for + 1)
        loss = loss + _revive(before, silent_for > 40, decoder, error.detach()) / 16
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        with torch.no_grad():
            decoder.div_(decoder.norm(dim=-1, keepdim=True))
        if step % 100 == 0:
            print(f"transcoder step {step} loss {loss.item():.3f} silent {int((silent_for > 40).sum())}", flush=True)
    return Transcoder(in_mean, in_scale, encoder.detach(), bias.detach(), decoder.detach() * out_scale, out_mean)


def _nested_loss(latents: Tensor, decoder: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Mean over the prefixes of their squared error, and the last one's error."""
    total, done, made, error = torch.zeros(()), 0, torch.zeros_like(target), target
    for width in WIDTHS:
        made = made + latents[:, done:width] @ decoder[done:width]
        error = target - made
        total, done = total + error.square().mean() / len(WIDTHS), width
    return total, error


def _revive(before: Tensor, dead: Tensor, decoder: Tensor, error: Tensor) -> Tensor:
    """Lets latents that have been silent for long explain what the others left over (auxiliary loss)."""
    if int(dead.sum()) < K:
        return torch.zeros(())
    value, index = before[:, dead].topk(K, dim=-1)
    latents = torch.zeros_like(before[:, dead]).scatter(-1, index, value)
    return (error - latents @ decoder[dead]).square().mean()


@torch.inference_mode()
def _fvu(model: Transcoder, found: Harvest, images: npt.NDArray[np.int64]) -> list[float]:
    chosen = np.sort(images)[::2]
    inputs = torch.from_numpy(found.read[chosen].astype(np.float32)).flatten(0, 1)
    targets = torch.from_numpy(found.written[chosen].astype(np.float32)).flatten(0, 1)
    value, index = _top(model, inputs)
    latents = torch.zeros(len(inputs), WIDTHS[-1]).scatter_(-1, index, value)
    variance = (targets - targets.mean(dim=0)).square().sum()
    errors = [targets - model.out_mean - latents[:, :w] @ model.decoder[:w] for w in WIDTHS]
    return [float(e.square().sum() / variance) for e in errors]
