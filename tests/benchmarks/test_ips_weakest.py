"""Which share a group size gives to the weakest outcome."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.ips.weakest import resting, table

PAGE = Path(__file__).parents[2] / "docs" / "ips.md"


@pytest.mark.parametrize(("group_size", "share"), [(5, 0.0), (6, 0.073), (8, 0.140), (16, 0.194), (32, 0.200)])
def test_two_outcomes_rest_where_the_enumeration_of_groups_says(group_size: int, share: float):
    # The column "without the std: rest at" of docs/ips-reproduction.md, found by enumerating binomial counts.
    assert resting(np.array([4.0, 1.0]), group_size)[1] == pytest.approx(share, abs=2e-3)


def test_equal_outcomes_get_equal_shares_in_groups_of_any_size():
    assert resting(np.ones(3), 3) == pytest.approx([1 / 3] * 3)


def test_the_page_shows_the_table():
    assert f"<!-- weakest -->\n\n{table()}\n\n<!-- /weakest -->" in PAGE.read_text()
