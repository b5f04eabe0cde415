"""Tables of pairs: which picture has the attribute, and which pairs belong together."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from autointerp.populations.pairs import read_pairs


def pictures(folder: Path, *names: str) -> None:
    for i, name in enumerate(names):
        Image.fromarray(np.full((8, 8, 3), 20 * i, np.uint8)).save(folder / f"{name}.png")


def test_the_direction_says_which_picture_has_the_attribute(tmp_path: Path):
    pictures(tmp_path, *"abcdefgh")
    table = tmp_path / "pairs.csv"
    rows = ["red,a.png,b.png,+", "red,c.png,d.png,-", "blue,e.png,f.png,1", "blue,g.png,h.png,-1"]
    table.write_text("\n".join(["attribute,image_a,image_b,direction", *rows]))

    found = read_pairs(table)

    names = [Path(image.name).stem for image in found.images]
    assert names == list("abcdefgh")
    assert found.attributes == ("blue", "red")
    assert found.attribute.tolist() == [1, 1, 0, 0]
    assert [names[i] for i in found.having] == ["b", "c", "f", "g"]
    assert [names[i] for i in found.lacking] == ["a", "d", "e", "h"]
    assert found.groups.tolist() == [0, 1, 2, 3]


def test_pairs_that_share_a_picture_or_a_group_belong_together(tmp_path: Path):
    pictures(tmp_path, *"abcdefghijkl")
    # A copy of the content is the same picture, whatever its name is.
    (tmp_path / "copy.png").write_bytes((tmp_path / "d.png").read_bytes())
    rows = ["a,b,x", "b,c,x", "d,e,x", "copy,f,x", "g,h,one", "i,j,one", "k,l,"]
    lines = [
        f"{a}.png,{b}.png,red,+,{group if group == 'one' else ''}" for a, b, group in (row.split(",") for row in rows)
    ]
    table = tmp_path / "pairs.csv"
    table.write_text("\n".join(["image_a,image_b,attribute,direction,group", *lines]))

    assert read_pairs(table).groups.tolist() == [0, 0, 1, 1, 2, 2, 3]


def test_a_parquet_file_may_have_numbers_as_directions(tmp_path: Path):
    pictures(tmp_path, "a", "b", "c", "d")
    columns = {
        "image_a": ["a.png", "c.png"],
        "image_b": ["b.png", "d.png"],
        "attribute": ["red"] * 2,
        "direction": [1, -1],
    }
    pq.write_table(pa.table(columns), tmp_path / "pairs.parquet")

    found = read_pairs(tmp_path / "pairs.parquet")

    assert [Path(found.images[i].name).stem for i in found.having] == ["b", "c"]
