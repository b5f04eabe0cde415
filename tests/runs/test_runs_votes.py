"""Votes on explanations: what is kept, whose word holds, and their wordings as explanations of a run."""

import json
import threading
from pathlib import Path

import pytest
from pydantic import ValidationError

from autointerp.errors import RunError, SettingsError
from autointerp.runs.descriptions import open_foreign
from autointerp.runs.votes import FILE, cast, digest_of, read_votes, valid_votes, vote


def test_of_each_person_the_last_vote_on_an_explanation_holds(tmp_path: Path):
    for one in (
        vote(3, "a cat", "wrong", "ann"),
        vote(3, "a cat", "right", "bob"),
        vote(3, "a cat", "partly", "ann", "a striped cat"),
        vote(3, "a dog", "right", "ann"),
    ):
        cast(tmp_path, one)

    held = valid_votes(read_votes(tmp_path))

    assert [(v.name, v.text, v.verdict, v.wording) for v in held] == [
        ("bob", "a cat", "right", None),
        ("ann", "a cat", "partly", "a striped cat"),
        ("ann", "a dog", "right", None),
    ]
    assert len((tmp_path / FILE).read_text().splitlines()) == 4


def test_a_vote_names_its_format_and_the_text_that_it_is_on(tmp_path: Path):
    cast(tmp_path, vote(3, "a cat", "right", "ann"))

    (line,) = map(json.loads, (tmp_path / FILE).read_text().splitlines())

    # printf 'a cat' | sha256sum
    assert line["explanation"] == digest_of("a cat") == "51e467415607"
    assert (line["format"], line["feature"], line["text"], line["wording"]) == (
        "autointerp-votes/1",
        3,
        "a cat",
        None,
    )


def test_a_torn_line_is_passed_over_and_cut_off_by_the_next_writer(tmp_path: Path):
    cast(tmp_path, vote(3, "a cat", "right", "ann"))
    with (tmp_path / FILE).open("ab") as file:
        file.write(b'{"format":"autointerp-votes/1","fea')

    assert len(list(read_votes(tmp_path))) == 1
    cast(tmp_path, vote(4, "a dog", "wrong", "bob"))

    assert [v.feature for v in read_votes(tmp_path)] == [3, 4]


def test_two_writers_at_once_lose_nothing(tmp_path: Path):
    def write(name: str) -> None:
        for feature in range(20):
            cast(tmp_path, vote(feature, "a cat", "right", name))

    writers = [threading.Thread(target=write, args=(name,)) for name in ("ann", "bob")]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()

    found = sorted((v.name, v.feature) for v in read_votes(tmp_path))
    assert found == [(name, feature) for name in ("ann", "bob") for feature in range(20)]


@pytest.mark.parametrize(
    ("name", "wording"),
    [("", None), ("a b", None), ("../x", None), ("<b>", None), ("-x", None), ("x" * 41, None), ("ann", "x" * 601)],
)
def test_a_name_or_a_wording_that_is_none_is_refused(name: str, wording: str | None):
    with pytest.raises(ValidationError):
        vote(3, "a cat", "right", name, wording)


def test_a_line_that_is_no_vote_is_named(tmp_path: Path):
    (tmp_path / FILE).write_text('{"format": "autointerp-votes/2"}\n')

    with pytest.raises(RunError, match=r"votes\.jsonl:1: format: .*; mend or delete the line"):
        list(read_votes(tmp_path))


def voted(folder: Path) -> Path:
    """Ann takes her first wording back; Bob has one for another feature."""
    for one in (
        vote(3, "a cat", "partly", "ann", "a  striped\ncat"),
        vote(5, "a dog", "partly", "ann", "a spotted dog"),
        vote(3, "a cat", "right", "ann"),
        vote(4, "a cow", "wrong", "bob", "a horse"),
        vote(5, "a dog", "partly", "ann", "a dog with spots"),
    ):
        cast(folder, one)
    return folder / FILE


def test_wordings_of_people_are_explanations_the_last_of_each_person(tmp_path: Path):
    found = open_foreign(voted(tmp_path), layer=None, n_latents=8)

    assert {d.feature: d.text for d in found.descriptions} == {4: "a horse", 5: "a dog with spots"}
    assert (found.name, found.empty) == ("votes (votes.jsonl)", 0)


def test_of_two_people_who_describe_one_feature_one_is_chosen(tmp_path: Path):
    file = voted(tmp_path)
    cast(tmp_path, vote(5, "a dog", "wrong", "bob", "a cow"))

    with pytest.raises(SettingsError, match="has the layers ann, bob; choose the dump's with --layer"):
        open_foreign(file, layer=None, n_latents=8)
    found = open_foreign(file, layer="bob", n_latents=8)

    assert {d.feature: d.text for d in found.descriptions} == {4: "a horse", 5: "a cow"}
    assert found.name == "votes bob (votes.jsonl)"
