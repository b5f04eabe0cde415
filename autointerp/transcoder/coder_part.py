"""Some latents of a coder as a coder of their own: small enough to lie beside a dump, and numbered as in the whole."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from autointerp.errors import SettingsError
from autointerp.transcoder.activation import Encoded
from autointerp.transcoder.backbones.module import state_digest
from autointerp.transcoder.coder import SparseCoder
from autointerp.transcoder.coder_io import CoderInfo, PartOf, StoredCoder, load_coder, save_coder
from autointerp.transcoder.harvest.encode import Encoder


class Renumbered:
    """A part of a coder, whose latents bear the numbers that they have in the whole."""

    def __init__(self, part: Encoder, whole: PartOf) -> None:
        self._part = part
        self.whole = whole
        self._numbers = torch.tensor(whole.latents, dtype=torch.int64)
        self.n_latents = whole.widths[-1]
        self.widths = whole.widths

    def encode(self, inputs: Tensor, /) -> Encoded:
        """Encodes [tokens, d_in]; the latents that are left out count as 0."""
        values, indices = self._part.encode(inputs)
        return Encoded(values, self._numbers.to(indices.device)[indices])


def save_part(spec: str | Path, latents: Sequence[int], folder: Path) -> StoredCoder:
    """Writes some latents of a coder, which fire as they do in the whole.

    Args:
        spec: the whole coder, with `batchtopk`: there a latent is kept by a threshold, whatever the others do.
        latents: ascending.
        folder: is made.

    Raises:
        SettingsError: the coder's latents depend on one another, or the folder cannot be written.
    """
    coder, info = load_coder(spec)
    if not isinstance(coder, SparseCoder) or not isinstance(info, CoderInfo) or coder.config.sparsity != "batchtopk":
        raise SettingsError(f"{spec}: only latents of a coder of this program with batchtopk can be taken out of it")
    rows, n = torch.from_numpy(np.array(latents, np.int64)), len(latents)
    config = coder.config.model_copy(
        update={"widths": (n,), "prefix_weights": None, "ks": None, "k": min(coder.config.k, n), "decoder": "shared"}
    )
    part = SparseCoder(config)
    with torch.no_grad():
        for name, buffer in coder.named_buffers():
            if name != "band_of":
                part.get_buffer(name).copy_(buffer)
        part.encoder.copy_(coder.encoder[rows])
        part.encoder_bias.copy_(coder.encoder_bias[rows])
        part.decoders[0].copy_(coder.decoders[-1][rows])
        part.decoder_biases[0].copy_(coder.decoder_biases[-1])
        if isinstance(part.skip, nn.Parameter) and coder.skip is not None:
            part.skip.copy_(coder.skip)
    digest = state_digest(coder, coder.config.model_dump_json())
    whole = PartOf(widths=coder.widths, latents=tuple(latents), digest=digest)
    told = info.model_copy(update={"config": config, "part_of": whole, "training": None})
    save_coder(part, told, folder)
    return load_coder(folder)
