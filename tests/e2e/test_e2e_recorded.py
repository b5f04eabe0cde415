"""`import` of activations that other tools recorded, on the command line."""

import json
from pathlib import Path

import numpy as np
import pytest
from standin import recorded
from standin.commands import run

from autointerp.dump.reader import open_dump

Z = recorded.table()


@pytest.fixture
def images(here: Path) -> Path:
    recorded.pictures(Path("images"))
    return Path("images")


def test_what_was_imported_and_what_was_lost_is_printed(images: Path):
    recorded.multimodal_sae(Path("cache") / "layer.8", Z)

    result = run(
        "import", "multimodal-sae", "cache", "my dump", "--images", images, "--patch-grid", "2x2", "--top", "2"
    )

    assert result.code == 0
    assert result.out.splitlines() == [
        "cache: 30 images -> my dump",
        "4 latents (0 never fire above 0), 30 images stored",
        "row 0 is taken for oak/0.png, row 29 for pine/9.png",
        "the files of multimodal-sae do not hold latents 2, 5, which are not in the dump",
        f"{30 * 4} activations lie at positions that are no patches and do not count",
        "next: autointerp explain 'my dump' --run RUN --model MODEL --allow-outside",
    ]
    with open_dump(Path("my dump"), allow_outside=True) as dump:
        assert sum(e.stratum == "top" for e in dump.feature(0).exemplars) == 2


def test_the_same_as_json(images: Path):
    recorded.saev(Path("saev"), Z, images.absolute())

    result = run("import", "saev", "saev/runs/abc", "dump", "--name", "mine", "--seed", "4", "--json")

    value = json.loads(result.out)
    assert (value["dump"], value["name"], value["n_images"], value["patch_grid"]) == ("dump", "mine", 30, [2, 2])
    assert "import saev --seed 4" in value["created_by"]


def test_an_import_that_cannot_tell_which_image_a_row_is_of_says_which_option_to_give(images: Path):
    recorded.sae_for_vlm(Path("acts"), Z.max(axis=1))
    recorded.pictures(Path("more") / "x")

    result = run("import", "sae-for-vlm", "acts", "dump", "--images", "more/x/oak")

    assert result.code == 2
    assert result.err.splitlines()[-1] == (
        "autointerp: --images: acts has 30 rows for 10 images, 3 each; give the images that were run, and if each row "
        "is a patch, --patch-grid ROWSxCOLUMNS, or none for no heat maps"
    )
    assert not Path("dump").exists()


def test_a_latent_fires_above_0_unless_a_threshold_is_to_be_found(images: Path):
    recorded.delphi(Path("latents") / "layer.8", Z)

    run("import", "delphi", "latents", "a", "--images", images)
    run("import", "delphi", "latents", "b", "--images", images, "--active-above", "auto", "--density", "0.1")

    for name, expected in (("a", lambda above: above == 0), ("b", lambda above: above > 0)):
        with open_dump(Path(name), allow_outside=True) as dump:
            above = dump.info.active_above
            assert expected(above)
            assert dump.feature(1).row.n_active == int((Z.max(axis=1)[:, 1] > np.float32(above)).sum())
