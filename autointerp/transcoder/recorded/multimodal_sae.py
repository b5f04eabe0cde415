"""multimodal-sae: `{module}/{a}_{b}.safetensors` of delphi's shape, with latents counted from 0.

The tool leaves out the last latent of every file (`features < end`, where `end` is the last one; `Cache.save_splits`).
Positions from the end of the base grid on are those of any-resolution tiles, whose number differs from image to image.
Each process drops its last batch if that is not full, and appends its images to those of the others in no order.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from autointerp.statistics.rates import Bools, Ints
from autointerp.transcoder.recorded.covered import n_covered, rest_note
from autointerp.transcoder.recorded.events import Asked, Layout, Recording
from autointerp.transcoder.recorded.located import Located, Shard, module_folder, open_shards, width_of

GRID = (24, 24)
"""Of LLaVA-NeXT's base image; SigLIP's is 27 x 27."""


@dataclass(frozen=True, slots=True)
class MultimodalSae:
    """The files of one module."""

    folder: Path
    shards: tuple[Shard, ...]
    images: Path | None = None
    """Where the files say that the images lie; they do not."""

    def recording(self, asked: Asked) -> Recording:
        """Returns what they hold.

        Raises:
            DumpError: the files contradict each other.
            SettingsError: what the files do not say is missing.
        """
        n_images = n_covered(None, asked, str(self.folder))
        n_latents, unfiled = width_of(self.shards)
        rows, columns = asked.grid if isinstance(asked.grid, tuple) else GRID
        layout = Layout(None, 0, rows * columns, None if asked.grid == "none" else (rows, columns))
        return Recording(
            tool="multimodal-sae",
            model="unknown",
            hookpoint=self.folder.name,
            n_images=n_images,
            n_latents=n_latents,
            layout=layout,
            chunks=Located(self.shards, n_images or asked.n_images, None, n_latents, relative=False),
            files=tuple(shard.path for shard in self.shards),
            lost=lambda fired: np.union1d(unfiled, self._ends(fired)),
            notes=() if n_images is None else rest_note(n_images, asked, "were not run"),
        )

    def _ends(self, fired: Bools) -> Ints:
        """Returns the last latent of each file, unless one of them fires, so that the tool's fault has been mended."""
        ends = np.unique([shard.last for shard in self.shards])
        return ends[:0] if fired[ends].any() else ends


def open_multimodal_sae(source: Path, hookpoint: str | None) -> MultimodalSae:
    """Opens the files of a module.

    Args:
        source: their folder, or one above it.
        hookpoint: which, where there are several.

    Raises:
        DumpError: a file is not as the format says.
        SettingsError: there are several modules.
    """
    folder = module_folder(source, hookpoint)
    return MultimodalSae(folder, open_shards(folder))
