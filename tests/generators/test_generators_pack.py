"""Packs that a stranger has sent: nothing outside is read, nothing is run, and memory is not filled."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from autointerp.errors import SettingsError
from autointerp.generators.encoding import open_reader
from autointerp.generators.pack import PACK_FILE, open_pack


@pytest.fixture
def pack(world: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(world / "pack", tmp_path / "pack"))


def changed(pack: Path, change: Callable[[dict[str, object]], object]) -> None:
    """Changes pack.json."""
    content = json.loads((pack / PACK_FILE).read_text())
    change(content)
    (pack / PACK_FILE).write_text(json.dumps(content))


def signed(pack: Path, name: str) -> None:
    """Enters a file's digest as it is now."""
    data = (pack / name).read_bytes()
    ref = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
    changed(pack, lambda c: c["files"].update({name: ref}))  # pyright: ignore[reportAttributeAccessIssue] - a dict


def test_a_pack_of_another_version_is_refused_in_one_line(pack: Path):
    changed(pack, lambda c: c.update(format="autointerp-pack/2"))

    with pytest.raises(SettingsError, match="is not of the format autointerp-pack/1"):
        open_pack(pack)


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "coder/../../x", "coder/evil.pkl", "strips/../x.jpg"])
def test_a_file_outside_the_pack_or_of_another_kind_is_never_opened(name: str, pack: Path):
    changed(pack, lambda c: c["files"].update({name: {"sha256": "0" * 64, "size": 1}}))  # pyright: ignore

    with pytest.raises(SettingsError, match="which is none of a pack's"):
        open_pack(pack)


def test_a_link_in_place_of_a_file_is_not_followed(pack: Path, tmp_path: Path):
    secret = tmp_path / "secret"
    secret.write_bytes((pack / "README.md").read_bytes())
    (pack / "README.md").unlink()
    (pack / "README.md").symlink_to(secret)

    with pytest.raises(SettingsError, match="is a link or no plain file"):
        open_pack(pack)


def test_a_folder_that_is_a_link_is_not_followed(pack: Path, tmp_path: Path):
    shutil.move(pack / "coder", tmp_path / "elsewhere")
    (pack / "coder").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(SettingsError, match="is a link or no plain file"):
        open_pack(pack)


def test_a_file_that_was_changed_is_told(pack: Path):
    (pack / "coder/coder.json").write_text("{}")

    with pytest.raises(SettingsError, match=r"coder.json: is not the file that pack.json names"):
        open_pack(pack)


def test_a_description_that_asks_for_more_memory_than_its_file_has_is_refused(pack: Path):
    info = json.loads((pack / "coder/coder.json").read_text())
    info["config"] |= {"widths": [2_000_000_000], "d_in": 3}
    (pack / "coder/coder.json").write_text(json.dumps(info))
    signed(pack, "coder/coder.json")

    with pytest.raises(SettingsError, match="its description speaks of"):
        open_reader(open_pack(pack), backbone=None, batch=1, device="cpu")


def test_another_network_of_the_same_name_is_refused(pack: Path):
    changed(pack, lambda c: c["backbone"].update(digest="1" * 64))  # pyright: ignore

    with pytest.raises(SettingsError, match=r"colours is here .* was made with colours 1111"):
        open_reader(open_pack(pack), backbone=None, batch=1, device="cpu")


@pytest.mark.parametrize("name", ["hf:/etc", "hf:../x", "timm:~/x", "hf:a/b/c", "timm:local-dir:a/b"])
def test_a_pack_does_not_name_files_of_this_machine_as_its_network(name: str, pack: Path):
    changed(pack, lambda c: c["backbone"].update(name=name))  # pyright: ignore

    with pytest.raises(SettingsError, match="files of a machine; name yours with --backbone"):
        open_reader(open_pack(pack), backbone=None, batch=1, device="cpu")


def test_a_mode_of_unknown_features_is_refused(pack: Path):
    changed(pack, lambda c: c["modes"][0].update(features=[3]))  # pyright: ignore

    with pytest.raises(SettingsError, match="modes: name the feature 3"):
        open_pack(pack)


def test_a_folder_without_a_pack_is_told(tmp_path: Path):
    with pytest.raises(SettingsError, match=r"pack.json: no such file"):
        open_pack(tmp_path)
    with pytest.raises(SettingsError, match="there is no such folder"):
        open_pack(tmp_path / "gone")


def test_numbers_that_are_none_are_refused(pack: Path):
    text = (pack / PACK_FILE).read_text()
    content = json.loads(text)
    content["features"][0]["threshold"] = float("nan")
    (pack / PACK_FILE).write_text(json.dumps(content))

    with pytest.raises(SettingsError, match="threshold"):
        open_pack(pack)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda c: c["modes"].append(c["modes"][0]), "modes: a-red-square-that-floats stands twice"),
        (lambda c: c.update(categories={}), "categories: say nothing of 'gravity-and-support'"),
        (lambda c: c["overall"]["without_attribute"].update(n_effective=0), "n_effective: Input should be greater"),
        (lambda c: c["overall"]["without_attribute"].update(value=7), "value: Input should be less"),
        (lambda c: c["features"][0].update(typical=1e-40), "typical: Input should be greater"),
        (lambda c: c["controls"].append({"feature": 3, "threshold": 1e-40, "value": 0.5}), "threshold: Input should"),
        (lambda c: c["controls"].append({"feature": 3, "threshold": 1, "value": -1}), "value: Input should be greater"),
    ],
)
def test_figures_with_which_nothing_can_be_computed_are_refused(
    change: Callable[[dict[str, object]], object], said: str, pack: Path
):
    changed(pack, change)

    with pytest.raises(SettingsError, match=said):
        open_pack(pack)


@pytest.mark.parametrize(
    ("tensors", "config", "said"),
    [
        ({"decoders.x": (4, 3)}, {}, "decoders.x is not as"),
        ({"decoder_biases.0": None}, {}, "decoder_biases.0 is not as"),
        ({"decoders.0": None}, {}, "decoders.0 is not as"),
        ({"jump": ()}, {}, "jump is not as"),
        ({"shift": (5,)}, {}, "shift is not as"),
        ({"other": (1,)}, {}, "other is not as"),
        ({}, {"widths": []}, "describes no coder"),
        ({"gate_bias": (4,)}, {"fused": True}, "describes no coder"),
        ({}, {"dtype": "load"}, "dtype 'load' is none of a coder's"),
    ],
)
def test_weights_that_are_not_those_of_the_description_are_refused(
    tensors: dict[str, tuple[int, ...] | None], config: dict[str, object], said: str, pack: Path
):
    whole = {"encoder": (4, 3), "encoder_bias": (4,), "threshold": (), "decoders.0": (4, 3), "decoder_biases.0": (3,)}
    made = {n: torch.ones(shape) for n, shape in (whole | tensors).items() if shape is not None}
    keep = {"rule": "relu"}
    about = {"format": "x", "kind": "sae", "d_in": 3, "d_out": 3, "widths": [4], "keep": keep, **config}
    (pack / "coder/coder.json").write_text(json.dumps(about))
    save_file(made, pack / "coder/coder.safetensors")
    changed(pack, lambda c: c["coder"].update(kind="linear"))  # pyright: ignore
    for name in ("coder.json", "coder.safetensors"):
        signed(pack, f"coder/{name}")

    with pytest.raises(SettingsError, match=said):
        open_reader(open_pack(pack), backbone=None, batch=1, device="cpu")
