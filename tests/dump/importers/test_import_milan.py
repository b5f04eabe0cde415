"""MILAN's exemplars: pictures that are resized already, ids that pictures prove, and masks as heat maps."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from standin.top_lists import NAMES, draw_images, save_milan

from autointerp.commands.import_milan import import_milan
from autointerp.dump.importers.framing import Frame, heat_of
from autointerp.dump.reader import open_dump
from autointerp.dump.validate import validate
from autointerp.errors import DumpError, SettingsError


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return draw_images(tmp_path / "images")


def test_without_the_images_the_pictures_themselves_are_shown(tmp_path: Path, images: Path) -> None:
    """Three pictures each of units 0 to 2; unit 3 shows some of these again, and dead unit 4 names one more."""
    result = import_milan(save_milan(tmp_path / "conv", images), tmp_path / "dump")
    assert (result.n_images, result.hookpoint, result.population) == (10, "conv", "unknown")
    with open_dump(tmp_path / "dump") as dump:
        found = dump.feature(0).exemplars
        assert [(e.stratum, e.activation) for e in found] == [("top", 4.0), ("top", 3.0), ("top", 2.0)]
        assert {(dump.image(e.image).width, dump.image(e.image).height) for e in found} == {(8, 8)}
        # Number 3 lies on the lower right patch of 2 x 2, which is 8 x 8 of 16 x 16 cells.
        assert found[1].heat is not None
        heat = np.frombuffer(found[1].heat, np.uint8).reshape(16, 16)
        assert (heat[8:, 8:] == 255).all()
        assert heat.sum(dtype=np.int64) == 64 * 255
        assert dump.feature(4).exemplars == ()


def test_with_the_images_they_are_the_evidence_once_the_pictures_prove_the_ids(tmp_path: Path, images: Path) -> None:
    result = import_milan(save_milan(tmp_path / "conv", images), tmp_path / "dump", images=str(images))
    assert result.n_images == 12
    with open_dump(tmp_path / "dump", allow_outside=True) as dump:
        assert [NAMES[e.image] for e in dump.feature(2).active] == [f"red/red_{i}.png" for i in (4, 3, 2)]
        assert dump.image(dump.feature(2).active[0].image).width == 12
        assert dump.feature(2).negatives == ()
    assert "squeezed to a square" in "".join(result.said)


def test_ids_that_mean_other_pictures_are_refused(tmp_path: Path, images: Path) -> None:
    """A class that comes before all others shifts every row by 4."""
    src = save_milan(tmp_path / "conv", images)
    for i in range(4):
        (images / "amber").mkdir(exist_ok=True)
        Image.new("RGB", (12, 8), (255, 200, 0)).save(images / f"amber/{i}.png")
    with pytest.raises(
        DumpError, match=r"ids\.csv: row 1: image 3 of images, amber/3\.png, does not look like its pict"
    ):
        import_milan(src, tmp_path / "dump", images=str(images))
    assert not (tmp_path / "dump").exists()


def test_ids_that_mean_others_of_images_that_are_all_alike_are_refused(tmp_path: Path) -> None:
    """Grey noise with one square each: any two differ by less than pictures of one image of the world may."""
    images, chance = tmp_path / "images", np.random.default_rng(4)
    images.mkdir()
    for i in range(12):
        pixels = chance.integers(118, 138, (32, 32, 3)).astype(np.uint8)
        pixels[8 * (i // 4) : 8 * (i // 4) + 8, 8 * (i % 4) : 8 * (i % 4) + 8] = 250
        Image.fromarray(pixels).save(images / f"{i:02d}.png")
    pictures = np.stack([np.asarray(Image.open(images / f"{i:02d}.png")).transpose(2, 0, 1) for i in range(12)])
    src = tmp_path / "conv"
    src.mkdir()
    np.save(src / "images.npy", pictures.reshape(3, 4, 3, 32, 32))
    ids = np.arange(12).reshape(3, 4)
    np.savetxt(src / "ids.csv", ids, "%d", ",")
    assert import_milan(src, tmp_path / "dump", images=str(images)).n_images == 12
    np.savetxt(src / "ids.csv", 11 - ids, "%d", ",")
    with pytest.raises(DumpError, match=r"row 1: image 11 of images, 11\.png, does not look like its picture"):
        import_milan(src, tmp_path / "other", images=str(images))


def test_rows_that_images_does_not_have_are_refused(tmp_path: Path, images: Path) -> None:
    src = save_milan(tmp_path / "conv", images)
    (images / NAMES[11]).unlink()
    with pytest.raises(DumpError, match=r"names row 11, and images holds 11"):
        import_milan(src, tmp_path / "dump", images=str(images))


def test_numbers_of_units_are_those_of_their_file(tmp_path: Path, images: Path) -> None:
    src = save_milan(tmp_path / "conv", images)
    np.save(src / "units.npy", np.array([3, 7, 20, 21, 90]))
    result = import_milan(src, tmp_path / "dump")
    with open_dump(tmp_path / "dump") as dump:
        assert dump.feature_ids.tolist() == [3, 7, 20, 21, 90]
    assert result.n_latents == 91


def test_numbers_of_units_that_no_dump_has_are_refused(tmp_path: Path, images: Path) -> None:
    src = save_milan(tmp_path / "conv", images)
    np.save(src / "units.npy", np.array([3, 7, 20, 21, 2**62]))
    with pytest.raises(DumpError, match=r"conv: has 4,611,686,018,427,387,905 latents; expected 1 to 2,147,483,647"):
        import_milan(src, tmp_path / "dump")


def test_only_the_pictures_are_needed(tmp_path: Path, images: Path) -> None:
    """The published exemplars of MILAN have neither activations nor ids: then the order is the activation."""
    src = save_milan(tmp_path / "conv", images)
    for name in ("activations.csv", "ids.csv", "masks.npy"):
        (src / name).unlink()
    result = import_milan(src, tmp_path / "dump")
    with open_dump(tmp_path / "dump") as dump:
        assert [e.activation for e in dump.feature(0).exemplars] == [3.0, 2.0, 1.0]
    assert result.patch_grid is None
    assert "activations are ranks" in "".join(result.said)
    with pytest.raises(DumpError, match=r"has no ids\.csv"):
        import_milan(src, tmp_path / "other", images=str(images))


def test_two_pictures_of_one_unit_that_are_the_same_are_two_images_where_no_ids_tell(
    tmp_path: Path, images: Path
) -> None:
    """A data set may hold an image twice: both fire unit 0, and of unit 1 one picture is again the first of them."""
    src = save_milan(tmp_path / "conv", images)
    (src / "ids.csv").unlink()
    pictures = np.load(src / "images.npy")
    pictures[0, 1] = pictures[1, 2] = pictures[0, 0]
    np.save(src / "images.npy", pictures)
    import_milan(src, tmp_path / "dump")
    with open_dump(tmp_path / "dump") as dump:
        assert [validated for validated in validate(dump) if validated.severity == "error"] == []
        shown = [[e.image for e in dump.feature(unit).active] for unit in (0, 1)]
        assert [e.activation for e in dump.feature(0).active] == [4.0, 3.0, 2.0]
        assert dump.feature(0).negatives == ()
    assert len(set(shown[0])) == 3
    assert shown[1][2] == shown[0][0]


def test_of_several_layers_one_has_to_be_named(tmp_path: Path, images: Path) -> None:
    for layer in ("layer3", "layer4"):
        save_milan(tmp_path / "exemplars" / layer, images)
    with pytest.raises(SettingsError, match="holds 2; name one of layer3, layer4"):
        import_milan(tmp_path / "exemplars", tmp_path / "dump")
    assert import_milan(tmp_path / "exemplars", tmp_path / "dump", layer="layer4").hookpoint == "layer4"


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("activations.csv", "1,2\n", "has 1 rows; expected 5 of 3 numbers"),
        ("activations.csv", "1,x,3\n" * 5, "no table of numbers"),
        ("ids.csv", "1,2,2.5\n" * 5, "holds fractions"),
        ("ids.csv", "1,nan,3\n" * 5, "holds fractions"),
        ("ids.csv", "1,inf,3\n" * 5, "holds fractions, or what is no number"),
        ("ids.csv", "1,1e30,3\n" * 5, "holds fractions, or what is no number"),
        ("images.npy", "", r"is no \.npy file"),
    ],
)
def test_files_that_are_not_milans_are_refused(
    tmp_path: Path, images: Path, name: str, content: str, said: str
) -> None:
    src = save_milan(tmp_path / "conv", images)
    (src / name).write_text(content)
    with pytest.raises(DumpError, match=said):
        import_milan(src, tmp_path / "dump", images=str(images))


def test_a_mask_of_the_middle_square_lies_in_the_middle_of_its_image() -> None:
    """Of an image twice as broad as high, the middle square is the middle half of the columns."""
    heat = heat_of(np.ones((32, 32), np.bool_), Frame(1.0), (64, 32))
    assert heat is not None
    cells = np.frombuffer(heat, np.uint8).reshape(16, 16)
    assert (cells[:, 4:12] == 255).all()
    assert cells[:, :4].max() == cells[:, 12:].max() == 0


def test_a_mask_of_a_smaller_square_leaves_a_frame_free() -> None:
    """Seven eighths of a square image: of 16 cells each way, one is free on each side."""
    heat = heat_of(np.ones((224, 224), np.bool_), Frame(0.875), (300, 300))
    assert heat is not None
    cells = np.frombuffer(heat, np.uint8).reshape(16, 16)
    assert (cells[1:15, 1:15] == 255).all()
    assert cells[0].max() == cells[:, 15].max() == 0
