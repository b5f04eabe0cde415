"""Where regions are put for comparison."""

from random import Random

from autointerp.schema import Box
from autointerp.scoring.regions import elsewhere, same_place, shared


def test_a_region_elsewhere_has_the_same_size_lies_in_what_is_seen_and_shares_little():
    box, seen = Box(40, 30, 70, 60), (10.0, 0.0, 110.0, 100.0)

    for seed in range(50):
        other = elsewhere(box, seen, Random(seed))
        assert other is not None
        assert (other.width, other.height) == (30, 30)
        assert other.x0 >= 10
        assert other.x1 <= 110
        assert shared(box, other) == 0


def test_of_a_region_that_leaves_no_room_there_is_none_elsewhere():
    assert elsewhere(Box(10, 10, 90, 90), (0.0, 0.0, 100.0, 100.0), Random(0)) is None
    assert elsewhere(Box(0, 0, 120, 20), (0.0, 0.0, 100.0, 100.0), Random(0)) is None


def test_the_same_place_of_another_image_is_where_the_network_meets_it():
    whole, wide = (0.0, 0.0, 100.0, 100.0), (50.0, 0.0, 250.0, 200.0)

    assert same_place(Box(20, 30, 40, 50), whole, wide, (300, 200)) == Box(90, 60, 130, 100)


def test_regions_share_what_lies_in_both():
    assert shared(Box(0, 0, 4, 4), Box(2, 3, 9, 9)) == 2
    assert shared(Box(0, 0, 4, 4), Box(4, 0, 8, 4)) == 0
