"""`autointerp train transcoder`: stored activations to a coder with its figures, resumed and refused."""

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from standin.commands import Result, run, says

from autointerp.transcoder.coder_io import load_coder
from autointerp.transcoder.store import Activations, StoreWriter

SHORT = ("--widths", "4,12", "--k", "2", "--steps", "100", "--batch", "64", "--held-out", "0.25")
SHORT += ("--rate", "0.02", "--warm-up", "5")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight images of 64 tokens: six channels in, of which the target is a mixture of two."""
    folder = tmp_path_factory.mktemp("activations") / "store"
    draw = torch.Generator().manual_seed(0)
    mix = torch.randn(6, 2, generator=draw)
    about = Activations(backbone="tiny", reads="block.0.mlp.in", writes="block.0.mlp.out", d_in=6, d_out=2)
    with StoreWriter(folder, about) as writer:
        for image in range(8):
            x = torch.randn(64, 6, generator=draw).relu()
            of = torch.full((64,), image)
            writer.add(x, x @ mix, of, of)
    return folder


def trained(store: Path, out: Path, *more: str) -> Result:
    return run("train", "transcoder", store, "--out", out, *SHORT, *more)


def test_a_store_becomes_a_coder_with_figures_on_groups_held_out(store: Path, tmp_path: Path):
    result = trained(store, tmp_path / "c")

    assert result.code == 0
    assert "steps: 100/100" in result.err
    assert "transcoder of tiny, block.0.mlp.in to block.0.mlp.out" in result.out
    assert "on 128 tokens held out" in result.out
    coder, info = load_coder(tmp_path / "c")
    assert info.training is not None
    assert info.training.held_out is not None
    assert info.training.held_out.fvu[1] < 0.5
    assert coder.widths == (4, 12)
    assert not (tmp_path / "c" / "checkpoint.safetensors").exists()


def test_json_is_the_description(store: Path, tmp_path: Path):
    result = trained(store, tmp_path / "c", "--json", "--kind", "sae", "--side", "targets", "--sparsity", "topk")

    found = json.loads(result.out)
    assert (found["config"]["kind"], found["config"]["d_in"], found["reads"]) == ("sae", 2, "block.0.mlp.out")
    assert found["training"]["settings"]["steps"] == 100


def test_resume_begins_goes_on_and_returns_what_is_finished(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    whole = trained(store, tmp_path / "whole", "--resume", "--json", "--checkpoint-every", "10")
    with monkeypatch.context() as patch:
        # The disk refuses the finished coder, so that the checkpoint of step 100 stays.
        patch.setattr("autointerp.jobs.train_transcoder.save_coder", _refuse)
        with pytest.raises(InterruptedError):
            trained(store, tmp_path / "cut", "--checkpoint-every", "10")

    resumed = trained(store, tmp_path / "cut", "--resume", "--json", "--checkpoint-every", "10")
    again = trained(store, tmp_path / "cut", "--resume", "--json", "--checkpoint-every", "10")

    assert (whole.code, resumed.code, again.code) == (0, 0, 0)
    figures = [json.loads(r.out)["training"]["held_out"] for r in (whole, resumed, again)]
    assert figures[0] == figures[1] == figures[2]
    assert again.err == ""


def test_resume_keeps_the_settings_that_training_began_with_unless_others_are_given(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    own = ("--aux-weight", "0.5", "--dead-after", "999", "--decoder-rows", "unit", "--seed", "3")
    whole = trained(store, tmp_path / "whole", "--json", *own)
    with monkeypatch.context() as patch:
        patch.setattr("autointerp.jobs.train_transcoder.save_coder", _refuse)
        with pytest.raises(InterruptedError):
            trained(store, tmp_path / "cut", "--checkpoint-every", "10", *own)
    cut = ("train", "transcoder", store, "--out", tmp_path / "cut", "--resume")

    refused = run(*cut, "--aux-weight", "0.25")
    resumed, again = run(*cut, "--json"), run(*cut, "--json")

    says(
        refused,
        f"{tmp_path}/cut/checkpoint.safetensors: was written with aux_weight 0.5, not 0.25; "
        "give the same, or another folder",
    )
    expected, *found = (json.loads(r.out) for r in (whole, resumed, again))
    assert [f["config"] for f in found] == [expected["config"]] * 2
    assert [f["training"]["held_out"] for f in found] == [expected["training"]["held_out"]] * 2
    assert found[0]["training"]["settings"]["seed"] == 3


def test_checkpoint_of_before_starts_could_be_chosen_goes_on_with_unit_rows(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    before = ("--decoder-rows", "unit", "--decoder-start", "drawn", "--encoder-norm", "1", "--dead-after", "50000")
    with monkeypatch.context() as patch:
        patch.setattr("autointerp.jobs.train_transcoder.save_coder", _refuse)
        with pytest.raises(InterruptedError):
            trained(store, tmp_path / "cut", "--checkpoint-every", "10", *before)
    path = tmp_path / "cut" / "checkpoint.safetensors"
    with safe_open(path, framework="pt") as file:
        state = json.loads(file.metadata()["state"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    for key in ("decoder_rows", "decoder_start", "encoder_norm"):
        del state["config"][key]
    save_file(tensors, path, metadata={"state": json.dumps(state)})

    result = trained(store, tmp_path / "cut", "--resume", "--json", "--checkpoint-every", "10")

    assert result.code == 0
    assert json.loads(result.out)["config"]["decoder_rows"] == "unit"
    coder, _ = load_coder(tmp_path / "cut")
    torch.testing.assert_close(coder.decoders[0].detach().norm(dim=1), torch.ones(12))


def _refuse(*_: object) -> None:
    raise InterruptedError


def test_the_released_form_has_five_decoders(store: Path, tmp_path: Path):
    result = trained(store, tmp_path / "c", "--released", "--json", "--steps", "2", "--batch", "32")

    assert result.code == 0
    assert json.loads(result.out)["config"]["widths"] == [128, 256, 512, 1024, 2048]
    assert len(load_coder(tmp_path / "c").coder.decoders) == 5


BAD = [
    (("--kind", "x"), "--kind 'x': input should be 'transcoder' or 'sae'"),
    (("--side", "x"), "--side 'x': input should be 'inputs' or 'targets'"),
    (("--widths", "4,x"), "--widths 'x': input should be a valid integer, unable to parse string as an integer"),
    (("--widths", "12,4"), "--widths '12,4': must ascend, such as 128,512,2048"),
    (("--prefix-weights", "1"), "--prefix-weights '1': must hold 2 numbers, one for each width"),
    (("--k", "13"), "--k 13: must be at most the number of latents, 12"),
    (("--sparsity", "x"), "--sparsity 'x': input should be 'batchtopk', 'topk', 'prefix-topk' or 'band-topk'"),
    (("--rate", "0"), "--rate 0.0: input should be greater than 0"),
    (("--precision", "x"), "--precision 'x': input should be 'float32', 'tf32' or 'bfloat16'"),
    (("--held-out", "1"), "--held-out 1.0: input should be less than 1"),
]


@pytest.mark.parametrize(("options", "line"), BAD, ids=lambda v: " ".join(v) if isinstance(v, tuple) else "")
def test_bad_option_is_one_line_and_leaves_nothing(options: tuple[str, ...], line: str, store: Path, tmp_path: Path):
    says(trained(store, tmp_path / "c", *options), line)

    assert not (tmp_path / "c").exists()


def test_bad_folders_are_one_line(store: Path, tmp_path: Path):
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "coder.json").write_text("{}")

    says(
        trained(tmp_path / "none", tmp_path / "d"),
        f"{tmp_path}/none: holds no activations, it has no manifest.json; "
        "it is not a store, or its writing was cut off",
    )
    says(
        trained(store, tmp_path / "c"),
        f"{tmp_path}/c: holds a coder already; give another folder, or --resume to go on with it",
    )
    says(
        trained(store, tmp_path / "d", "--device", "nope"),
        f"--device nope: cannot be used: {_device_error()}",
    )


def _device_error() -> str:
    try:
        torch.zeros(1, device="nope")
    except RuntimeError as error:
        return str(error).partition("\n")[0]
    raise AssertionError("there is such a device")
