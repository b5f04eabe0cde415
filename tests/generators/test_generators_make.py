"""`benchmark make`: which features get into a pack, and what it says of them."""

import json
import shutil
from pathlib import Path

import pytest
from generators_world import RED, SAYS, run_over

from autointerp.commands.benchmark_make import PackChoice, benchmark_make
from autointerp.errors import SettingsError
from autointerp.generators.pack import open_pack


def test_the_red_square_is_the_one_failure_mode_and_fires_on_every_wrong_picture(world: Path):
    pack = open_pack(world / "pack").pack

    assert [m.features for m in pack.modes] == [(RED,)]
    mode = pack.modes[0]
    assert (mode.name, mode.category) == ("a red square that floats", "gravity-and-support")
    assert (mode.with_attribute.value, mode.without_attribute.value) == (1.0, 0.0)
    assert pack.held_out.n_choosing + pack.held_out.n_measuring == 240
    assert pack.overall.with_attribute.n == mode.with_attribute.n
    assert pack.sifted.model_dump() == {"explained": 3, "detected": 3, "tested": 1, "associated": 1}


def test_the_lift_of_what_fires_on_wrong_pictures_alone_is_one_over_their_share(world: Path):
    pack = open_pack(world / "pack").pack
    feature = pack.features[0]
    share = feature.with_attribute.n / (feature.with_attribute.n + feature.without_attribute.n)

    assert feature.lift.value == pytest.approx(1 / share)
    assert feature.lift.low > 1.5
    assert feature.q < 1e-6


def test_a_pack_is_readable_text_weights_and_pictures(world: Path):
    pack = world / "pack"
    files = sorted(p.relative_to(pack).as_posix() for p in pack.rglob("*") if p.is_file())

    assert files == [
        "README.md",
        "coder/coder.json",
        "coder/coder.safetensors",
        "pack.json",
        "strips/a-red-square-that-floats.jpg",
    ]
    assert json.loads((pack / "pack.json").read_text())["format"] == "autointerp-pack/1"
    assert str(world) not in (pack / "pack.json").read_text() + (pack / "coder/coder.json").read_text()
    assert "a red square that floats" in (pack / "README.md").read_text()


def test_an_explanation_that_does_not_beat_its_controls_names_no_failure(world: Path, tmp_path: Path):
    run = run_over(world / "dump", tmp_path / "run", detection=0.35)

    with pytest.raises(SettingsError, match="of 3 features with a detection score none is clearly above its controls"):
        benchmark_make(run, tmp_path / "pack")
    assert not (tmp_path / "pack").exists()


def test_fresh_labelled_pictures_give_the_same_mode(world: Path, tmp_path: Path):
    made = benchmark_make(world / "run", tmp_path / "pack", images=world / "images")

    pack = made.opened.pack
    assert pack.held_out.source == "images"
    assert [m.features for m in pack.modes] == [(RED,)]


def test_a_coder_that_is_another_one_is_refused(world: Path, tmp_path: Path):
    shutil.copytree(world / "coder", tmp_path / "coder")
    info = json.loads((tmp_path / "coder/coder.json").read_text())
    info["config"]["k"] = 3
    (tmp_path / "coder/coder.json").write_text(json.dumps(info))

    with pytest.raises(SettingsError, match=r"is not the coder that .* was harvested with"):
        benchmark_make(world / "run", tmp_path / "pack", coder=str(tmp_path / "coder"))


def test_the_same_seed_makes_the_same_pack_but_for_its_time(world: Path, tmp_path: Path):
    made = benchmark_make(world / "run", tmp_path / "pack", choice=PackChoice())
    first, again = open_pack(world / "pack").pack, made.opened.pack

    other = {"created": again.created}
    assert first.model_copy(update=other) == again


def test_a_pack_that_is_there_is_not_replaced(world: Path):
    with pytest.raises(SettingsError, match="exists already"):
        benchmark_make(world / "run", world / "pack")


def test_scores_of_another_judge_do_not_decide_unless_it_is_named(world: Path, tmp_path: Path):
    with pytest.raises(SettingsError, match="judge other: did not score"):
        benchmark_make(world / "run", tmp_path / "pack", judge="other")

    assert benchmark_make(world / "run", tmp_path / "pack", judge="m").opened.pack.origin.judge == "m"


def test_images_of_two_groups_cannot_choose_and_measure_and_that_is_said(world: Path, tmp_path: Path):
    images = sorted((world / "images").rglob("*.png"))
    wrong = [path.parent.name == "implausible" for path in images]
    rows = [f"{path},{int(bad)},{'with' if bad else 'without'}" for path, bad in zip(images, wrong, strict=True)]
    (tmp_path / "labels.csv").write_text("\n".join(["path,label,group", *rows]))

    with pytest.raises(SettingsError, match="images: its 2 prompts, groups and near-duplicates are not divided"):
        benchmark_make(
            world / "run", tmp_path / "pack", images=world / "images", labels=tmp_path / "labels.csv", classifier=None
        )
    assert not (tmp_path / "pack").exists()


def test_an_explanation_of_many_pages_is_cut(world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(SAYS, RED, "a red square that floats, " * 200)
    run_over(world / "dump", tmp_path / "run")

    made = benchmark_make(tmp_path / "run", tmp_path / "pack")

    assert len(made.opened.pack.modes[0].name) == 2000
