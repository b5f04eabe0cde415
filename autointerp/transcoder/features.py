"""One vector an image from a frozen backbone, computed once and kept on disk."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from autointerp.errors import SettingsError
from autointerp.populations.images import PopulationImage
from autointerp.processes import draft_of
from autointerp.transcoder.backbones.protocol import Backbone, hookpoint_of
from autointerp.transcoder.batches import prepared_batches

BATCH = 16
"""Images run at once."""
SHARD = 128
"""Images a file: what a kill loses at most."""


def image_vectors(
    backbone: Backbone,
    hookpoint: str,
    images: Sequence[PopulationImage],
    folder: Path,
    progress: Callable[[int, int], None],
) -> Tensor:
    """Computes the vector of each image, [n, width], float32: the mean over the patches, or the pooled one.

    Each is kept by its image's SHA-256 in a folder named after the backbone's digest and the hookpoint, so that a
    later call computes only what is missing.

    Args:
        backbone: the frozen model.
        hookpoint: of either kind.
        images: whose vectors are wanted.
        folder: of all kept vectors; is made.
        progress: is told images done and all images.

    Raises:
        SettingsError: there is no such hookpoint, or the folder or a file in it cannot be used.
    """
    hookpoint_of(backbone, hookpoint)
    place = folder / f"{backbone.digest[:16]}-{hookpoint}"
    try:
        place.mkdir(parents=True, exist_ok=True)
        known = _kept(place)
        wanted = {i.sha256: i for i in images}
        missing = [i for digest, i in wanted.items() if digest not in known]
        done = len(wanted) - len(missing)
        progress(done, len(wanted))
        for start in range(0, len(missing), SHARD):
            part = missing[start : start + SHARD]
            for batch, pixels in prepared_batches(backbone, part, size=BATCH):
                found = _one_each(backbone.run(pixels, [hookpoint])[hookpoint])
                known.update(zip((i.sha256 for i in batch), found, strict=True))
                done += len(batch)
                progress(done, len(wanted))
            _keep(place, [i.sha256 for i in part], known)
    except OSError as e:
        raise SettingsError(f"{e.filename or place}: cannot be written: {e.strerror or e}") from e
    return torch.stack([known[i.sha256] for i in images])


def _one_each(values: Tensor) -> Tensor:
    """Returns [n, width] on the CPU, from [n, width] or [n, patches, width]."""
    return (values.mean(dim=1) if values.ndim == 3 else values).float().cpu()


def _kept(place: Path) -> dict[str, Tensor]:
    """Reads the vectors of all shards there are, by SHA-256."""
    known: dict[str, Tensor] = {}
    for path in sorted(place.glob("*.safetensors")):
        try:
            with safe_open(path, framework="pt") as shard:
                digests: list[str] = json.loads(shard.metadata()["sha256"])
                known.update(zip(digests, shard.get_tensor("vectors"), strict=True))
        except (SafetensorError, KeyError, TypeError, ValueError) as e:
            raise SettingsError(f"{path}: not vectors as this program keeps them ({e}); delete the file") from e
    return known


def _keep(place: Path, digests: list[str], known: dict[str, Tensor]) -> None:
    """Writes a shard named after what it holds; half a one never stands under its name."""
    path = place / f"{digests[0][:16]}-{len(digests)}.safetensors"
    half = draft_of(path)
    save_file({"vectors": torch.stack([known[d] for d in digests])}, half, metadata={"sha256": json.dumps(digests)})
    half.replace(path)
