"""delphi: `{hookpoint}/{a}_{b}.safetensors`, with `config.json` beside them.

`locations` count latents from `a`; `b` is the last one; `activations` are float16; images in a last batch that is not
full were not run (eai-delphi 0.1.3, `LatentCache.save_splits` and `load_token_batches`).
"""

from dataclasses import dataclass
from pathlib import Path

from autointerp.errors import DumpError, SettingsError
from autointerp.transcoder.recorded.covered import n_covered, rest_note
from autointerp.transcoder.recorded.events import Asked, Recording, layout_of
from autointerp.transcoder.recorded.located import Located, Shard, module_folder, open_shards, width_of
from autointerp.transcoder.recorded.metadata import Metadata, read_metadata

CONFIG = "config.json"


@dataclass(frozen=True, slots=True)
class Delphi:
    """The files of one hookpoint."""

    folder: Path
    config: Metadata
    shards: tuple[Shard, ...]
    images: Path | None = None
    """Where the files say that the images lie; they do not."""

    def recording(self, asked: Asked) -> Recording:
        """Returns what they hold.

        Raises:
            DumpError: the files contradict each other.
            SettingsError: what the files do not say is missing.
        """
        stated, n_positions = self._shape()
        where = str(self.folder)
        expected = self._expected(asked.n_images, n_positions)
        if stated is None and asked.n_run is None:
            stated = expected
        n_images = n_covered(stated, asked, where, expected=expected)
        n_latents, lost = width_of(self.shards)
        why = "were not run, by n_tokens and batch_size of config.json" if n_images == expected else "were not run"
        return Recording(
            tool="delphi",
            model=self.config.text("model_name") or "unknown",
            hookpoint=self.folder.name,
            n_images=n_images,
            n_latents=n_latents,
            layout=layout_of(n_positions, asked.grid, where),
            chunks=Located(self.shards, n_images or asked.n_images, n_positions, n_latents, relative=True),
            files=tuple(shard.path for shard in self.shards),
            lost=lambda _: lost,
            notes=() if n_images is None else rest_note(n_images, asked, why),
        )

    def _shape(self) -> tuple[int | None, int]:
        """Returns how many images were run, if the files say so, and how many positions each has."""
        first = next((shard for shard in self.shards if shard.tokens is not None), None)
        stated = self.config.number("cache_ctx_len")
        for shard in self.shards:
            if first is not None and shard.tokens not in (None, first.tokens):
                raise DumpError(
                    f"{shard.path}: tokens has shape {list(shard.tokens or ())}, and that of {first.path.name} is "
                    f"{list(first.tokens or ())}; remove the files of another recording"
                )
        if first is not None and first.tokens is not None:
            if stated not in (None, first.tokens[1]):
                raise DumpError(
                    f"{first.path}: tokens has {first.tokens[1]} positions an image, and cache_ctx_len of {CONFIG} is "
                    f"{stated}; put the {CONFIG} that belongs to the files beside them, or remove it"
                )
            return first.tokens
        if stated is None:
            raise SettingsError(
                f"{self.folder}: there are neither tokens nor {CONFIG}, which say how many positions an image has; put "
                f"the {CONFIG} that belongs to the files beside them"
            )
        return None, stated

    def _expected(self, n_images: int, n_positions: int) -> int | None:
        """Returns how many of so many images delphi runs, by config.json; None if that does not say."""
        n_tokens, batch = self.config.number("n_tokens"), self.config.number("batch_size")
        if n_tokens is None or batch is None:
            return None
        return min(n_tokens // n_positions, n_images) // batch * batch


def open_delphi(source: Path, hookpoint: str | None) -> Delphi:
    """Opens the files of a hookpoint.

    Args:
        source: their folder, or one above it.
        hookpoint: which, where there are several.

    Raises:
        DumpError: a file is not as the format says.
        SettingsError: there are several hookpoints.
    """
    folder = module_folder(source, hookpoint)
    return Delphi(folder, read_metadata(folder / CONFIG), open_shards(folder))
