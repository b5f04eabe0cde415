"""`benchmark run`: rates against a slow count, resuming, and what is refused."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from generators_world import MODE, backbone, judged_table, named
from PIL import Image

from autointerp.commands.benchmark_run import benchmark_run
from autointerp.errors import SettingsError
from autointerp.generators.kept import Kept
from autointerp.generators.pack import open_pack
from autointerp.generators.result import open_result
from autointerp.jobs.benchmark_run import Ran


def test_rates_are_the_planted_ones_and_the_better_generator_stands_first(ran: Ran):
    a, b = ran.result.sets

    assert (a.name, b.name) == ("a", "b")
    assert (a.any.hits, b.any.hits, a.any.n) == (6, 36, 120)
    assert a.modes[MODE].rate.low < 0.05 < a.modes[MODE].rate.high
    assert [r.name for r in ran.result.ranks] == ["a", "b"]
    assert ran.result.ranks[0].shares[0] > 0.99


def test_the_difference_is_found_and_is_that_of_the_rates(ran: Ran):
    (pair,) = [p for p in ran.result.pairs if p.what == MODE]

    assert pair.difference.value == pytest.approx(0.25)
    assert pair.difference.low > 0.1
    assert pair.q < 0.01


def test_the_table_of_images_counts_to_the_rates(ran: Ran):
    rows = pq.read_table(ran.out / "images.parquet").to_pylist()

    for one in ran.result.sets:
        own = [r for r in rows if r["generator"] == one.name]
        assert sum(MODE in r["modes"] for r in own) == one.modes[MODE].rate.hits
        assert len({r["cluster"] for r in own}) == one.n_clusters


def test_a_generator_that_is_added_costs_its_own_pictures_alone(
    world: Path, generators: Path, ran: Ran, tmp_path: Path
):
    out = tmp_path / "result"
    shutil.copytree(ran.out, out)

    more = benchmark_run(world / "pack", out, images=named(generators, "a", "b", "sound"), reference="sound")

    assert (more.n_before, more.n_run) == (240, 40)
    assert [s.reference for s in more.result.sets] == [False, False, True]
    against = more.result.sets[1].any_against_reference
    assert against is not None
    assert against.value == pytest.approx(0.30)


def test_a_pack_elsewhere_gives_the_same_figures_to_the_digit(world: Path, generators: Path, ran: Ran, tmp_path: Path):
    shutil.copytree(world / "pack", tmp_path / "sent")

    again = benchmark_run(tmp_path / "sent", tmp_path / "out", images=named(generators, "a", "b"))

    made = ran.result.made.model_copy(update={"created": again.result.made.created})
    assert again.result == ran.result.model_copy(update={"made": made})


def test_a_run_that_was_stopped_goes_on_to_the_same_result(
    world: Path, generators: Path, ran: Ran, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    from autointerp.jobs import benchmark_run as job

    monkeypatch.setattr(job, "AT_ONCE", 32)

    class Stopping:
        def count(self, stage: str, done: int, total: int | None, words: str = "") -> None:
            if stage == "images run" and done > 100:
                raise KeyboardInterrupt

        def note(self, text: str) -> None:
            pass

    with pytest.raises(KeyboardInterrupt):
        benchmark_run(world / "pack", tmp_path / "out", images=named(generators, "a", "b"), progress=Stopping())
    assert not (tmp_path / "out/result.json").exists()

    again = benchmark_run(world / "pack", tmp_path / "out", images=named(generators, "a", "b"))

    assert (again.n_before, again.n_run) == (96, 144)
    made = ran.result.made.model_copy(update={"created": again.result.made.created})
    assert again.result == ran.result.model_copy(update={"made": made})


def test_few_images_give_an_interval_and_a_warning_and_no_rank(world: Path, generators: Path, tmp_path: Path):
    found = benchmark_run(world / "pack", tmp_path / "out", images=named(generators, "a", "b", "sound")).result

    sound = next(s for s in found.sets if s.name == "sound")
    assert not sound.ranked
    assert sound.any.high > 0.05
    assert "has 40 images, fewer than 100" in sound.warnings[0]
    assert {r.name for r in found.ranks} == {"a", "b"}


def test_files_that_cannot_be_read_are_counted_and_named(world: Path, generators: Path, tmp_path: Path):
    shutil.copytree(generators / "a", tmp_path / "a")
    (tmp_path / "a/broken.png").write_bytes(b"no picture")

    found = benchmark_run(world / "pack", tmp_path / "out", images=[f"a={tmp_path / 'a'}", f"b={generators / 'b'}"])

    a = found.result.sets[0]
    assert (a.n_images, a.n_broken) == (120, 1)
    assert "broken.png" in a.broken[0]
    assert "1 file that cannot be read was left out" in a.warnings[0]


def test_a_manifest_names_generators_prompts_and_seeds(world: Path, generators: Path, tmp_path: Path):
    with (tmp_path / "all.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(("path", "generator", "prompt", "seed"))
        for name in ("a", "b"):
            paths = sorted((generators / name).iterdir())
            table.writerows((p, name, f"prompt {i % 30}", i // 30) for i, p in enumerate(paths))

    found = benchmark_run(world / "pack", tmp_path / "out", manifest=tmp_path / "all.csv")

    assert [(s.name, s.n_prompts, s.n_clusters) for s in found.result.sets] == [("a", 30, 30), ("b", 30, 30)]
    (pair,) = [p for p in found.result.pairs if p.what == MODE]
    assert pair.n_shared == 30
    assert set(pq.read_table(tmp_path / "out/images.parquet")["seed"].to_pylist()) == {"0", "1", "2", "3"}


def test_files_of_one_name_are_of_one_prompt_where_that_is_said(world: Path, generators: Path, tmp_path: Path):
    images = named(generators, "a", "b")
    found = benchmark_run(world / "pack", tmp_path / "out", images=images, paired_names=True)

    (pair,) = [p for p in found.result.pairs if p.what == MODE]
    assert pair.n_shared == 120


@pytest.mark.parametrize(
    ("images", "more", "said"),
    [
        (["a"], {}, "images: a benchmark compares; name at least two generators"),
        (["a", "empty"], {}, r"images empty=…: .*empty: holds no images"),
        (["a", "gone"], {}, r"images gone=…: .*gone"),
        (["a", "mixed"], {}, "mixed: images of 2 sizes, 40 of 16 x 16 and 1 of 8 x 8"),
        (["a", "b"], {"reference": "c"}, "reference c: is none of the names given: a, b"),
        ([], {}, "images: name the images of each generator"),
    ],
)
def test_what_cannot_be_compared_is_said_before_anything_is_written(
    images: list[str], more: dict[str, str], said: str, world: Path, generators: Path, tmp_path: Path
):
    (tmp_path / "empty").mkdir()
    shutil.copytree(generators / "sound", tmp_path / "mixed")
    Image.new("RGB", (8, 8)).save(tmp_path / "mixed/small.png")
    places = {n: (generators if (generators / n).exists() else tmp_path) / n for n in images}

    with pytest.raises(SettingsError, match=said):
        benchmark_run(world / "pack", tmp_path / "out", images=[f"{n}={p}" for n, p in places.items()], **more)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("text", ["a", "=folder", "a="])
def test_a_name_without_a_folder_is_refused(text: str, world: Path, tmp_path: Path):
    with pytest.raises(SettingsError, match="write it as NAME=FOLDER"):
        benchmark_run(world / "pack", tmp_path / "out", images=[text])


def test_a_result_of_another_pack_is_not_gone_on_with(world: Path, ran: Ran):
    with pytest.raises(SettingsError, match="was made with another pack"):
        Kept(ran.out / "encoded", "0" * 64, ran.result.made.by.partition(", ")[2], 1, 0)


def test_a_result_is_read_as_it_was_written(ran: Ran):
    assert open_result(ran.out).result == ran.result


def test_what_is_kept_of_each_picture_is_what_a_slow_pass_over_single_pictures_finds(
    world: Path, generators: Path, ran: Ran
):
    pack = open_pack(world / "pack")
    kept = Kept(ran.out / "encoded", pack.digest, ran.result.made.by.partition(", ")[2], 1, len(pack.pack.controls))
    rows = pq.read_table(ran.out / "images.parquet").to_pylist()

    peaks, _ = kept.peaks([r["sha256"] for r in rows])

    encoder = np.array([1.0, -0.5, -0.5])
    for row, peak in zip(rows, peaks[:, 0], strict=True):
        with Image.open(generators / row["generator"] / row["path"]) as picture:
            patches = backbone().prepare(picture).flatten(1).numpy().T
        slow = max(0.0, float((patches @ encoder - 1.5).max()))
        assert peak == pytest.approx(slow, abs=1e-4)
        assert (slow > pack.pack.features[0].threshold * pack.pack.modes[0].level) == (MODE in row["modes"])


def test_how_many_images_are_run_at_once_changes_no_rate(world: Path, generators: Path, ran: Ran, tmp_path: Path):
    found = benchmark_run(world / "pack", tmp_path / "out", images=named(generators, "a", "b"), batch=5).result

    assert [s.any for s in found.sets] == [s.any for s in ran.result.sets]


def test_a_category_that_is_called_what_a_mode_is_does_not_take_its_place(
    world: Path, generators: Path, ran: Ran, tmp_path: Path
):
    pack = Path(shutil.copytree(world / "pack", tmp_path / "pack"))
    content = json.loads((pack / "pack.json").read_text())
    (mode,) = content["modes"]
    mode["category"] = MODE
    content["modes"].insert(0, {**mode, "id": "never-on", "level": 1e6})
    content["categories"] = {MODE: content["overall"]}
    (pack / "pack.json").write_text(json.dumps(content))
    images = named(generators, "a", "b")
    first = benchmark_run(pack, tmp_path / "out", images=images)
    answers = judged_table(first.out, tmp_path / "v.csv", lambda _, on: "yes" if on else "no")

    found = benchmark_run(pack, tmp_path / "out", images=images, verdicts=answers).result

    judged = {p.what: p.judged for p in found.pairs if p.kind == "mode"}
    assert judged[MODE] is not None
    assert judged[MODE].value == pytest.approx(0.25)


def test_a_prompt_may_be_as_long_as_generators_take_it(world: Path, generators: Path, tmp_path: Path):
    prompt = "a red square on a grey floor, " * 150
    lines = [f"{generators / n / f'{i:04d}.png'},{n},{prompt if i == 0 else i}" for n in "ab" for i in range(100)]
    (tmp_path / "m.csv").write_text("\n".join(["path;generator;prompt", *(x.replace(",", ";", 2) for x in lines)]))

    found = benchmark_run(world / "pack", tmp_path / "out", manifest=tmp_path / "m.csv").result

    shown = max((s.prompt for s in found.strongest), key=len)
    assert shown.startswith("a red square on a grey floor, a red square")
    assert len(shown) <= 2000


def test_a_broken_file_whose_name_holds_a_colon_is_counted(world: Path, generators: Path, tmp_path: Path):
    shutil.copytree(generators / "a", tmp_path / "a")
    (tmp_path / "a/odd: name.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
    places = [*sorted((tmp_path / "a").iterdir()), *sorted((generators / "b").iterdir())]
    rows = [f"{path},{path.parent.name}" for path in places]
    (tmp_path / "m.csv").write_text("\n".join(["path,generator", *rows]))

    found = benchmark_run(world / "pack", tmp_path / "out", manifest=tmp_path / "m.csv").result

    assert {s.name: s.n_broken for s in found.sets} == {"a": 1, "b": 0}


def test_a_run_in_whose_folder_a_lock_lies_is_no_place_for_a_result(world: Path, generators: Path, tmp_path: Path):
    run = Path(shutil.copytree(world / "run", tmp_path / "run"))
    assert (run / ".lock").exists()

    with pytest.raises(SettingsError, match="holds other things than a result"):
        benchmark_run(world / "pack", run, images=named(generators, "a", "b"))
    assert not (run / "encoded").exists()


def test_a_generator_of_one_prompt_has_intervals(world: Path, generators: Path, tmp_path: Path):
    rows = [f"{path},{path.parent.name},{path.parent.name}" for n in "ab" for path in (generators / n).iterdir()]
    (tmp_path / "m.csv").write_text("\n".join(["path,generator,prompt", *rows]))

    found = benchmark_run(world / "pack", tmp_path / "out", manifest=tmp_path / "m.csv").result

    assert [(s.n_clusters, s.any.value) for s in found.sets] == [(1, pytest.approx(0.05)), (1, pytest.approx(0.30))]
    assert not any(p.is_finding(0.05) for p in found.pairs)
    assert "says as much as 1 image, prompts and near-duplicates counting once" in found.sets[0].warnings[0]


@pytest.mark.parametrize("how", ["images", "manifest"])
def test_a_name_that_fills_a_page_is_refused(how: str, world: Path, generators: Path, tmp_path: Path):
    long, manifest = "n" * 201, tmp_path / "m.csv"
    manifest.write_text(f"path,generator\n{generators / 'b/0000.png'},{long}\n")
    given = {"images": {"images": [f"{long}={generators / 'a'}"]}, "manifest": {"manifest": manifest}}[how]

    with pytest.raises(SettingsError, match="has more than 200 characters; shorten it"):
        benchmark_run(world / "pack", tmp_path / "out", **given)


def test_what_is_kept_of_another_pack_s_features_is_no_traceback(
    world: Path, generators: Path, ran: Ran, tmp_path: Path
):
    out = Path(shutil.copytree(ran.out, tmp_path / "out"))
    (path,) = (out / "encoded").glob("*.parquet")
    table = pq.read_table(path)
    peaks = pa.array([[1.0, 2.0]] * len(table), table.schema.field("peaks").type)
    pq.write_table(table.set_column(1, table.schema.field("peaks"), peaks), path)

    with pytest.raises(SettingsError, match=r"parquet: does not hold what the pack has; remove it"):
        benchmark_run(world / "pack", out, images=named(generators, "a", "b"))
