"""What columns and folders say of images: 0 and 1 in every spelling, class names, chosen columns and groups."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from populations.forms import saved, shards, tree

from autointerp.errors import SettingsError
from autointerp.populations.listing import Listing
from autointerp.populations.opening import open_population, open_tabled


def attributes(listing: Listing) -> list[bool | None]:
    return [entry.attribute for entry in listing.entries]


def table(path: Path, header: str, *rows: str) -> Path:
    path.write_text("\n".join((header, *rows)) + "\n")
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    tree(tmp_path / "images")
    return tmp_path / "images"


SPELLINGS = [
    ("0", "1"),
    ("0.0", "1.0"),
    ("False", "True"),
    ("false", "TRUE"),
    ("no", "yes"),
    (" 0 ", "1 "),
    ("plausible", "implausible"),
]


@pytest.mark.parametrize(("no", "yes"), SPELLINGS)
@pytest.mark.parametrize("nothing", ["", "nan", "<NA>"])
def test_0_and_1_are_read_in_every_spelling_that_pandas_writes(no: str, yes: str, nothing: str, root: Path):
    labels = table(
        root.parent / "t.csv", "path,label", f"blue/00.jpg,{no}", f"blue/01.png,{yes}", f"blue/02.png,{nothing}"
    )

    found = open_population(root, labels=labels)

    assert attributes(found) == [False, True, None]
    assert [entry.label for entry in found.entries] == ["blue", "blue", "blue"]
    assert found.notes == ("images without a label: 1 of 3 (e.g. blue/02.png)",)


@pytest.mark.parametrize("values", [[0.0, 1.0, float("nan")], [False, True, None], [0, 1, None]])
def test_labels_of_a_parquet_file_keep_their_types(values: list[object], root: Path):
    paths = ["blue/00.jpg", "blue/01.png", "blue/02.png"]
    pq.write_table(pa.table({"path": paths, "label": pa.array(values)}), root.parent / "t.parquet")

    assert attributes(open_population(root, labels=root.parent / "t.parquet")) == [False, True, None]


@pytest.mark.parametrize(("no", "yes"), SPELLINGS[:4])
@pytest.mark.parametrize("nothing", ["None", "null", "NaT", "N/A"])
def test_words_for_nothing_are_nothing_among_0_and_1(no: str, yes: str, nothing: str, root: Path):
    labels = table(
        root.parent / "t.csv", "path,label", f"blue/00.jpg,{no}", f"blue/01.png,{yes}", f"blue/02.png,{nothing}"
    )

    assert attributes(open_population(root, labels=labels)) == [False, True, None]


def test_what_stands_for_nothing_among_0_and_1_is_a_class_among_others(root: Path):
    labels = table(root.parent / "t.csv", "path,label", "blue/00.jpg,cat", "blue/01.png,none", "blue/02.png,")

    assert [entry.label for entry in open_population(root, labels=labels).entries] == ["cat", "none", None]


def test_fields_may_be_divided_by_semicolons_as_spreadsheets_of_many_countries_write_them(root: Path):
    labels = table(root.parent / "t.csv", "path;label;remark", 'blue/00.jpg;0;"a, b"', "blue/01.png;1;c")

    assert attributes(open_population(root, labels=labels)) == [False, True]


def test_class_names_are_labels_and_only_a_condition_makes_them_an_attribute(root: Path):
    labels = table(root.parent / "t.csv", "path,label,x", "blue/00.jpg,six fingers,1", "blue/01.png,ok hand,2")

    plain = open_population(root, labels=labels)
    asked = open_population(root, labels=labels, attribute="label=six fingers")
    named = open_population(root, labels=labels, attribute="a physical error")

    assert [entry.label for entry in plain.entries] == ["six fingers", "ok hand"]
    assert attributes(plain) == attributes(named) == [None, None]
    assert plain.notes[0].endswith("no image has an attribute; --attribute 'label=VALUE' says which class has it")
    assert (attributes(asked), asked.notes) == ([True, False], ())


def test_numbers_of_classes_are_class_names(root: Path):
    labels = table(root.parent / "t.csv", "path,label", "blue/00.jpg,0", "blue/01.png,1", "blue/02.png,2.0")

    assert [entry.label for entry in open_population(root, labels=labels).entries] == ["0", "1", "2.0"]
    assert attributes(open_population(root, labels=labels, attribute="label=2")) == [False, False, True]


def test_columns_are_chosen_and_others_ignored(root: Path):
    labels = table(
        root.parent / "t.csv",
        "file_name\tlabel\tbroken\tkind\tprompt",
        "blue/00.jpg\tzebra\t1.0\ta\tp1",
        "blue/01.png\thorse\t\tb\tp1",
        "blue/02.png\tzebra\t0.0\ta\t",
    )

    by_flag = open_population(root, labels=labels, label_column="broken", group_column="prompt")
    by_value = open_population(root, labels=labels, attribute="kind=a")

    assert attributes(by_flag) == [True, None, False]
    assert [entry.source for entry in by_flag.entries] == ["p1", "p1", None]
    assert [(e.label, e.attribute) for e in by_value.entries] == [("zebra", True), ("horse", False), ("zebra", True)]


def test_the_class_folder_is_a_label_that_a_condition_may_name(root: Path):
    found = open_population(root, attribute="label=blue")

    assert attributes(found) == [True] * 4 + [False] * 8


def test_a_table_of_class_names_says_what_the_classes_are_of(root: Path):
    labels = table(root.parent / "t.csv", "path,made by,score", "blue/00.jpg,a,0", "blue/01.png,,1")

    found = open_tabled(root, labels, "made by")

    assert [(e.label, e.attribute) for e in found.entries] == [("a", None), (None, None)]


def test_what_lies_beside_the_images_of_a_shard_is_its_columns(tmp_path: Path):
    made = shards(tmp_path / "shards", tree(tmp_path / "images"))

    found = open_population(made, group_column="source", attribute="cls=plausible")

    assert [entry.label for entry in found.entries] == ["blue"] * 4 + ["implausible"] * 4 + ["plausible"] * 4
    assert attributes(found) == [False] * 8 + [True] * 4
    assert [entry.source for entry in found.entries[:6]] == ["s0", "s1", "s0", "s1", "s0", "s0"]


def test_names_of_classes_stand_for_their_numbers(tmp_path: Path):
    found = open_population(saved(tmp_path / "saved", tree(tmp_path / "images")))

    assert [entry.label for entry in found.entries] == ["blue"] * 4 + ["implausible"] * 4 + ["plausible"] * 4


WRONG = [
    ({"label_column": "truth"}, "--label-column truth: {t}: has no column 'truth'; it has path, label, kind"),
    ({"group_column": "prompt"}, "--group-column prompt: {t}: has no column 'prompt'; it has path, label, kind"),
    ({"attribute": "colour=red"}, "--attribute colour: {t}: has no column 'colour'; it has path, label, kind"),
    ({"attribute": "kind=c"}, "--attribute kind=c: no image of {t} has that value; there is a, b"),
]


@pytest.mark.parametrize(("options", "problem"), WRONG)
def test_what_is_not_there_is_one_line_that_says_what_is(options: dict[str, str], problem: str, root: Path):
    labels = table(root.parent / "t.csv", "path,label,kind", "blue/00.jpg,0,a", "blue/01.png,1,b")

    with pytest.raises(SettingsError) as error:
        open_population(root, labels=labels, **options)

    assert str(error.value) == problem.format(t=labels)


def test_a_folder_has_no_columns(root: Path):
    with pytest.raises(SettingsError, match=r"--label-column x: .*images: has no column 'x'; it has none"):
        open_population(root, label_column="x")
    with pytest.raises(SettingsError, match=r"--attribute label=red: .* there is blue, implausible, plausible"):
        open_population(root, attribute="label=red")
