"""Features are chosen by number, range, file, prefix and sample."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autointerp.dump.selection import Selection, parse_features
from autointerp.errors import SettingsError

PRESENT = np.array([0, 1, 2, 5, 8, 9])


def chosen(text: str) -> list[int]:
    return parse_features(text, n_latents=10).resolve(PRESENT, (4, 10)).tolist()


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("all", [0, 1, 2, 5, 8, 9]),
        ("5", [5]),
        ("8, 0-1 ", [0, 1, 8]),
        ("0-5,1-2,2", [0, 1, 2, 5]),
        ("3-4", []),
        ("0-9", [0, 1, 2, 5, 8, 9]),
    ],
)
def test_numbers_and_ranges_choose_what_is_present(text: str, numbers: list[int]) -> None:
    assert chosen(text) == numbers


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)).map(sorted), min_size=1))
def test_ranges_choose_what_sets_would(ranges: list[list[int]]) -> None:
    text = ",".join(f"{first}-{last}" for first, last in ranges if first < last) or "0-9"
    slow = {n for item in text.split(",") for n in range(int(item[0]), int(item[2]) + 1)}

    assert chosen(text) == sorted(slow & set(PRESENT.tolist()))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("3,5,7", "features 3, 7 are not in this dump: its 6 features lie in 0 to 9"),
        ("10", "features 10 do not exist: this dump has 0 to 9"),
        ("0-10", "features 10 do not exist: this dump has 0 to 9"),
        ("0-12,50,7", "features 10-12, 50 (4 in all) do not exist: this dump has 0 to 9"),
        ("20-29,25-34,99", "features 20-29, 25-34, 99 (16 in all) do not exist: this dump has 0 to 9"),
        ("11,12,13,14,15,16,17", "features 11, 12, 13, 14, 15 and 2 more do not exist: this dump has 0 to 9"),
        ("5-2", "--features: '5-2' runs backwards; write 2-5"),
        ("x", "--features: 'x' is not a feature, a range such as 0-511, all, or @FILE"),
        ("-3", "--features: '-3' is not a feature, a range such as 0-511, all, or @FILE"),
        ("", "--features '': no feature is named; write all for every feature"),
        (",", "--features ',': no feature is named; write all for every feature"),
    ],
)
def test_what_cannot_be_chosen_is_one_line(text: str, said: str) -> None:
    with pytest.raises(SettingsError) as raised:
        chosen(text)

    assert str(raised.value) == said


def test_a_file_lists_numbers_and_ranges_with_comments(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_text("# mine\n5\n\n 0-1  # the first two\n")

    assert chosen(f"@{path}") == [0, 1, 5]


def test_a_file_of_a_spreadsheet_begins_with_its_first_feature(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_text("5\r\n0\r\n", encoding="utf-8-sig")

    assert chosen(f"@{path}") == [0, 5]


def test_a_bad_line_of_a_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_text("5\nfive\n")

    with pytest.raises(SettingsError) as raised:
        chosen(f"@{path}")

    assert str(raised.value) == f"{path}:2: 'five' is not a feature, a range such as 0-511, all, or @FILE"


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"nowhere: a list of features cannot be read: "):
        chosen(f"@{tmp_path}/nowhere")


def test_a_width_keeps_the_prefix() -> None:
    assert Selection(width=4).resolve(PRESENT, (4, 10)).tolist() == [0, 1, 2]


def test_a_width_that_is_no_prefix_is_refused() -> None:
    with pytest.raises(SettingsError) as raised:
        Selection(width=5).resolve(PRESENT, (4, 10))

    assert str(raised.value) == "--width 5: the dump has no such nested prefix; choose one of 4, 10"


def test_a_sample_is_repeatable_ascending_and_differs_by_seed() -> None:
    present = np.arange(1000)

    first = Selection(n_sample=10, seed=1).resolve(present, (1000,)).tolist()
    again = Selection(n_sample=10, seed=1).resolve(present, (1000,)).tolist()
    other = Selection(n_sample=10, seed=2).resolve(present, (1000,)).tolist()

    assert first == again == sorted(set(first))
    assert len(first) == 10
    assert first != other


def test_a_sample_of_one_in_four_draws_each_a_quarter_of_the_time() -> None:
    draws = [int(Selection(n_sample=1, seed=seed).resolve(np.arange(4), (4,))[0]) for seed in range(2000)]

    # Standard deviation of each count is 19.4; five of them are 97.
    assert all(abs(draws.count(number) - 500) < 97 for number in range(4))


def test_a_sample_larger_than_the_dump_is_the_dump() -> None:
    assert Selection(n_sample=99).resolve(PRESENT, (10,)).tolist() == PRESENT.tolist()


def test_narrowing_keeps_the_numbers() -> None:
    selection = parse_features("1-8", n_latents=10).narrowed(width=4)

    assert selection.resolve(PRESENT, (4, 10)).tolist() == [1, 2]


def test_ten_million_features_take_no_more_than_their_bounds() -> None:
    selection = parse_features("0-9999999", n_latents=10**7)

    assert selection.starts is not None
    assert selection.starts.tolist() == [0]
    assert len(selection.resolve(np.arange(10**7), (10**7,))) == 10**7
