"""Which file of a folder is a coder's, where it belongs, and what is said of files that are broken or not enough."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from standin.foreign import (
    D_IN,
    PRISMA,
    N,
    checkpoint,
    dictionary,
    overcomplete,
    prisma,
    saelens,
    saev,
    save_pickled,
    sparsify,
    tokens,
    visaebench,
    weights,
)
from torch import Tensor

from autointerp.errors import SettingsError
from autointerp.transcoder.coder_io import load_coder
from autointerp.transcoder.coders.peer_names import hookpoint, known_hookpoint, model


def says(spec: Path, message: str) -> str:
    with pytest.raises(SettingsError, match=message) as caught:
        load_coder(spec)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("blocks.9.hook_resid_post", "blocks.9.resid"),
        ("blocks.9.hook_resid_pre", "blocks.8.resid"),
        ("blocks.0.hook_resid_pre", "embed"),
        ("blocks.9.hook_resid_mid", "blocks.9.resid.mid"),
        ("blocks.9.hook_mlp_in", "blocks.9.resid.mid"),
        ("blocks.9.mlp.hook_in", "blocks.9.mlp.in"),
        ("blocks.9.hook_attn_out", "blocks.9.attn.out"),
        ("blocks.9.ln1.hook_normalized", "blocks.9.attn.in"),
        ("blocks.11.hook_mlp_out", "blocks.11.mlp.out"),
        ("blocks.9.ln2.hook_normalized", "blocks.9.mlp.in"),
        ("blocks.9.mlp.hook_post", "blocks.9.mlp.hidden"),
        ("blocks.9.attn.hook_z", "blocks.9.attn.z"),
        ("blocks.9.attn.hook_pattern", "blocks.9.attn.hook_pattern"),
        ("layers.3.mlp", "blocks.3.mlp.out"),
        ("vision_model.encoder.layers.22", "blocks.22.resid"),
        ("encoder.layer.3", "blocks.3.resid"),
        ("visual.transformer.resblocks.10", "blocks.10.resid"),
        ("encoder.layer.3.attention", "blocks.3.attn.out"),
        ("vision_model.encoder.layers.3.self_attn.out_proj", "blocks.3.attn.out"),
        ("encoder.layers.2.blocks.1", "encoder.layers.2.blocks.1"),
        ("blocks.-2", "blocks.-2.resid"),
        ("attn_out_layer_5", "blocks.5.attn.out"),
        ("stages.2", "stages.2"),
        ("h.3.mlp", "blocks.3.mlp.out"),
        ("resid_post_layer_8", "blocks.8.resid"),
        ("enc_res_out_layer_1", "blocks.1.resid"),
        ("mlp_out_layer_5", "blocks.5.mlp.out"),
        ("blocks.3.mlp.hidden", "blocks.3.mlp.hidden"),
        ("blocks.3.resid.class", "blocks.3.resid.class"),
        ("pooled", "pooled"),
        ("", "unknown"),
    ],
)
def test_places_have_names_of_this_program(theirs: str, ours: str):
    assert hookpoint(theirs) == ours


def test_a_folder_that_is_named_after_nothing_says_nothing():
    assert known_hookpoint("my-coder-layer") == known_hookpoint("sae") == "unknown"
    assert known_hookpoint("layers.7") == "blocks.7.resid"


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("open-clip:laion/CLIP-ViT-B-32-DataComp.XL-s13B-b90K", "hf:laion/CLIP-ViT-B-32-DataComp.XL-s13B-b90K:crop"),
        ("openai/clip-vit-base-patch32", "hf:openai/clip-vit-base-patch32:crop"),
        ("timm/vit_base_patch16_224.augreg_in1k", "timm:vit_base_patch16_224.augreg_in1k:crop"),
        ("vit_base_patch16_224", "timm:vit_base_patch16_224:crop"),
        ("timm:vit_base_patch14_dinov2", "timm:vit_base_patch14_dinov2:crop"),
        ("hf-hub:timm/vit_base_patch14_dinov2.lvd142m", "timm:vit_base_patch14_dinov2.lvd142m:crop"),
        ("hf-hub:apple/DFN5B-CLIP-ViT-H-14", "hf:apple/DFN5B-CLIP-ViT-H-14:crop"),
        ("facebook/dino-vitb16", "hf:facebook/dino-vitb16:crop"),
        ("dinov2_vitl14_reg", "hf:facebook/dinov2-with-registers-large:crop"),
        ("facebookresearch/dinov2_vitb14", "hf:facebook/dinov2-base:crop"),
        ("ViT-B/32", "hf:openai/clip-vit-base-patch32:crop"),
        ("ViT-L/14@336px", "hf:openai/clip-vit-large-patch14-336:crop"),
        ("ViT-L-14/openai", "hf:openai/clip-vit-large-patch14:crop"),
        ("open-clip:ViT-H-14/laion2b_s32b_b79k", "hf:laion/CLIP-ViT-H-14-laion2B-s32B-b79K:crop"),
        ("ViT-B-16/datacomp_xl_s13b_b90k", "hf:laion/CLIP-ViT-B-16-DataComp.XL-s13B-b90K:crop"),
        (None, "unknown"),
    ],
)
def test_models_have_names_of_this_program(theirs: str | None, ours: str):
    assert model(theirs) == ours


def test_what_is_asked_for_stands_in_place_of_what_the_files_say(tmp_path: Path):
    folder = prisma(tmp_path / "sae", weights())
    info = load_coder(folder, model="timm:other", reads="blocks.1.mlp.out").info
    assert (info.model, info.reads, info.writes) == ("timm:other:crop", "blocks.1.mlp.out", "blocks.1.mlp.out")

    state = weights(extra={"b_dec_out": (D_IN,)})
    folder = prisma(tmp_path / "transcoder", state, is_transcoder=True, d_out=D_IN, out_hook_point_layer=5)
    info = load_coder(folder, reads="blocks.4.mlp.in").info
    assert (info.reads, info.writes) == ("blocks.4.mlp.in", "blocks.5.mlp.out")


def test_of_several_files_of_one_coder_one_is_read(tmp_path: Path):
    first, last = weights(1), weights(2)

    def reads(folder: Path, state: dict[str, Tensor]) -> None:
        expected = torch.relu((tokens() - state["b_dec"]) @ state["W_enc"] + state["b_enc"])
        torch.testing.assert_close(load_coder(folder).coder.encode(tokens()).dense(N), expected)

    # Steps of training are counted, not sorted by name.
    prisma(tmp_path / "steps", first, file="n_images_900.pt")
    reads(prisma(tmp_path / "steps", last, file="n_images_5000.pt"), last)
    reads(tmp_path / "steps" / "n_images_900.pt", first)
    # What else lies in the folder is no coder.
    torch.save({"W_enc": torch.zeros(2)}, tmp_path / "steps" / "optimizer.pt")
    save_file({"sparsity": torch.zeros(N)}, tmp_path / "steps" / "sparsity.safetensors")
    (tmp_path / "steps" / "README.md").write_text("# words")
    reads(tmp_path / "steps", last)

    prisma(tmp_path / "two", first, file="a.pt")
    prisma(tmp_path / "two", last, file="b.pt")
    assert says(tmp_path / "two", "holds 2 coders").endswith(
        "two: holds 2 coders (a.pt, b.pt); name one of these files"
    )


def test_the_best_checkpoint_counts_before_the_last(tmp_path: Path):
    def own(bias: float) -> dict[str, Tensor]:
        found = {"encoder.0.weight": torch.zeros(N, D_IN), "encoder.0.bias": torch.full((N,), bias)}
        found |= {"encoder.1.gamma": torch.tensor(9.0), "encoder.1.beta": torch.tensor(1.0)}
        return found | {"decoder.weight": torch.zeros(D_IN, N), "decoder.bias": torch.zeros(D_IN)}

    config: dict[str, object] = {"input_dim": D_IN, "latent_dim": N, "topk": None, "mode": "sae"}
    checkpoint(tmp_path, own(1.0), config, "t_0.pt")
    checkpoint(tmp_path, own(2.0), config, "t_0_best.pt")

    assert load_coder(tmp_path).coder.encode(tokens()).values.unique().tolist() == [2.0]


def test_a_folder_may_be_a_link_and_its_files_too(tmp_path: Path):
    written = sparsify(tmp_path / "blobs", sparsify_state())
    named = tmp_path / "layers.2.mlp"
    named.mkdir()
    for file in written.iterdir():
        (named / file.name).symlink_to(file)
    (tmp_path / "link").symlink_to(named)

    assert load_coder(named).info.reads == load_coder(tmp_path / "link").info.reads == "blocks.2.mlp.out"


def sparsify_state() -> dict[str, Tensor]:
    state = weights()
    encoder = state["W_enc"].T.contiguous()
    own = {"encoder.weight": encoder, "encoder.bias": state["b_enc"]}
    return own | {"W_dec": state["W_dec"], "b_dec": state["b_dec"]}


def overcomplete_state() -> dict[str, Tensor]:
    state = sparsify_state()
    names = {"encoder.final_block.0.weight": "encoder.weight", "encoder.final_block.0.bias": "encoder.bias"}
    return {n: state[m] for n, m in names.items()} | {"dictionary._weights": state["W_dec"]}


def without(state: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    return {n: t for n, t in state.items() if n != name}


GATE = weights(extra={"b_gate": (N,), "b_mag": (N,), "r_mag": (N,)})
TOPK = {"k": torch.tensor(2), "threshold": torch.tensor(1.0)}
LINEAR = sparsify_state() | {"decoder.weight": torch.zeros(D_IN, N)}
BATCH = without(LINEAR, "W_dec") | TOPK


@pytest.mark.parametrize(
    ("write", "message"),
    [
        # SAELens.
        (lambda f: saelens(f, weights(), "temporal"), "cfg.json: architecture 'temporal' cannot be run; of SAELens'"),
        (lambda f: saelens(f, weights(), "jumprelu"), "sae_weights.safetensors: has no threshold; copy it again"),
        (lambda f: saelens(f, weights(), "gated"), "sae_weights.safetensors: has no b_mag"),
        (lambda f: saelens(f, weights(), "standard", d_in=9), r"W_enc is \[4, 6\], and by the settings .*\[9, 6\]"),
        (
            lambda f: saelens(f, weights(), "standard", d_sae="6"),
            "cfg.json: d_sae is '6', and should be a whole number",
        ),
        (lambda f: saelens(f, weights(), "topk", k=0), "cfg.json: k is 0, and should be a whole number of at least 1"),
        (lambda f: saelens(f, weights(), "topk"), "cfg.json: k is missing, and should be a whole number"),
        (lambda f: saelens(f, weights(), "standard", dtype="int8"), "cfg.json: dtype is 'int8', and should be one of"),
        (
            lambda f: saelens(f, weights(), "standard", apply_b_dec_to_input="yes"),
            "cfg.json: apply_b_dec_to_input is 'yes', and should be true or false",
        ),
        # ViT-Prisma.
        (
            lambda f: prisma(f, weights(), architecture="jumprelu"),
            r"weights\.pt: architecture 'jumprelu' cannot be run",
        ),
        (lambda f: prisma(f, weights(), activation_fn_str="gelu"), "activation_fn_str is 'gelu', and should be one of"),
        (lambda f: prisma(f, weights(), activation_fn_str="topk"), r"weights\.pt: k is missing, and should be"),
        (lambda f: prisma(f, weights(), hook_point_head_index=3), "coders of one attention head cannot be run"),
        (lambda f: prisma(f, without(weights(), "b_enc")), r"weights\.pt: has no b_enc"),
        (lambda f: prisma(f, weights(), beside=False, d_in=5), r"weights\.pt: W_enc is \[4, 6\], and by the settings"),
        (
            lambda f: prisma(f, {n: t.int() for n, t in weights().items()}),
            "W_enc is of type torch.int32; weights should",
        ),
        # PatchSAE.
        (
            lambda f: save_pickled(
                f / "a.pt", "sae_training.config.C", {"block_layer": 1, "gated_sae": True}, weights()
            ),
            r"a\.pt: gated_sae: its own tool does not run gated coders",
        ),
        (
            lambda f: save_pickled(f / "a.pt", "sae_training.config.C", {"block_layer": "last"}, weights()),
            r"a\.pt: block_layer is 'last', and should be a whole number",
        ),
        # dictionary_learning.
        (lambda f: dictionary(f, BATCH, "CrossCoder"), "trainer.dict_class 'CrossCoder' cannot be run; AutoEncoder, "),
        (
            lambda f: dictionary(f, BATCH, None),
            "may be an AutoEncoderTopK or a BatchTopKSAE; put its config.json beside",
        ),
        (lambda f: dictionary(f, without(BATCH, "threshold"), "BatchTopKSAE"), r"ae\.pt: has no threshold"),
        (lambda f: dictionary(f, without(BATCH, "k"), "AutoEncoderTopK"), r"ae\.pt: has no k"),
        (
            lambda f: dictionary(f, weights() | TOPK | {"group_sizes": torch.tensor([2, 2])}, "MatryoshkaBatchTopKSAE"),
            r"ae\.pt: group_sizes add up to 4, and there are 6 latents",
        ),
        # overcomplete.
        (
            lambda f: overcomplete(f, "TopKSAE", overcomplete_state(), whole=False),
            r"state_dict\.pth: does not say whether it is of an SAE, a TopKSAE or a BatchTopKSAE; save the whole",
        ),
        (
            lambda f: overcomplete(f, "QSAE", overcomplete_state(), whole=True),
            r"model\.pth: QSAE cannot be run; SAE, TopKSAE, BatchTopKSAE and JumpSAE can",
        ),
        (
            lambda f: overcomplete(f, "BatchTopKSAE", overcomplete_state(), whole=True, running_threshold=None),
            r"model\.pth: running_threshold is None, and should be a number",
        ),
        (
            lambda f: visaebench(
                f, overcomplete_state() | {"encoder.mlp_blocks.0.0.weight": GATE["W_enc"]}, {"sae_type": "relu"}
            ),
            r"sae\.pt: its encoder has encoder\.mlp_blocks\.0\.0\.weight; of overcomplete's encoders only",
        ),
        # visaebench.
        (lambda f: visaebench(f, LINEAR, {"sae_type": "topk"}), r"config\.json: k is missing"),
        (
            lambda f: visaebench(f, LINEAR | {"decoder.weight": torch.zeros(N, D_IN)}, {"sae_type": "batchtopk"}),
            "threshold is missing",
        ),
        (
            lambda f: visaebench(f, LINEAR, {"sae_type": "topk", "k": 1, "hidden_dim": 7}),
            "config.json: hidden_dim is 7, and should be 6, as the weights have it",
        ),
        # saev.
        (lambda f: saev(f, weights(), {"schema": 9, "cfg": {}}), r"sae\.pt: schema 9 is not known, and 5 is the last"),
        (lambda f: saev(f, weights(), {"schema": 5, "cfg": {"d_model": 7}}), r"W_enc is \[4, 6\], .*\[7, any\]"),
        (
            lambda f: saev(
                f, weights(), {"schema": 5, "cfg": {"d_model": 4, "activation": {"cls": "Gelu", "params": {}}}}
            ),
            r"sae\.pt: activation 'Gelu' cannot be run; Relu, TopK and BatchTopK can",
        ),
        # sparsify.
        (
            lambda f: sparsify(f, sparsify_state(), activation="gelu"),
            "cfg.json: activation is 'gelu', and should be topk",
        ),
        (lambda f: sparsify(f, sparsify_state(), signed=True), "cfg.json: signed activations cannot be run"),
        (lambda f: sparsify(f, without(sparsify_state(), "W_dec")), "sae.safetensors: has no W_dec"),
        (lambda f: sparsify(f, sparsify_state(), skip_connection=True), "sae.safetensors: has no W_skip"),
        (
            lambda f: sparsify(f, sparsify_state(), activation="groupmax", k=4),
            "k is 4, and should be a divisor of the 6",
        ),
        (
            lambda f: sparsify(f, sparsify_state(), k=-1),
            "cfg.json: k is -1, and should be a whole number of at least 1",
        ),
        # Matryoshka-Transcoders.
        (
            lambda f: checkpoint(f, jump_state(), {"input_dim": D_IN, "levels": [2, 5], "topk_per_level": [1, 1]}),
            r"levels is \[2, 5\], and should be ascending up to 6",
        ),
        (
            lambda f: checkpoint(f, jump_state(), {"input_dim": D_IN, "levels": [2, 6], "topk_per_level": [1]}),
            r"topk_per_level is \[1\], and should be 2 numbers, one a level",
        ),
    ],
)
def test_what_is_wrong_with_a_coder_is_one_line(tmp_path: Path, write: Callable[[Path], Path], message: str):
    says(write(tmp_path), message)


def jump_state() -> dict[str, Tensor]:
    state = {"encoder.0.weight": torch.zeros(N, D_IN), "encoder.0.bias": torch.zeros(N)}
    state |= {"encoder.1.gamma": torch.tensor(1.0), "encoder.1.beta": torch.tensor(1.0)}
    for i, width in enumerate((2, N)):
        state |= {f"decoders.{i}.weight": torch.zeros(D_IN, width), f"decoders.{i}.bias": torch.zeros(D_IN)}
    return state


def test_what_is_missing_beside_a_file_is_named(tmp_path: Path):
    folder = saelens(tmp_path / "a", weights(), "standard")
    (folder / "cfg.json").unlink()
    assert says(folder, "no settings beside it").endswith(
        "a/sae_weights.safetensors: has W_dec, W_enc, b_dec, b_enc, and no settings beside it; "
        "copy the config.json or cfg.json that the tool wrote with it"
    )
    (folder / "config.json").write_text('{"what": "else"}')
    says(folder, r"and the settings beside it \(config\.json\) are of no tool that is known")
    (folder / "sae_weights.safetensors").unlink()
    says(folder, r"has config\.json and no weights; copy these too")
    (folder / "config.json").write_text("{")
    says(folder, r"config\.json: is broken: ")
    (folder / "config.json").unlink()
    says(folder, "holds no coder, neither coder.json nor weights of a tool that is known")
    saelens(tmp_path / "b", weights(), "standard")
    says(tmp_path, "holds no coder, but folders that may: b; name one")
    says(tmp_path / "none", "none: there is no such folder or file")


def test_a_hostile_pickle_beside_good_settings_is_refused(tmp_path: Path):
    class Runs:
        def __reduce__(self) -> object:
            return os.system, (f"touch {tmp_path / 'ran'}",)

    (tmp_path / "config.json").write_text(json.dumps(PRISMA))
    torch.save({"cfg": Runs(), "state_dict": weights()}, tmp_path / "weights.pt")

    said = says(tmp_path, r"weights\.pt: is not read, since it wants to run posix\.system, which is not plain data")

    assert said.endswith("save its weights as safetensors, or give another file")
    assert not (tmp_path / "ran").exists()


def test_a_tensor_whose_sizes_were_set_anew_is_refused(tmp_path: Path):
    class Wide:
        def __reduce__(self) -> object:
            one = torch.zeros(2)
            function, values, *_ = one.__reduce_ex__(2)
            return function, values, (one, 0, (4, 10**9), (0, 0))

    torch.save({"cfg": {"block_layer": 1}, "state_dict": weights() | {"W_enc": Wide()}}, tmp_path / "a.pt")

    says(tmp_path, r"a\.pt: W_enc states more numbers than it has; save it again")


@pytest.mark.parametrize(
    ("name", "value", "refused"),
    [
        ("W_enc", float("nan"), "encoder"),
        ("b_enc", float("nan"), "encoder_bias"),
        ("W_dec", float("inf"), r"decoders\.0"),
        ("b_enc", float("-inf"), None),
    ],
)
def test_weights_that_are_not_finite_are_refused_but_where_they_turn_a_latent_off(
    name: str, value: float, refused: str | None, tmp_path: Path
):
    state = weights()
    state[name].view(-1)[0] = value
    folder = prisma(tmp_path, state)

    if refused is None:
        assert load_coder(folder).coder.n_latents == N
    else:
        says(folder, rf"weights\.pt: {refused}: 1 of \d+ weights are not finite numbers; copy it again")
