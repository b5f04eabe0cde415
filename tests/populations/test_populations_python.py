"""Populations that a Python program hands over, and names of the hub."""

import io
import sys
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from populations.forms import rows, tree

from autointerp.errors import SettingsError
from autointerp.populations.images import read_population
from autointerp.populations.opening import open_population


def pixels(data: bytes) -> list[tuple[int, ...]]:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB")).reshape(-1, 3).tolist()


class Drawn:
    """A data set as torch has them: a length, positions, and pairs of an image and a class; counts what is asked."""

    def __init__(self, n: int) -> None:
        self.n, self.asked = n, 0

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, i: int) -> tuple[Image.Image, int]:
        self.asked += 1
        # As many data sets, it has no end of its own.
        return Image.new("RGB", (8, 8), (i % 256, 90, 10)), i % 3


def test_a_data_set_is_asked_for_an_image_when_it_is_read_and_keeps_none():
    drawn = Drawn(5)

    found = open_population(drawn)

    assert drawn.asked == 5
    assert [entry.label for entry in found.entries] == ["0", "1", "2", "0", "1"]
    assert pixels(found.entries[4].read())[0] == [4, 90, 10]
    assert drawn.asked == 6
    assert found.root == "a Drawn of 5 images"


def test_what_an_iterator_gives_can_be_read_as_often_as_needed():
    def give() -> Iterator[tuple[str, bytes | Image.Image]]:
        for shade in (10, 200):
            yield f"{shade}.png", Image.new("L", (4, 4), shade)

    found = open_population(give())

    assert [entry.name for entry in found.entries] == ["10.png", "200.png"]
    for _ in range(2):
        assert [pixels(entry.read())[0] for entry in found.entries] == [[10] * 3, [200] * 3]


def test_pil_images_of_every_mode_are_read_with_their_pixels():
    image = Image.new("RGB", (6, 4), (200, 10, 60))
    modes = ("RGB", "L", "P", "CMYK", "YCbCr", "RGBA", "F", "I;16", "1")

    found = read_population([image.convert(mode) for mode in ("RGB", "L", "RGBA", "CMYK")])
    others = read_population([Image.new(mode, (6, 4)) for mode in modes])

    assert [(i.width, i.height) for i in found.images] == [(6, 4)] * 4
    assert found.images[0].sha256 != found.images[1].sha256
    assert len(others.images) == len(modes)
    assert others.broken == ()


def test_names_of_a_list_are_the_paths_below_the_folder_of_all(tmp_path: Path):
    files = tree(tmp_path / "images")

    found = open_population([str(files[0]), files[5], (files[8].name, files[8])])

    assert [entry.name for entry in found.entries] == ["blue/00.jpg", "implausible/05.png", "08.png"]
    assert [entry.path for entry in found.entries] == [files[0], files[5], files[8]]
    assert [entry.attribute for entry in found.entries] == [None, True, None]


WRONG = [
    ([3], "image 0 of the list: is a int; give a path, a PIL image, bytes, (name, image) or (name, image, label)"),
    ([("a", 3)], "image 0 of the list: a: no such file"),
    ([("a.png", "cat")], "image 0 of the list: cat: no such file; of two texts the first is a name: give (Path("),
    ([("a", 3, 4)], "image 0 of the list: is a tuple; give a path"),
    ([("../a.png", b"x")], "image 0 of the list: its name '../a.png' cannot be used: it leads out of its folder"),
    (["nowhere.png"], "image 0 of the list: nowhere.png: no such file"),
    (3, "images: a int is no population; give a folder, a file or an iterable"),
    ({"a.png", "b.png"}, "images: a set has no order, so that its images would change places; give sorted(…)"),
    (b"bytes", "images: a bytes is no population; give a folder, a file or an iterable"),
]


@pytest.mark.parametrize(("source", "problem"), WRONG)
def test_what_is_no_image_is_one_line_that_says_which(source: object, problem: str):
    with pytest.raises(SettingsError) as error:
        open_population(source)

    assert str(error.value).startswith(problem)


def test_a_label_may_be_a_tensor_of_one_number_as_data_sets_of_torch_have_it():
    picture = Image.new("RGB", (4, 3))
    one, zero = (SimpleNamespace(ndim=0, item=lambda value=value: value) for value in (1, 0))

    found = open_population([(picture, one), ("b", picture, zero), {"image": picture, "label": one}])

    assert [entry.attribute for entry in found.entries] == [True, False, True]


def test_an_empty_list_holds_no_images():
    with pytest.raises(SettingsError, match="a list of 0 images: holds no images"):
        read_population([])


NAMED_ONLY = pa.schema([("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())]))])
"""Images of which only the files are named."""


def keep(folder: Path, table: pa.Table) -> None:
    """The file in which the hub's libraries keep the data set."""
    with pa.OSFile(str(folder / "cached.arrow"), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[object, ...]]:
    """A hub with one data set, whose libraries tell what they were asked for."""
    asked: list[tuple[object, ...]] = []
    keep(tmp_path, rows(tree(tmp_path / "images")))
    data = SimpleNamespace(cache_files=[{"filename": str(tmp_path / "cached.arrow")}])

    def load_dataset(repo: str, configuration: str | None, split: str | None, revision: str | None) -> object:
        asked.append((repo, configuration, split, revision))
        return data if split else {"train": data} | ({"test": data} if repo == "me/two" else {})

    class HfApi:
        def dataset_info(self, repo: str, revision: str | None) -> object:
            if repo == "me/none":
                raise HfHubHTTPError("404: no such repository\nand more")
            return SimpleNamespace(sha="c0ffee" if revision is None else f"{revision}-c0ffee")

    class HfHubHTTPError(OSError):
        pass

    errors = {"HfHubHTTPError": HfHubHTTPError, "HTTPError": ConnectionError}
    for name, content in {
        "datasets": {"load_dataset": load_dataset},
        "datasets.config": {"HF_DATASETS_CACHE": tmp_path / "datasets-cache"},
        "huggingface_hub": {"HfApi": HfApi},
        "huggingface_hub.constants": {"HF_HOME": str(tmp_path / "home"), "HF_HUB_CACHE": str(tmp_path / "hub-cache")},
        "huggingface_hub.errors": errors,
    }.items():
        module = ModuleType(name)
        module.__spec__ = ModuleSpec(name, None)
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, name, module)
    return asked


def test_a_name_of_the_hub_is_a_split_of_one_commit(hub: list[tuple[object, ...]]):
    found = open_population("hub-dataset:me/one")
    chosen = open_population("hub-dataset:me/two@v1:small/test")

    assert hub == [("me/one", None, None, "c0ffee"), ("me/two", "small", "test", "v1-c0ffee")]
    assert (found.root, chosen.root) == ("hub-dataset:me/one@c0ffee:train", "hub-dataset:me/two@v1-c0ffee:small/test")
    assert [entry.label for entry in found.entries][::4] == ["blue", "implausible", "plausible"]


@pytest.mark.usefixtures("hub")
def test_image_files_of_a_dataset_lie_in_the_folders_of_the_hub_s_libraries_wherever_these_are(tmp_path: Path):
    for name in ("home", "hub-cache", "datasets-cache"):
        files = tree(tmp_path / name)
        keep(tmp_path, pa.table({"image": [{"bytes": None, "path": str(file)} for file in files]}, NAMED_ONLY))

        assert [entry.path for entry in open_population("hub-dataset:me/one").entries] == files

    keep(tmp_path, pa.table({"image": [{"bytes": None, "path": str(tree(tmp_path)[0])}]}, NAMED_ONLY))
    with pytest.raises(SettingsError, match=r"cached.arrow: row 1: names .*, which lies outside .*home, .*hub-cache, "):
        open_population("hub-dataset:me/one")


HUB_FAULTS = [
    ("hub-dataset:me", "hub-dataset:me: should be hub-dataset:OWNER/NAME[@REVISION][:[CONFIGURATION/]SPLIT]"),
    ("hub-dataset:me/one:", "hub-dataset:me/one:: should be hub-dataset:OWNER/NAME"),
    (
        "hub-dataset:me/two",
        "hub-dataset:me/two: has the splits train, test; name one, such as hub-dataset:me/two:train",
    ),
    (
        "hub-dataset:me/none",
        "hub-dataset:me/none: 404: no such repository; check the name, the network and your access",
    ),
]


@pytest.mark.parametrize(("name", "problem"), HUB_FAULTS)
@pytest.mark.usefixtures("hub")
def test_a_name_of_the_hub_that_gives_nothing_is_one_line(name: str, problem: str):
    with pytest.raises(SettingsError) as error:
        open_population(name)

    assert str(error.value).startswith(problem)
