import csv
import hashlib
import io
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autointerp.errors import SettingsError
from autointerp.runs.descriptions import Foreign, open_foreign


def write(folder: Path, text: str, *, encoding: str = "utf-8") -> Path:
    file = folder / "said.csv"
    file.write_bytes(text.encode(encoding))
    return file


def read(file: Path, *, layer: str | None = None, n_latents: int = 16) -> Foreign:
    return open_foreign(file, layer=layer, n_latents=n_latents)


def said(foreign: Foreign) -> dict[int, str]:
    return {d.feature: d.text for d in foreign.descriptions}


@pytest.mark.parametrize(
    ("text", "method", "name"),
    [
        ("layer,unit,description,similarity\nconv1,3,stripes,0.25\n", "clip-dissect", "clip-dissect conv1 (said.csv)"),
        ("layer,unit,description\nconv1,3,stripes\n", "milan", "milan conv1 (said.csv)"),
        ("neuron,concept,auc\n3,stripes,0.9\n", "invert", "invert (said.csv)"),
        ("feature,text\n3,stripes\n", "descriptions", "descriptions (said.csv)"),
        ("feature,explanation\n3,stripes\n", "descriptions", "descriptions (said.csv)"),
        ("feature,description\n3,stripes\n", "descriptions", "descriptions (said.csv)"),
        ("Layer;Unit;Description;Similarity\nconv1;3;stripes;0,25\n", "clip-dissect", "clip-dissect conv1 (said.csv)"),
        ("Feature\tText\n3\tstripes\n", "descriptions", "descriptions (said.csv)"),
        ('"feature";"text"\n"3";"stripes"\n', "descriptions", "descriptions (said.csv)"),
        ("\ufeffdescription,unit,layer\r\n stripes , 3.0 ,conv1\r\n", "milan", "milan conv1 (said.csv)"),
        (",feature,text\n0,3,stripes\n", "descriptions", "descriptions (said.csv)"),
    ],
)
def test_each_kind_of_file_is_known_by_its_header(tmp_path: Path, text: str, method: str, name: str):
    file = write(tmp_path, text)

    found = read(file)

    assert (found.method, found.name, said(found)) == (method, name, {3: "stripes"})
    assert found.digest == hashlib.sha256(text.encode()).hexdigest()


def test_a_text_keeps_its_commas_quotes_and_lines(tmp_path: Path):
    file = write(tmp_path, 'feature,text\n1,"red, or ""blue"""\n2,"two\nlines"\n\n4,schräg 5" tall\n')

    found = read(file)

    assert [(d.feature, d.text, d.line) for d in found.descriptions] == [
        (1, 'red, or "blue"', 2),
        (2, "two\nlines", 3),
        (4, 'schräg 5" tall', 6),
    ]


def test_rows_without_a_description_are_counted_and_skipped(tmp_path: Path):
    file = write(tmp_path, "feature,text\n1,\n2,a dog\n3,   \n2,\n")

    found = read(file)

    assert (said(found), found.features.tolist(), found.empty) == ({2: "a dog"}, [2], 3)


LAYERS = "layer,unit,description\nconv1,0,edges\nconv2,0,dogs\nconv2,1,cats\n"


@pytest.mark.parametrize(("layer", "texts"), [("conv1", {0: "edges"}), ("conv2", {0: "dogs", 1: "cats"})])
def test_one_layer_is_read_and_a_unit_may_come_again_in_another(tmp_path: Path, layer: str, texts: dict[int, str]):
    found = read(write(tmp_path, LAYERS), layer=layer)

    assert said(found) == texts
    assert found.features.tolist() == list(texts)


def test_a_row_of_another_layer_need_not_fit_the_dump(tmp_path: Path):
    file = write(tmp_path, "layer,unit,description\na,0,edges\nb,999,dogs\n")

    assert said(read(file, layer="a", n_latents=4)) == {0: "edges"}


@pytest.mark.parametrize(
    ("text", "layer", "problem"),
    [
        ("", None, ": is empty; its first line must name the columns"),
        ("id,label\n1,dog\n", None, ": the columns id, label are of no known kind; name them layer,unit,description"),
        ("feature,text\n", None, ": no feature is described; give a file with a row for each"),
        ("feature,text\n1,\n", None, ": no feature is described"),
        ("feature,text\n1,a\n2,b\n1,c\n", None, ":4: feature 1 is described in line 2 already; delete one of the two"),
        ("feature,text\n1,a\n16,b\n", None, ":3: feature 16 does not exist: this dump has 0 to 15; give the dump"),
        ("feature,text\n-1,a\n", None, ":2: feature '-1' is not a number from 0"),
        ("feature,text\n1.5,a\n", None, ":2: feature '1.5' is not a number from 0"),
        ("neuron,concept\nunit_3,a\n", None, ":2: neuron 'unit_3' is not a number from 0"),
        ("feature,text\n1,red, round\n", None, ":2: 3 fields where the header has 2; put a text that holds"),
        ('feature,text\n1,a\n2,"open\n3,c\n', None, ":3: not CSV (unexpected end of data); a quote may be left open"),
        (LAYERS, None, ": has the layers conv1, conv2; choose the dump's with --layer"),
        (LAYERS, "conv9", "has the layers conv1, conv2"),
        ("feature,text\n1,a\n", "conv1", "has no column layer; leave the option out"),
    ],
)
def test_what_cannot_be_used_is_said_in_one_line(tmp_path: Path, text: str, layer: str | None, problem: str):
    file = write(tmp_path, text)

    with pytest.raises(SettingsError) as caught:
        read(file, layer=layer)

    assert problem in str(caught.value)
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_in_another_encoding_is_named(tmp_path: Path):
    for encoding in ("latin-1", "utf-16"):
        file = write(tmp_path, "feature,text\n1,schräg\n", encoding=encoding)

        with pytest.raises(SettingsError, match=r"said\.csv: is not UTF-8 text; save it in UTF-8"):
            read(file)


def test_a_file_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(SettingsError, match=r"no\.csv: cannot be read \(No such file or directory\)"):
        read(tmp_path / "no.csv")


def outcome(file: Path) -> dict[int, str] | str:
    """The texts, or the line that refuses them."""
    try:
        return said(read(file))
    except SettingsError as e:
        return str(e)


FREELY = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
DELIMITER = st.sampled_from([",", ";", "\t"])
WORDS = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=8)


@FREELY
@given(st.dictionaries(st.integers(0, 15), WORDS | st.tuples(WORDS, WORDS).map("\r\n".join), min_size=1), DELIMITER)
def test_what_a_csv_writer_wrote_is_read_back(tmp_path: Path, texts: dict[int, str], delimiter: str):
    buffer = io.StringIO()
    csv.writer(buffer, delimiter=delimiter).writerows([("feature", "text"), *texts.items()])

    found = outcome(write(tmp_path, buffer.getvalue()))

    assert found == texts


@FREELY
@given(st.text(st.characters(codec="utf-8"), max_size=200), DELIMITER)
def test_anything_under_a_header_is_read_or_refused_by_one_line(tmp_path: Path, body: str, delimiter: str):
    file = write(tmp_path, f"feature{delimiter}text\n1{delimiter}a\n{body}")

    found = outcome(file)

    assert found.startswith(f"{file}:") and "\n" not in found if isinstance(found, str) else found[1] == "a"
