"""dump.json is checked at the gateway."""

import json
from pathlib import Path

import pytest

from autointerp.dump.format import DumpInfo, TopOnly, load_info
from autointerp.dump.writer import DumpWriter
from autointerp.errors import DumpError

CASES = [
    (
        {"format": "autointerp-dump/2"},
        "format: is 'autointerp-dump/2', and this version reads 'autointerp-dump/1'; "
        "upgrade autointerp or export it again",
    ),
    ({"widths": [8, 4]}, "widths [8, 4] must ascend from above 0 to n_latents, 8"),
    ({"widths": [4, 4, 8]}, "widths [4, 4, 8] must ascend from above 0 to n_latents, 8"),
    ({"widths": [4]}, "widths [4] must ascend from above 0 to n_latents, 8"),
    ({"widths": [0, 8]}, "widths [0, 8] must ascend from above 0 to n_latents, 8"),
    ({"widths": []}, "widths: Tuple should have at least 1 item after validation, not 0"),
    ({"patch_grid": [0, 2]}, "patch_grid: is [0, 2]; expected [rows, columns], each at least 1"),
    ({"n_latents": 0}, "n_latents: Input should be greater than 0"),
    ({"active_above": float("nan")}, "active_above: Input should be a finite number"),
    ({"created": "yesterday"}, "created: 'yesterday' is not an ISO 8601 time such as 2026-01-31T12:00:00+00:00"),
    ({"attribute": {"name": "broken"}}, "attribute.description: Field required"),
    ({"model": None}, "model: Input should be a valid string"),
    ({"population": "most"}, "population: Input should be 'complete', 'sample' or 'unknown'"),
]


@pytest.mark.parametrize(("change", "said"), CASES)
def test_a_bad_value_is_named_with_its_key(
    tmp_path: Path, info: DumpInfo, change: dict[str, object], said: str
) -> None:
    path = tmp_path / "dump.json"
    path.write_text(json.dumps(info.model_dump() | change))

    with pytest.raises(DumpError) as raised:
        load_info(tmp_path)

    assert str(raised.value) == f"{path}: {said}"


def test_a_missing_key_is_named(tmp_path: Path, info: DumpInfo) -> None:
    path = tmp_path / "dump.json"
    path.write_text(json.dumps(info.model_dump(exclude={"hookpoint"})))

    with pytest.raises(DumpError) as raised:
        load_info(tmp_path)

    assert str(raised.value) == f"{path}: hookpoint: Field required"


def test_a_record_without_a_format_is_not_taken_for_a_dump(tmp_path: Path, info: DumpInfo) -> None:
    path = tmp_path / "dump.json"
    path.write_text(json.dumps(info.model_dump(exclude={"format"})))

    with pytest.raises(DumpError) as raised:
        load_info(tmp_path)

    said = "there is no format; expected 'autointerp-dump/1', so this may be another program's file"
    assert str(raised.value) == f"{path}: {said}"


def test_a_folder_without_dump_json_is_not_a_dump(tmp_path: Path) -> None:
    with pytest.raises(DumpError) as raised:
        load_info(tmp_path)

    assert (
        str(raised.value)
        == f"{tmp_path}: not a dump, it has no dump.json; give a folder such as `autointerp import` writes"
    )


@pytest.mark.parametrize("content", ["{", "", '{"a": 1}}'])
def test_what_is_not_json_is_said_so(tmp_path: Path, content: str) -> None:
    (tmp_path / "dump.json").write_text(content)

    with pytest.raises(DumpError, match=r"dump\.json: not JSON: [^\n]+\Z"):
        load_info(tmp_path)


@pytest.mark.parametrize(
    "content", ["[" * 100_000, '{"format": "autointerp-dump/1", "x": ' + "[" * 90_000 + "]" * 90_000 + "}"]
)
def test_what_is_nested_too_deep_is_said_so(tmp_path: Path, content: str) -> None:
    (tmp_path / "dump.json").write_text(content)

    with pytest.raises(DumpError, match=r"dump\.json: is nested too deep; [^\n]+\Z"):
        load_info(tmp_path)


def test_unknown_keys_are_ignored(tmp_path: Path, info: DumpInfo) -> None:
    (tmp_path / "dump.json").write_text(json.dumps(info.model_dump() | {"git_commit": "abc"}))

    assert load_info(tmp_path) == info


def test_a_dump_without_the_key_counts_all_images_that_were_run_and_a_complete_one_is_written_without_it(
    tmp_path: Path, info: DumpInfo
) -> None:
    (tmp_path / "dump.json").write_text(info.model_dump_json(exclude={"population"}))
    with DumpWriter(tmp_path / "complete", info):
        pass
    with DumpWriter(tmp_path / "sample", info.model_copy(update={"population": "sample"})):
        pass

    assert (load_info(tmp_path).population, load_info(tmp_path).population_note) == ("complete", None)
    assert "population" not in json.loads((tmp_path / "complete" / "dump.json").read_text())
    assert load_info(tmp_path / "sample").population == "sample"


def test_density_is_a_share_of_the_images_that_were_run_as_far_as_they_are_known(info: DumpInfo) -> None:
    unknown = info.model_copy(update={"population": "unknown"})

    assert (info.density_of(3), unknown.density_of(3)) == (0.3, None)
    assert info.model_copy(update={"n_images": 0}).density_of(0) == 0.0


def test_where_a_list_is_full_and_nobody_counted_the_density_is_unknown(info: DumpInfo) -> None:
    full = info.model_copy(update={"top_only": TopOnly(k=4, n_full=2, counted=False)})
    counted = info.model_copy(update={"top_only": TopOnly(k=4, n_full=2, counted=True)})

    assert [full.density_of(n) for n in (3, 4)] == [0.3, None]
    assert [counted.density_of(n) for n in (3, 4, 6)] == [0.3, 0.4, 0.6]


@pytest.mark.parametrize(
    ("said", "note"),
    [
        (
            {"counted": True},
            "only the stratum top is covered: of 2 features the source keeps the 4 strongest images at most; scores "
            "say nothing of the others that fire, and detection leaves them unscored, since which images are silent is "
            "unknown",
        ),
        (
            {"counted": False, "assumed_silent": True, "n_full": 1},
            "only the stratum top is covered: of 1 feature the source keeps the 4 strongest images at most; scores say "
            "nothing of others that fire, whose number is unknown, and some of these may count as silent here",
        ),
        (
            {"counted": True, "drawn": True},
            "of 2 features the source keeps 4 images at most, drawn from all that fire; scores say nothing of the "
            "others that fire, and detection leaves them unscored, since which images are silent is unknown",
        ),
    ],
)
def test_a_dump_of_top_lists_says_what_it_does_not_cover_in_one_sentence(
    info: DumpInfo, said: dict[str, bool], note: str
) -> None:
    assert info.notes == ()
    assert info.model_copy(update={"top_only": TopOnly(**({"k": 4, "n_full": 2} | said))}).notes == (note,)


def test_a_feature_belongs_to_the_smallest_prefix_that_holds_it(info: DumpInfo) -> None:
    assert [info.width_of(feature) for feature in (0, 3, 4, 7)] == [4, 4, 8, 8]
