"""Writes coders as other tools write them, with classes of their names, and computes their latents slowly."""

import gzip
import json
import pickle
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

D_IN, D_OUT, N = 4, 3, 6
Arrays = dict[str, np.ndarray]


def weights(
    seed: int = 0, *, d_out: int = D_IN, extra: Mapping[str, tuple[int, ...]] | None = None
) -> dict[str, Tensor]:
    """W_enc [4, 6], b_enc, W_dec [6, d_out], b_dec [d_out] and more; latent 2 is dead, the last one is not."""
    made = torch.Generator().manual_seed(seed)
    shapes = {"W_enc": (D_IN, N), "b_enc": (N,), "W_dec": (N, d_out), "b_dec": (d_out,), **(extra or {})}
    found = {name: torch.randn(shape, generator=made) for name, shape in shapes.items()}
    found["W_enc"][:, 2] = 0
    found["b_enc"][2] = -1
    found["b_enc"][N - 1] = 3
    return found


def tokens() -> Tensor:
    return torch.randn(9, D_IN, generator=torch.Generator().manual_seed(5)) * 2 + 0.5


@contextmanager
def importable(*names: str) -> Iterator[list[type]]:
    """Gives empty classes that pickle under these names, such as vit_prisma.sae.config.Config, while it lasts."""
    before = dict(sys.modules)
    made = []
    for name in names:
        home, _, own = name.rpartition(".")
        parts = home.split(".")
        for i in range(1, len(parts) + 1):
            sys.modules.setdefault(".".join(parts[:i]), ModuleType(".".join(parts[:i])))
        made.append(type(own, (), {"__module__": home}))
        setattr(sys.modules[home], own, made[-1])
    try:
        yield made
    finally:
        for name in set(sys.modules) - set(before):
            if name.partition(".")[0] in {n.partition(".")[0] for n in names}:
                del sys.modules[name]


def save_pickled(path: Path, config_class: str, config: dict[str, object], state: dict[str, Tensor]) -> Path:
    """{cfg, state_dict} with a foreign class as settings: `.pt`, `.pkl`, `.pkl.gz`, or torch's legacy `.pth`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with importable(config_class) as (kind,):
        cfg = kind()
        cfg.__dict__.update(config)
        what = {"cfg": cfg, "state_dict": state}
        if path.suffix == ".gz":
            with gzip.open(path, "wb") as file:
                pickle.dump(what, file)
        elif path.suffix == ".pkl":
            path.write_bytes(pickle.dumps(what))
        else:
            torch.save(what, path, _use_new_zipfile_serialization=path.suffix != ".pth")
    return path.parent


PRISMA: dict[str, object] = {
    "model_name": "open-clip:laion/CLIP-ViT-B-32",
    "hook_point_layer": 5,
    "layer_subtype": "hook_resid_post",
    "hook_point_head_index": None,
    "architecture": "standard",
    "is_transcoder": False,
    "d_in": D_IN,
    "activation_fn_str": "relu",
    "activation_fn_kwargs": {},
    "cls_token_only": False,
    "normalize_activations": "none",
}
PRISMA_CLASS = "vit_prisma.sae.config.VisionModelSAERunnerConfig"


def prisma(
    folder: Path, state: dict[str, Tensor], *, beside: bool = True, file: str = "weights.pt", **config: object
) -> Path:
    settings = PRISMA | config
    save_pickled(folder / file, PRISMA_CLASS, settings, state)
    if beside:
        (folder / "config.json").write_text(json.dumps(settings))
    return folder


def saelens(folder: Path, state: dict[str, Tensor], architecture: str, **config: object) -> Path:
    """`cfg.json` and safetensors; `metadata` names google/vit-base and blocks.3.hook_mlp_out unless it is given."""
    folder.mkdir(parents=True, exist_ok=True)
    about = {"model_name": "google/vit-base", "hook_name": "blocks.3.hook_mlp_out", "sae_lens_version": "6.5.0"}
    settings = {"d_in": D_IN, "d_sae": N, "dtype": "float32", "architecture": architecture, "metadata": about} | config
    (folder / "cfg.json").write_text(json.dumps(settings))
    save_file(state, folder / "sae_weights.safetensors")
    return folder


def dictionary(folder: Path, state: dict[str, Tensor], kind: str | None) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(state, folder / "ae.pt")
    trainer = {"dict_class": kind, "activation_dim": D_IN, "dict_size": N, "layer": 4, "lm_name": "google/vit-base"}
    if kind is not None:
        trainer["submodule_name"] = "resid_post_layer_4"
        (folder / "config.json").write_text(json.dumps({"trainer": trainer, "buffer": {}}))
    return folder


def saev(folder: Path, state: dict[str, Tensor], header: dict[str, object]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "sae.pt").open("wb") as file:
        file.write((json.dumps(header) + "\n").encode())
        torch.save(state, file)
    return folder


def sparsify(folder: Path, state: dict[str, Tensor], **config: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    settings = {"activation": "topk", "expansion_factor": 32, "k": 2, "d_in": D_IN, "multi_topk": False} | config
    (folder / "cfg.json").write_text(json.dumps(settings))
    save_file(state, folder / "sae.safetensors")
    return folder


def visaebench(folder: Path, state: dict[str, Tensor], config: dict[str, object]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(state, folder / "sae.pt")
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def overcomplete(folder: Path, kind: str, state: dict[str, Tensor], *, whole: bool, **attributes: object) -> Path:
    """A module of overcomplete's default encoder and its state, or the state alone."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(state, folder / "state_dict.pth")
    if not whole:
        return folder
    names = [f"overcomplete.sae.{n}" for n in (f"x.{kind}", "modules.MLPEncoder", "dictionary.DictionaryLayer")]
    with importable(*names):
        made = []
        for name in names:
            home, _, own = name.rpartition(".")
            made.append(type(own, (nn.Module,), {"__module__": home}))
            setattr(sys.modules[home], own, made[-1])
        whole_module, encoder, layer = (one() for one in made)
        linear = nn.Linear(D_IN, N)
        linear.weight.data, linear.bias.data = (state[f"encoder.final_block.0.{n}"] for n in ("weight", "bias"))
        encoder.final_block, encoder.final_activation = nn.Sequential(linear, nn.Identity()), nn.ReLU()
        layer._weights = nn.Parameter(state["dictionary._weights"])
        layer.register_buffer("multiplier", torch.tensor(0.0))
        whole_module.encoder, whole_module.dictionary = encoder, layer
        if "thresholds" in state:
            whole_module.thresholds = nn.Parameter(state["thresholds"])
        for name, value in attributes.items():
            setattr(whole_module, name, value)
        torch.save(whole_module, folder / "model.pth")
    return folder


def checkpoint(folder: Path, state: dict[str, Tensor], config: dict[str, object], file: str = "m_0.pt") -> Path:
    """A checkpoint as Matryoshka-Transcoders saves it."""
    folder.mkdir(parents=True, exist_ok=True)
    moments = {"state": {0: {"step": torch.tensor(2.0), "exp_avg": torch.zeros(2)}}, "param_groups": [{"lr": 0.1}]}
    what = {"epoch": 1, "model_state_dict": state, "optimizer_state_dict": moments, "loss": 1.0, "config": config}
    torch.save(what, folder / file)
    return folder


def arrays(state: Mapping[str, Tensor]) -> Arrays:
    return {name: tensor.float().numpy() for name, tensor in state.items()}


def relu(z: np.ndarray) -> np.ndarray:
    return np.maximum(z, 0)


def top(z: np.ndarray, k: int) -> np.ndarray:
    """Keeps the k largest of each row, one row at a time."""
    kept = np.zeros_like(z)
    for row, values in enumerate(z):
        for latent in sorted(range(len(values)), key=lambda j: -values[j])[:k]:
            kept[row, latent] = values[latent]
    return kept


def layer_norm(x: np.ndarray) -> np.ndarray:
    """As torch's std has it: with n - 1."""
    rows = [(r - r.mean()) / (np.sqrt(((r - r.mean()) ** 2).sum() / (len(r) - 1)) + 1e-5) for r in x]
    return np.stack(rows)
