"""SemanticLens's top lists: rows of activation 0 are no evidence, and a full list says nothing of the others."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from standin.top_lists import NAMES, bfloat16, draw_images, maps, save_safetensors, save_semanticlens

from autointerp.commands.import_semanticlens import import_semanticlens
from autointerp.commands.inspect import inspect
from autointerp.dump.reader import open_dump
from autointerp.dump.validate import validate
from autointerp.errors import DumpError, SettingsError


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return draw_images(tmp_path / "images")


def strata(dump: Path, feature: int) -> dict[str, list[tuple[str, float]]]:
    """Name and activation of the exemplars of a feature, by stratum."""
    out: dict[str, list[tuple[str, float]]] = {}
    with open_dump(dump, allow_outside=True) as opened:
        for e in opened.feature(feature).exemplars:
            out.setdefault(e.stratum, []).append((NAMES[e.image], e.activation))
    return out


def test_rows_that_fire_are_the_top_and_all_others_are_silent_where_the_list_is_not_full(
    tmp_path: Path, images: Path
) -> None:
    """Latent 0 fires on the 4 blue images, and the list has 6 places: the last two are silent as all others."""
    result = import_semanticlens(save_semanticlens(tmp_path, 6), tmp_path / "dump", images=str(images))
    found = strata(tmp_path / "dump", 0)
    assert found["top"] == [(f"blue/blue_{i}.png", float(i)) for i in (4, 3, 2, 1)]
    assert sorted(name for name, _ in found["silent"]) == NAMES[4:]
    assert (result.n_images, result.n_latents, result.hookpoint) == (12, 5, "sae")
    with open_dump(tmp_path / "dump", allow_outside=True) as dump:
        assert [problem for problem in validate(dump) if problem.severity == "error"] == []
        assert dump.feature(4).row.n_active == 0
        assert dump.feature(4).exemplars == ()


def test_what_macos_leaves_beside_a_file_is_no_layer(tmp_path: Path, images: Path) -> None:
    file = save_semanticlens(tmp_path / "src", 6)
    file.with_name(f"._{file.name}").write_bytes(b"\0\5\26\7")
    assert import_semanticlens(file.parent, tmp_path / "dump", images=str(images)).n_latents == 5


def test_two_files_of_one_layer_are_named_by_their_own_names(tmp_path: Path, images: Path) -> None:
    for k in (2, 6):
        save_semanticlens(tmp_path / "src", k)
    with pytest.raises(SettingsError, match=r"holds 2; name one of \S+-2-sae, \S+-6-sae$"):
        import_semanticlens(tmp_path / "src", tmp_path / "dump", images=str(images))


@pytest.mark.parametrize("sizes", [(0, 6), (5, 0), (10**9, 0)])
def test_lists_of_nothing_are_refused(sizes: tuple[int, int], tmp_path: Path, images: Path) -> None:
    nothing = np.zeros(sizes, np.int64)
    arrays = {"activations": ("I64", nothing), "sample_ids": ("I64", nothing)}
    save_safetensors(tmp_path / "max-6-sae.safetensors", arrays)
    with pytest.raises(DumpError, match=r"activations: its sizes are \[\d+, \d\]; expected latents and the images"):
        import_semanticlens(tmp_path / "max-6-sae.safetensors", tmp_path / "dump", images=str(images))
    assert not (tmp_path / "dump").exists()


def test_a_full_list_has_no_silent_images_and_the_dump_says_so(tmp_path: Path, images: Path) -> None:
    """Latent 3 fires on 8 images, and the list has 6 places."""
    result = import_semanticlens(save_semanticlens(tmp_path, 6), tmp_path / "dump", images=str(images))
    found = strata(tmp_path / "dump", 3)
    assert len(found["top"]) == 6
    assert "silent" not in found
    assert result.top_only is not None
    assert (result.top_only.k, result.top_only.n_full, result.top_only.counted) == (6, 1, False)
    summary = inspect(tmp_path / "dump", allow_outside=True).summary
    assert summary is not None
    assert summary.notes[0].startswith("only the stratum top is covered: of 1 feature the source keeps the 6 strongest")
    # Three of the four other latents fire on 4 of 12 images, and one never; of latent 3 nobody knows.
    assert dict(summary.density_quantiles)[1.0] == pytest.approx(1 / 3)
    assert result.density_of(6) is None
    assert result.density_of(4) == pytest.approx(1 / 3)


def test_silent_images_of_a_full_list_are_drawn_where_the_user_says_so_and_the_note_says_it(
    tmp_path: Path, images: Path
) -> None:
    src = save_semanticlens(tmp_path, 6)
    result = import_semanticlens(src, tmp_path / "dump", images=str(images), assume_silent=True)
    found = strata(tmp_path / "dump", 3)
    assert len(found["silent"]) == 6
    assert not {name for name, _ in found["silent"]} & {name for name, _ in found["top"]}
    assert "some of these may count as silent here" in result.notes[0]


def test_where_no_list_is_full_the_dump_is_as_complete_as_one_of_all_activations(tmp_path: Path, images: Path) -> None:
    result = import_semanticlens(save_semanticlens(tmp_path, 9), tmp_path / "dump", images=str(images))
    assert (result.top_only, result.population, result.notes) == (None, "complete", ())
    assert len(strata(tmp_path / "dump", 3)["silent"]) == 4


def test_images_may_be_any_population(tmp_path: Path, images: Path) -> None:
    """A list of the files in another order: the first row is its first line."""
    (tmp_path / "list.txt").write_text("\n".join(str(images / name) for name in reversed(NAMES)) + "\n")
    import_semanticlens(save_semanticlens(tmp_path, 6), tmp_path / "dump", images=tmp_path / "list.txt")
    with open_dump(tmp_path / "dump", allow_outside=True) as dump:
        assert [e.image for e in dump.feature(0).active] == [3, 2, 1, 0]
        assert {dump.image(row).label for row in range(4)} != {"blue"}


def test_rows_of_a_dataset_that_names_image_files_are_in_its_own_order(tmp_path: Path, images: Path) -> None:
    """A folder of Parquet is no folder of images, wherever the files lie that it names: its first row is red_4."""
    named = [{"bytes": None, "path": str(images / name)} for name in reversed(NAMES)]
    schema = pa.schema([("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())]))])
    (tmp_path / "dataset").mkdir()
    pq.write_table(pa.table({"image": named}, schema), tmp_path / "dataset/train-00000-of-00001.parquet")
    result = import_semanticlens(save_semanticlens(tmp_path, 6), tmp_path / "dump", images=tmp_path / "dataset")
    assert "row 0 is taken for red/red_4.png, row 11 for blue/blue_1.png" in result.said


def test_empty_places_are_no_evidence(tmp_path: Path, images: Path) -> None:
    arrays = {
        "sample_ids": ("I64", np.array([[3, -1]], "<i8")),
        "activations": ("F32", np.array([[2, -np.inf]], "<f4")),
    }
    path = save_safetensors(tmp_path / "a.safetensors", arrays)
    import_semanticlens(path, tmp_path / "dump", images=str(images))
    assert strata(tmp_path / "dump", 0)["top"] == [("blue/blue_4.png", 2.0)]


def test_of_several_layers_one_has_to_be_named(tmp_path: Path, images: Path) -> None:
    for layer in ("layer3.0", "layer4.1"):
        save_semanticlens(tmp_path / "cache", 6, layer)
    with pytest.raises(SettingsError, match=r"layer: .*cache holds 2; name one of layer3.0, layer4.1"):
        import_semanticlens(tmp_path / "cache", tmp_path / "dump", images=str(images))
    result = import_semanticlens(tmp_path / "cache", tmp_path / "dump", images=str(images), layer="layer4.1")
    assert result.hookpoint == "layer4.1"


def test_without_the_images_the_command_says_which_to_give(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="names images by their row alone; give the data set that SemanticLens ran"):
        import_semanticlens(save_semanticlens(tmp_path, 6), tmp_path / "dump")


def test_a_population_that_is_too_small_is_refused_and_no_dump_is_left(tmp_path: Path, images: Path) -> None:
    (images / NAMES[0]).unlink()
    before = sorted(tmp_path.iterdir())
    with pytest.raises(DumpError, match="latent 2: names image 11, and --images holds 11"):
        import_semanticlens.run(
            import_semanticlens.record.given(
                {"src": save_semanticlens(tmp_path, 6), "dump": tmp_path / "dump", "images": str(images)}
            )
        )
    assert sorted(p for p in tmp_path.iterdir() if p.suffix != ".safetensors") == before


def test_a_broken_image_is_left_out_and_named(tmp_path: Path, images: Path) -> None:
    (images / NAMES[3]).write_bytes((images / NAMES[3]).read_bytes()[:40])
    result = import_semanticlens(save_semanticlens(tmp_path, 6), tmp_path / "dump", images=str(images))
    assert [(one.count, one.why) for one in result.left_out] == [(1, "images that cannot be read")]
    assert "blue_4.png" in result.left_out[0].example
    assert [name for name, _ in strata(tmp_path / "dump", 0)["top"]] == [f"blue/blue_{i}.png" for i in (3, 2, 1)]


@pytest.mark.parametrize(
    ("activations", "ids", "said"),
    [
        (("F32", np.zeros((2, 3), "<f4")), None, "holds no sample_ids; expected a file of SemanticLens's"),
        (
            ("F32", np.zeros((2, 3), "<f4")),
            np.zeros((2, 2), "<i8"),
            r"sample_ids: its sizes are \[2, 2\]; expected 2 x 3",
        ),
        (("F32", np.zeros(3, "<f4")), np.zeros(3, "<i8"), r"activations: its sizes are \[3\]; expected any x any"),
        (("BF16", bfloat16(np.full((1, 1), np.nan))), np.zeros((1, 1), "<i8"), "latent 0: an activation is not finite"),
    ],
)
def test_a_file_that_is_not_semanticlens_s_is_refused(
    tmp_path: Path, images: Path, activations: tuple[str, np.ndarray], ids: np.ndarray | None, said: str
) -> None:
    arrays = {"activations": activations} | ({} if ids is None else {"sample_ids": ("I64", ids)})
    path = save_safetensors(tmp_path / "a.safetensors", arrays)
    with pytest.raises(DumpError, match=said):
        import_semanticlens(path, tmp_path / "dump", images=str(images))
    assert not (tmp_path / "dump").exists()


def test_the_same_command_writes_the_same_dump(tmp_path: Path, images: Path) -> None:
    src = save_semanticlens(tmp_path, 6, values=maps().max(axis=(1, 2)))
    for name in ("one", "other"):
        import_semanticlens(src, tmp_path / name, images=str(images), silent=3)
    assert strata(tmp_path / "one", 0) == strata(tmp_path / "other", 0)
    assert len(strata(tmp_path / "one", 0)["silent"]) == 3
