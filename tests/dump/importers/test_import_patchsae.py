"""PatchSAE's feature data: float32 indices into a shuffled data set, filler of value 0, labels that prove the order."""

from pathlib import Path

import numpy as np
import pytest
from standin.top_lists import CLASSES, N_IMAGES, NAMES, draw_images, means, top_lists

from autointerp.commands.import_patchsae import import_patchsae
from autointerp.dump.importers.patchsae import INDICES, LABELS, SPARSITY, VALUES
from autointerp.dump.reader import open_dump
from autointerp.errors import DumpError, SettingsError

torch = pytest.importorskip("torch", reason="torch writes the files that are read")

SHUFFLED = np.random.default_rng(1).permutation(N_IMAGES)
"""Row i of dataset.shuffle(seed=1) is image SHUFFLED[i]."""


def save(folder: Path, k: int = 5, *, order: np.ndarray = SHUFFLED) -> Path:
    """The files as save_results writes them, of a data set in this order; initial zeros fill what is not there."""
    values = means()[order]
    rows, top = top_lists(values, k)
    rows = np.where(top > 0, rows, 0)
    classes = np.array([list(CLASSES).index(NAMES[at].partition("/")[0]) for at in order])
    folder.mkdir(parents=True)
    torch.save(torch.from_numpy(rows.astype(np.float32)), folder / INDICES)
    torch.save(torch.from_numpy(np.ascontiguousarray(top)), folder / VALUES)
    torch.save(torch.from_numpy(classes[rows]), folder / LABELS)
    torch.save(torch.from_numpy((values > 0).mean(axis=0).astype(np.float32)), folder / SPARSITY)
    return folder


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return draw_images(tmp_path / "images")


def active(dump: Path, feature: int) -> list[tuple[str, float]]:
    with open_dump(dump, allow_outside=True) as opened:
        return [(NAMES[e.image], e.activation) for e in opened.feature(feature).active]


def test_rows_are_those_of_the_shuffled_data_set(tmp_path: Path, images: Path) -> None:
    """The mean over 4 patches is a quarter of the number in the name."""
    result = import_patchsae(save(tmp_path / "out"), tmp_path / "dump", images=str(images))
    assert active(tmp_path / "dump", 1) == [(f"green/green_{i}.png", i / 4) for i in (4, 3, 2, 1)]
    assert "in the order of shuffle(seed=1), which the labels of the images prove" in "".join(result.said)
    with open_dump(tmp_path / "dump", allow_outside=True) as dump:
        assert len(dump.feature(1).negatives) == 8
        assert dump.feature(4).exemplars == ()


def test_the_share_that_fires_is_what_counts_images_beyond_the_list(tmp_path: Path, images: Path) -> None:
    """Latent 3 fires on 8 of 12 images, and the list has 5 places."""
    result = import_patchsae(save(tmp_path / "out"), tmp_path / "dump", images=str(images))
    with open_dump(tmp_path / "dump", allow_outside=True) as dump:
        assert dump.feature(3).row.n_active == 8
        assert len(dump.feature(3).exemplars) == 5
    assert result.population == "complete"
    assert result.top_only is not None
    assert result.top_only.counted


def test_without_the_shares_a_full_list_counts_what_it_lists(tmp_path: Path, images: Path) -> None:
    src = save(tmp_path / "out")
    (src / SPARSITY).unlink()
    result = import_patchsae(src, tmp_path / "dump", images=str(images))
    with open_dump(tmp_path / "dump", allow_outside=True) as dump:
        assert dump.feature(3).row.n_active == 5
    assert result.top_only is not None
    assert not result.top_only.counted


def test_a_data_set_that_is_in_the_order_run_is_recognised_by_its_labels(tmp_path: Path, images: Path) -> None:
    import_patchsae(save(tmp_path / "out", order=np.arange(N_IMAGES)), tmp_path / "dump", images=str(images))
    assert active(tmp_path / "dump", 1) == [(f"green/green_{i}.png", i / 4) for i in (4, 3, 2, 1)]


def test_a_data_set_that_the_labels_contradict_is_refused(tmp_path: Path, images: Path) -> None:
    src = save(tmp_path / "out", order=np.random.default_rng(2).permutation(N_IMAGES))
    with pytest.raises(DumpError, match=r"has class ., and the image that it means"):
        import_patchsae(src, tmp_path / "dump", images=str(images))
    assert not (tmp_path / "dump").exists()
    import_patchsae(src, tmp_path / "dump", images=str(images), shuffle_seed=2)
    assert active(tmp_path / "dump", 0)[0] == ("blue/blue_4.png", 1.0)


def test_without_labels_the_user_has_to_say_the_order(tmp_path: Path, images: Path) -> None:
    src = save(tmp_path / "out")
    (src / LABELS).unlink()
    with pytest.raises(
        SettingsError, match=r"order: nothing shows how the rows number images, since .*has no max_activ"
    ):
        import_patchsae(src, tmp_path / "dump", images=str(images))
    import_patchsae(src, tmp_path / "dump", images=str(images), order="shuffled")
    assert active(tmp_path / "dump", 2)[0] == ("red/red_4.png", 1.0)


def test_an_order_that_the_labels_contradict_is_refused_though_it_was_asked_for(tmp_path: Path, images: Path) -> None:
    with pytest.raises(DumpError, match="under order='stored'"):
        import_patchsae(save(tmp_path / "out"), tmp_path / "dump", images=str(images), order="stored")


def test_shares_that_are_none_of_so_many_images_are_refused(tmp_path: Path, images: Path) -> None:
    """Four of twelve images fire latent 0; a third is no share of 13."""
    (images / "red/red_5.png").write_bytes((images / NAMES[0]).read_bytes())
    src = save(tmp_path / "out")
    (src / LABELS).unlink()
    with pytest.raises(DumpError, match="no whole number of the 13 images"):
        import_patchsae(src, tmp_path / "dump", images=str(images), order="stored")


def test_indices_that_float32_cannot_tell_apart_are_refused(tmp_path: Path, images: Path) -> None:
    src = save(tmp_path / "out")
    torch.save(torch.full((5, 5), 2.0**24), src / INDICES)
    with pytest.raises(DumpError, match="expected whole numbers below 16,777,216"):
        import_patchsae(src, tmp_path / "dump", images=str(images))


def test_files_of_other_runs_are_refused(tmp_path: Path, images: Path) -> None:
    src = save(tmp_path / "out")
    torch.save(torch.zeros(5), src / SPARSITY)
    with pytest.raises(
        DumpError, match=r"says that 0 images fire latent 0, and .* names 4; the files are not of one run"
    ):
        import_patchsae(src, tmp_path / "dump", images=str(images))
    torch.save(torch.zeros(5, 4), src / VALUES)
    with pytest.raises(DumpError, match=r"its sizes are \[5, 4\]; expected 5 x 5"):
        import_patchsae(src, tmp_path / "dump", images=str(images))


def test_of_several_data_sets_one_has_to_be_named(tmp_path: Path, images: Path) -> None:
    for name in ("imagenet", "caltech101"):
        save(tmp_path / "feature_data/sae_x/base" / name)
    with pytest.raises(SettingsError, match="name one of sae_x/base/caltech101, sae_x/base/imagenet"):
        import_patchsae(tmp_path / "feature_data", tmp_path / "dump", images=str(images))
    result = import_patchsae(tmp_path / "feature_data", tmp_path / "dump", images=str(images), layer="imagenet")
    assert result.name == "sae_x-base-imagenet"
