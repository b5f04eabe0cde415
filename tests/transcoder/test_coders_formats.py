"""Each tool's coders give the latents that its own formula gives, here in plain numpy, one step after the other."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from standin.foreign import (
    D_IN,
    D_OUT,
    PRISMA_CLASS,
    N,
    arrays,
    checkpoint,
    dictionary,
    layer_norm,
    overcomplete,
    prisma,
    relu,
    saelens,
    saev,
    save_pickled,
    sparsify,
    tokens,
    top,
    visaebench,
    weights,
)
from torch import Tensor

from autointerp.transcoder.coder_io import ForeignInfo, StoredCoder, load_coder

X = tokens().numpy()
GATED = {"b_gate": (N,), "b_mag": (N,), "r_mag": (N,)}


def latents(stored: StoredCoder) -> np.ndarray:
    return stored.coder.encode(tokens()).dense(stored.coder.n_latents).numpy()


def same(stored: StoredCoder, z: np.ndarray, y: np.ndarray | None = None) -> ForeignInfo:
    """Latents to 1e-4, and what they reconstruct; some latents are on, the dead one is not, the last one is."""
    assert isinstance(stored.info, ForeignInfo)
    found = latents(stored)
    assert found.shape == z.shape == (len(X), N)
    assert found == pytest.approx(z, abs=1e-4)
    assert 0 < (z > 0).mean() < 1
    if y is not None:
        assert stored.coder.reconstruct(tokens()).numpy() == pytest.approx(y, abs=1e-4)
    return stored.info


def plain(w: dict[str, np.ndarray], x: np.ndarray = X) -> np.ndarray:
    return (x - w["b_dec"]) @ w["W_enc"] + w["b_enc"]


def test_latents_keep_their_numbers_whether_dead_or_last(tmp_path: Path):
    state = weights()
    found = latents(load_coder(saelens(tmp_path, state, "standard")))

    assert (found[:, 2] == 0).all()
    assert (found[:, N - 1] > 0).any()
    for latent in (0, 3, N - 1):
        single = relu((X - state["b_dec"].numpy()) @ state["W_enc"][:, latent].numpy() + float(state["b_enc"][latent]))
        assert found[:, latent] == pytest.approx(single, abs=1e-5)


@pytest.mark.parametrize(
    ("config", "before", "after"),
    [
        ({}, lambda x: x, relu),
        ({"normalize_activations": "layer_norm"}, layer_norm, relu),
        (
            {"normalize_activations": "constant_norm_rescale"},
            lambda x: x * 2 / np.sqrt((x**2).sum(axis=1, keepdims=True)),
            relu,
        ),
        ({"activation_fn_str": "topk", "activation_fn_kwargs": {"k": 2}}, lambda x: x, lambda z: top(relu(z), 2)),
        ({"activation_fn_str": "tanh-relu"}, lambda x: x, lambda z: np.tanh(relu(z))),
    ],
)
@pytest.mark.parametrize("beside", [True, False])
def test_prisma(tmp_path: Path, config: dict[str, object], before: object, after: object, beside: bool):
    state = weights()
    folder = prisma(tmp_path, state, beside=beside, **config)

    assert callable(before)
    assert callable(after)
    info = same(load_coder(folder), after(plain(arrays(state), before(X))))

    assert (info.model, info.reads, info.writes) == ("hf:laion/CLIP-ViT-B-32:crop", "blocks.5.resid", "blocks.5.resid")


def test_prisma_brings_what_it_decodes_back_to_the_scale_of_its_input(tmp_path: Path):
    state = weights()
    w = arrays(state)
    z = relu(plain(w, layer_norm(X)))
    y = (z @ w["W_dec"] + w["b_dec"]) * X.std(axis=1, ddof=1, keepdims=True) + X.mean(axis=1, keepdims=True)

    same(load_coder(prisma(tmp_path, state, normalize_activations="layer_norm")), z, y)


def test_prisma_gated_and_class_token(tmp_path: Path):
    state = weights(extra=GATED)
    w = arrays(state)
    x = X - w["b_dec"]
    z = (x @ w["W_enc"] + w["b_gate"] > 0) * relu(x @ (w["W_enc"] * np.exp(w["r_mag"])) + w["b_mag"])

    info = same(load_coder(prisma(tmp_path, state, architecture="gated", cls_token_only=True)), z)

    assert info.reads == "blocks.5.resid.class"


@pytest.mark.parametrize(("kind", "said"), [("LNPre", True), ("LN", False)])
def test_prisma_says_where_the_model_was_folded(kind: str, said: bool, tmp_path: Path):
    coder = load_coder(prisma(tmp_path, weights(), vit_model_cfg={"normalization_type": kind}))

    assert ("layer norms were folded" in (coder.info.note or "")) is said


def test_prisma_transcoder(tmp_path: Path):
    state = weights(d_out=D_OUT, extra={"b_dec": (D_IN,), "b_dec_out": (D_OUT,), "W_skip": (D_OUT, D_IN)})
    w = arrays(state)
    z = top(relu(plain(w)), 2)
    about = {"is_transcoder": True, "d_out": D_OUT, "out_hook_point_layer": 5, "layer_out_subtype": "hook_mlp_out"}
    reads = {"layer_subtype": "ln2.hook_normalized", "activation_fn_str": "topk", "activation_fn_kwargs": {"k": 2}}

    info = same(
        load_coder(prisma(tmp_path, state, **about, **reads)), z, z @ w["W_dec"] + w["b_dec_out"] + X @ w["W_skip"].T
    )

    assert (info.reads, info.writes, info.config.kind) == ("blocks.5.mlp.in", "blocks.5.mlp.out", "transcoder")


def test_prisma_state_alone_takes_its_settings_from_config_json(tmp_path: Path):
    state = weights()
    torch.save(state, prisma(tmp_path, state, normalize_activations="layer_norm") / "weights.pt")

    same(load_coder(tmp_path), relu(plain(arrays(state), layer_norm(X))))


def test_prisma_settings_in_the_file_count_before_those_beside_it(tmp_path: Path):
    state = weights()
    folder = prisma(tmp_path, state, normalize_activations="layer_norm")
    beside = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(beside | {"normalize_activations": "none"}))

    same(load_coder(folder), relu(plain(arrays(state), layer_norm(X))))


@pytest.mark.parametrize("file", ["n_images_52000.pt", "sae.pkl.gz", "sae.pkl"])
def test_prisma_in_one_file(tmp_path: Path, file: str):
    state = weights()
    folder = prisma(tmp_path, state, beside=False, file=file)

    same(load_coder(folder), relu(plain(arrays(state))))
    same(load_coder(folder / file), relu(plain(arrays(state))))


@pytest.mark.parametrize(
    ("kind", "cfg", "info"),
    [
        (
            "src.sae_training.config.ViTSAERunnerConfig",
            {
                "model_name": "openai/clip-vit-base-patch16",
                "block_layer": -2,
                "module_name": "resid",
                "class_token": None,
            },
            ("patchsae", "hf:openai/clip-vit-base-patch16:crop", "blocks.-2.resid"),
        ),
        (
            "src.sae_training.config.Config",
            {
                "model_name": "openai/clip-vit-base-patch16",
                "block_layer": 9,
                "module_name": "resid",
                "class_token": True,
            },
            ("patchsae", "hf:openai/clip-vit-base-patch16:crop", "blocks.9.resid.class"),
        ),
        (
            "sae_training.config.LanguageModelSAERunnerConfig",
            {"model_name": "google/vit-base", "hook_point": "blocks.8.hook_resid_pre", "hook_point_layer": 8},
            ("transcoder-circuits", "hf:google/vit-base:crop", "blocks.7.resid"),
        ),
    ],
)
@pytest.mark.parametrize("file", ["a.pt", "a.pth", "a.pkl.gz"])
def test_patchsae_and_transcoder_circuits(
    tmp_path: Path, file: str, kind: str, cfg: dict[str, object], info: tuple[str, str, str]
):
    state = weights()
    w = arrays(state)
    z = relu(plain(w))
    folder = save_pickled(tmp_path / file, kind, {"d_in": D_IN, "d_sae": N} | cfg, state)

    stored = load_coder(folder)

    found = same(stored, z, z @ w["W_dec"] + w["b_dec"])
    assert (stored.format, found.model, found.reads) == info


def test_transcoder_circuits_transcoder_that_is_there_twice(tmp_path: Path):
    state = weights(d_out=D_OUT, extra={"b_dec": (D_IN,), "b_dec_out": (D_OUT,)})
    cfg: dict[str, object] = {"is_transcoder": True, "d_in": D_IN, "d_out": D_OUT, "d_sae": N}
    cfg |= {"hook_point": "blocks.8.ln2.hook_normalized", "out_hook_point": "blocks.8.hook_mlp_out"}
    w = arrays(state)
    z = relu(plain(w))
    for file in ("transcoder.pt", "transcoder.pkl.gz"):
        save_pickled(tmp_path / file, "sae_training.config.LanguageModelSAERunnerConfig", cfg, state)

    info = same(load_coder(tmp_path), z, z @ w["W_dec"] + w["b_dec_out"])

    assert (info.model, info.reads, info.writes) == ("unknown", "blocks.8.mlp.in", "blocks.8.mlp.out")


@pytest.mark.parametrize("normalise", ["none", "layer_norm"])
@pytest.mark.parametrize("shifts", [True, False])
def test_saelens_standard(tmp_path: Path, normalise: str, shifts: bool):
    state = weights()
    w = arrays(state)
    x = layer_norm(X) if normalise == "layer_norm" else X
    z = relu((x - shifts * w["b_dec"]) @ w["W_enc"] + w["b_enc"])
    folder = saelens(tmp_path, state, "standard", normalize_activations=normalise, apply_b_dec_to_input=shifts)

    info = same(load_coder(folder), z)

    assert (info.model, info.reads, info.note) == ("hf:google/vit-base:crop", "blocks.3.mlp.out", None)


def test_saelens_gated_jumprelu_and_topk(tmp_path: Path):
    state = weights(extra=GATED)
    w = arrays(state)
    x = X - w["b_dec"]
    z = (x @ w["W_enc"] + w["b_gate"] > 0) * relu(x @ (w["W_enc"] * np.exp(w["r_mag"])) + w["b_mag"])
    same(load_coder(saelens(tmp_path / "gated", state, "gated")), z)

    jumps = state | {"threshold": torch.linspace(0, 3, N)}
    pre = plain(w)
    same(load_coder(saelens(tmp_path / "jump", jumps, "jumprelu")), relu(pre) * (pre > np.linspace(0, 3, N)))

    same(load_coder(saelens(tmp_path / "topk", state, "topk", k=2)), top(relu(pre), 2))
    lengths = np.linalg.norm(w["W_dec"], axis=1)
    z = top(relu(pre * lengths), 2)
    folder = saelens(tmp_path / "scaled", state, "topk", k=2, rescale_acts_by_decoder_norm=True)
    same(load_coder(folder), z, (z / lengths) @ w["W_dec"] + w["b_dec"])


@pytest.mark.parametrize("kind", ["transcoder", "skip_transcoder", "jumprelu_transcoder"])
def test_saelens_transcoders_take_nothing_off(tmp_path: Path, kind: str):
    state = weights(d_out=D_OUT, extra={"W_skip": (D_OUT, D_IN)} if "skip" in kind else {})
    state |= {"threshold": torch.full((N,), 0.7)} if "jump" in kind else {}
    w = arrays(state)
    pre = X @ w["W_enc"] + w["b_enc"]
    z = relu(pre) * (pre > (0.7 if "jump" in kind else 0))
    y = z @ w["W_dec"] + w["b_dec"] + (X @ w["W_skip"].T if "skip" in kind else 0)

    info = same(load_coder(saelens(tmp_path, state, kind, d_out=D_OUT, apply_b_dec_to_input=False)), z, y)

    assert (info.reads, info.writes) == ("blocks.3.mlp.out", "unknown")


def test_saelens_of_before_version_6(tmp_path: Path):
    state = weights()
    old: dict[str, object] = {"hook_point": "blocks.3.hook_resid_pre", "model_name": "gpt2", "metadata": {}}
    folder = saelens(tmp_path, state, "standard", activation_fn_str="topk", activation_fn_kwargs={"k": 2}, **old)
    cfg = (folder / "cfg.json").read_text().replace('"metadata": {}, ', "").replace(', "metadata": {}', "")
    (folder / "cfg.json").write_text(cfg)

    info = same(load_coder(folder), top(relu(plain(arrays(state))), 2))

    assert (info.model, info.reads) == ("timm:gpt2:crop", "blocks.2.resid")


def test_saelens_says_what_was_never_folded(tmp_path: Path):
    stored = load_coder(saelens(tmp_path, weights(), "standard", normalize_activations="expected_average_only_in"))

    assert isinstance(stored.info, ForeignInfo)
    assert stored.info.note is not None
    assert stored.info.note.startswith("normalize_activations is 'expected_average_only_in', which was never folded")


def test_saelens_in_16_bits_computes_in_16_bits(tmp_path: Path):
    state = {name: tensor.bfloat16() for name, tensor in weights().items()}
    x = tokens().bfloat16() - state["b_dec"]
    expected = torch.relu(x @ state["W_enc"] + state["b_enc"]).float()

    found = load_coder(saelens(tmp_path, state, "standard", dtype="bfloat16")).coder.encode(tokens())

    assert found.values.dtype == torch.float32
    assert found.dense(N).tolist() == expected.tolist()


def linear(state: dict[str, Tensor], decoder: str = "W_dec") -> dict[str, Tensor]:
    """Names of torch's Linear: weights of the encoder, and the decoder's with a column for each latent."""
    rows = state[decoder].T.contiguous()
    return {"encoder.weight": state["W_enc"].T.contiguous(), "encoder.bias": state["b_enc"], "decoder.weight": rows}


def dictionary_cases() -> list[tuple[str, dict[str, Tensor], np.ndarray]]:
    state = weights(extra={**GATED})
    w, base, k = arrays(state), linear(state), torch.tensor(2, dtype=torch.int32)
    pre, raw = plain(w), X @ w["W_enc"] + w["b_enc"]
    x = (X - w["b_dec"]) @ w["W_enc"]
    gate = (x + w["b_gate"] > 0) * relu(np.exp(w["r_mag"]) * x + w["b_mag"])
    gated = {"encoder.weight": base["encoder.weight"], "decoder.weight": base["decoder.weight"]}
    gated |= {"decoder_bias": state["b_dec"], "gate_bias": state["b_gate"]}
    gated |= {"mag_bias": state["b_mag"], "r_mag": state["r_mag"]}
    own = {name: state[name] for name in ("W_enc", "b_enc", "W_dec", "b_dec")}
    at = {"k": k, "threshold": torch.tensor(1.5)}
    unlearned = {"k": k, "threshold": torch.tensor(-1.0)}
    b_dec = {"b_dec": state["b_dec"]}
    return [
        ("AutoEncoder", base | {"bias": state["b_dec"]}, relu(pre)),
        ("AutoEncoderNew", base | {"decoder.bias": state["b_dec"]}, relu(raw)),
        ("GatedAutoEncoder", gated, gate),
        ("JumpReluAutoEncoder", own | {"threshold": torch.full((N,), 0.9)}, relu(raw) * (raw > 0.9)),
        ("AutoEncoderTopK", base | b_dec | at, top(relu(pre), 2)),
        ("BatchTopKSAE", base | b_dec | at, relu(pre) * (pre > 1.5)),
        ("BatchTopKSAE", base | b_dec | unlearned, relu(pre)),
        ("MatryoshkaBatchTopKSAE", own | at | {"group_sizes": torch.tensor([1, 2, 3])}, relu(pre) * (pre > 1.5)),
    ]


# The states of AutoEncoderTopK and BatchTopKSAE, 4 to 6, are the same, so that these need their settings.
@pytest.mark.parametrize(("case", "beside"), [(i, True) for i in range(8)] + [(i, False) for i in (0, 1, 2, 3, 7)])
def test_dictionary_learning(tmp_path: Path, case: int, beside: bool):
    kind, state, z = dictionary_cases()[case]

    stored = load_coder(dictionary(tmp_path, state, kind if beside else None))

    info = same(stored, z, z @ weights()["W_dec"].numpy() + weights()["b_dec"].numpy())
    said = ("hf:google/vit-base:crop", "blocks.4.resid") if beside else ("unknown", "unknown")
    assert (info.model, info.reads) == said
    assert stored.coder.widths == ((1, 3, 6) if "Matryoshka" in kind else (6,))


def test_a_checkpoint_of_dictionary_learning_has_its_settings_one_folder_up(tmp_path: Path):
    kind, state, z = dictionary_cases()[5]
    dictionary(tmp_path, state, kind)
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "ae.pt").rename(tmp_path / "checkpoints" / "ae_100.pt")

    same(load_coder(tmp_path / "checkpoints"), z)


OVER = {"encoder.final_block.0.weight": "W_enc", "encoder.final_block.0.bias": "b_enc", "dictionary._weights": "W_dec"}


def over(state: dict[str, Tensor], **more: Tensor) -> dict[str, Tensor]:
    found = {mine: state[name] for mine, name in OVER.items()}
    found["encoder.final_block.0.weight"] = state["W_enc"].T.contiguous()
    return found | {"dictionary.multiplier": torch.tensor(0.0)} | more


def test_overcomplete(tmp_path: Path):
    state = weights()
    w = arrays(state)
    pre = X @ w["W_enc"] + w["b_enc"]
    logs = torch.linspace(-1, 1, N)
    reached = relu(pre) * (pre >= np.exp(logs.numpy()))

    same(load_coder(overcomplete(tmp_path / "s", "SAE", over(state), whole=True)), relu(pre), relu(pre) @ w["W_dec"])
    same(load_coder(overcomplete(tmp_path / "k", "TopKSAE", over(state), whole=True, top_k=2)), top(relu(pre), 2))
    batch = overcomplete(tmp_path / "b", "BatchTopKSAE", over(state), whole=True, running_threshold=torch.tensor(1.5))
    same(load_coder(batch), relu(pre) * (pre >= 1.5))
    # The state beside it is the same coder, and alone enough.
    for whole in (True, False):
        folder = overcomplete(tmp_path / f"j{whole}", "JumpSAE", over(state, thresholds=logs), whole=whole)
        assert same(load_coder(folder), reached).reads == "unknown"


def test_overcomplete_tied_to_its_dictionary(tmp_path: Path):
    state = weights()
    tied = {"dictionary._weights": state["W_dec"], "dictionary.multiplier": torch.tensor(0.5)}
    tied |= {"encoder.bias": state["b_enc"], "encoder.tied_to._weights": state["W_dec"]}
    folder = visaebench(tmp_path, tied, {"sae_type": "relu"})

    w = arrays(state)
    dictionary_ = w["W_dec"] * np.exp(0.5)
    z = relu(X @ dictionary_.T + w["b_enc"])
    same(load_coder(folder), z, z @ dictionary_)


def visaebench_cases() -> list[tuple[dict[str, object], dict[str, Tensor], np.ndarray]]:
    state = weights()
    w = arrays(state)
    pre = X @ w["W_enc"] + w["b_enc"]
    own = linear(state) | {"decoder.weight": state["W_dec"], "decoder.bias": state["b_dec"]}
    steps = torch.linspace(0.1, 2, N)
    jumped = relu(pre) * (pre > steps.numpy())
    return [
        ({"sae_type": "topk", "k": 2, "input_dim": D_IN, "hidden_dim": N}, own, top(relu(pre), 2)),
        ({"activation": "TopK", "k": 2}, over(state), top(relu(pre), 2)),
        ({"sae_type": "batchtopk", "threshold": 1.5}, own, relu(pre) * (pre >= 1.5)),
        ({"sae_type": "batchtopk"}, over(state, _running_threshold=torch.tensor(1.5)), relu(pre) * (pre >= 1.5)),
        ({"sae_type": "jumprelu"}, own | {"jump_thresholds": steps}, jumped),
        ({"sae_type": "jumprelu"}, over(state, thresholds=steps), jumped),
        ({"sae_type": "jumprelu"}, own, relu(pre) * (pre > 0.01)),
    ]


@pytest.mark.parametrize("case", range(7))
def test_visaebench(tmp_path: Path, case: int):
    config, state, z = visaebench_cases()[case]

    info = same(load_coder(visaebench(tmp_path, state, config)), z)

    assert info.note is not None
    assert info.note.startswith("visaebench trains on standardised activations")


def test_visaebench_with_safetensors_and_yaml(tmp_path: Path):
    pytest.importorskip("yaml")
    from safetensors.torch import save_file

    _, state, z = visaebench_cases()[0]
    save_file(state, tmp_path / "model.safetensors")
    (tmp_path / "config.yaml").write_text("sae_type: topk\nk: 2\n")

    same(load_coder(tmp_path), z)


NEW = {"d_model": D_IN, "d_sae": N}
OLD = {"d_vit": D_IN, "exp_factor": 2, "n_reinit_samples": 5, "seed": 0}


@pytest.mark.parametrize(
    ("header", "rule"),
    [
        ({"schema": 5, "cfg": NEW | {"activation": {"cls": "Relu", "params": {"key": "relu"}}}}, "relu"),
        ({"schema": 5, "cfg": NEW | {"activation": {"cls": "TopK", "params": {"key": "top-k", "top_k": 2}}}}, "topk"),
        ({"schema": 5, "cfg": NEW | {"activation": {"cls": "BatchTopK", "params": {"top_k": 2}}}}, "threshold"),
        ({"schema": 3, "cfg": NEW | {"activation": {"cls": "TopK", "params": {"kind": "top-k", "top_k": 2}}}}, "topk"),
        ({"schema": 2, "cfg": OLD | {"activation": {"cls": "TopK", "params": {"top_k": 2}}}}, "topk"),
        ({"schema": 2, "cfg": OLD | {"activation": {"cls": "BatchTopK", "params": {"top_k": 2}}}}, "topk"),
        ({"schema": 1, "cls": "TopK", "cfg": OLD | {"top_k": 2}}, "topk"),
        ({"schema": 1, "cls": "Relu", "cfg": OLD}, "relu"),
        (
            {
                "schema": 1,
                "cls": "SparseAutoencoderConfig",
                "cfg": OLD | {"activation": {"cls": "TopK", "params": {"top_k": 2}}},
            },
            "topk",
        ),
        (OLD | {"sparsity_coeff": 0.1}, "shifted"),
    ],
)
def test_saev(tmp_path: Path, header: dict[str, object], rule: str):
    state = weights()
    w = arrays(state)
    pre = X @ w["W_enc"] + w["b_enc"]
    z = {"relu": relu(pre), "topk": top(relu(pre), 2), "threshold": relu(pre) * (pre > 1.5), "shifted": relu(plain(w))}
    state |= {"activation.threshold": torch.tensor(1.5)} if rule == "threshold" else {}

    info = same(load_coder(saev(tmp_path, state, header)), z[rule], z[rule] @ w["W_dec"] + w["b_dec"])

    assert (info.model, info.reads) == ("unknown", "unknown")
    assert (info.note is not None) == (header.get("schema") == 1)


@pytest.mark.parametrize(
    ("training", "reads", "scaled"),
    [
        ({"layer": 8, "tokens": "content", "scale_norm": False}, "blocks.8.resid", False),
        ({"layer": 8, "tokens": "special", "scale_norm": True}, "blocks.8.resid.class", True),
        ({"layer": -2}, "blocks.-2.resid", False),
        ({"layer": "all"}, "unknown", False),
    ],
)
def test_saev_says_its_layer_in_the_settings_of_training(
    tmp_path: Path, training: dict[str, object], reads: str, scaled: bool
):
    saev(tmp_path, weights(), {"schema": 5, "cfg": NEW | {"activation": {"cls": "Relu", "params": {}}}})
    (tmp_path / "config.json").write_text(json.dumps({"train_data": training}))

    info = load_coder(tmp_path / "sae.pt").info

    assert isinstance(info, ForeignInfo)
    assert (info.reads, info.writes, info.note is not None) == (reads, reads, scaled)


def test_saev_counts_what_topk_keeps_below_0_as_silent(tmp_path: Path):
    state = weights()
    cfg = NEW | {"activation": {"cls": "TopK", "params": {"top_k": 5}}}
    w = arrays(state)
    theirs = top(X @ w["W_enc"] + w["b_enc"], 5)
    assert (theirs < 0).any()

    same(load_coder(saev(tmp_path, state, {"schema": 5, "cfg": cfg})), relu(theirs))


@pytest.mark.parametrize("folder", ["any name", "layers.3.mlp"])
@pytest.mark.parametrize("transcodes", [True, False])
@pytest.mark.parametrize("skip", [True, False])
@pytest.mark.parametrize("rule", ["topk", "groupmax"])
def test_sparsify(tmp_path: Path, folder: str, transcodes: bool, skip: bool, rule: str):
    state = weights(extra={"W_skip": (D_IN, D_IN)})
    own = {n: t for n, t in linear(state).items() if n != "decoder.weight"}
    own |= {"W_dec": state["W_dec"], "b_dec": state["b_dec"]} | ({"W_skip": state["W_skip"]} if skip else {})
    w = arrays(state)
    z = relu((X if transcodes else X - w["b_dec"]) @ w["W_enc"] + w["b_enc"])
    # Two groups of three latents, and the largest of each.
    z = top(z, 2) if rule == "topk" else np.concatenate([top(z[:, :3], 1), top(z[:, 3:], 1)], axis=1)
    y = z @ w["W_dec"] + w["b_dec"] + (X @ w["W_skip"].T if skip else 0)
    written = sparsify(tmp_path / folder, own, activation=rule, transcode=transcodes, skip_connection=skip)

    info = same(load_coder(written), z, y)

    named = ("blocks.3.mlp.in", "blocks.3.mlp.out") if transcodes else ("blocks.3.mlp.out", "blocks.3.mlp.out")
    assert (info.reads, info.writes) == (named if folder == "layers.3.mlp" else ("unknown", "unknown"))


def jumped(w: dict[str, np.ndarray], gamma: float, beta: float) -> np.ndarray:
    pre = X @ w["W_enc"] + w["b_enc"]
    return relu(pre) + beta * (pre > gamma)


@pytest.mark.parametrize(("gamma", "beta"), [(1.0, 1.0), (0.5, 2.0)])
@pytest.mark.parametrize("autoencodes", [True, False])
def test_matryoshka_transcoders(tmp_path: Path, gamma: float, beta: float, autoencodes: bool):
    state, d_out = weights(), D_IN if autoencodes else D_OUT
    levels: dict[str, object] = {"levels": [2, 6], "topk_per_level": [1, 2], "level_weights": [0.5, 0.5]}
    levels |= {"input_dim": D_IN} | ({} if autoencodes else {"output_dim": D_OUT})
    own = {"encoder.0.weight": state["W_enc"].T.contiguous(), "encoder.0.bias": state["b_enc"]}
    own |= {"encoder.1.gamma": torch.tensor(gamma), "encoder.1.beta": torch.tensor(beta)}
    for i, width in enumerate((2, 6)):
        rows = torch.arange(float(width * d_out)).view(width, d_out)
        own |= {f"decoders.{i}.weight": rows.T.contiguous(), f"decoders.{i}.bias": torch.full((d_out,), i + 1.0)}
    z = jumped(arrays(state), gamma, beta)
    z = np.concatenate([top(z[:, :2], 1), top(z[:, 2:], 2)], axis=1)
    y = z @ np.arange(6.0 * d_out).reshape(6, d_out) + 2

    stored = load_coder(checkpoint(tmp_path, own, levels))

    info = same(stored, z, y)
    assert (info.config.kind, stored.coder.widths) == ("sae" if autoencodes else "transcoder", (2, 6))
    first = stored.coder.reconstruct(tokens(), 2).numpy()
    assert first == pytest.approx(z[:, :2] @ np.arange(2.0 * d_out).reshape(2, d_out) + 1, abs=1e-4)


@pytest.mark.parametrize("k", [2, None])
def test_the_baselines_of_matryoshka_transcoders(tmp_path: Path, k: int | None):
    state = weights()
    own = {"encoder.0.weight": state["W_enc"].T.contiguous(), "encoder.0.bias": state["b_enc"]}
    own |= {"encoder.1.gamma": torch.tensor(1.0), "encoder.1.beta": torch.tensor(1.0)}
    own |= {"decoder.weight": state["W_dec"].T.contiguous(), "decoder.bias": state["b_dec"]}
    config: dict[str, object] = {"mode": "sae", "input_dim": D_IN, "output_dim": None, "latent_dim": N, "topk": k}
    z = jumped(arrays(state), 1.0, 1.0)

    same(load_coder(checkpoint(tmp_path, own, config)), z if k is None else top(z, k))


def test_the_class_of_the_settings_is_not_what_a_format_is_recognised_by(tmp_path: Path):
    state = weights()
    cfg = {"hook_point": "blocks.1.hook_mlp_out", "d_in": D_IN, "d_sae": N}
    folder = save_pickled(tmp_path / "layers.7.mlp" / "x.pt", PRISMA_CLASS, cfg, state)

    stored = load_coder(folder)

    assert (stored.format, stored.info.reads) == ("transcoder-circuits", "blocks.1.mlp.out")
