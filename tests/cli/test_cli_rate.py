from autointerp.cli.progress import Recent, Sample


def after(*counts: tuple[float, int, int, int]) -> Recent:
    """Samples of (seconds, features, answered, cached)."""
    recent = Recent(Sample(0.0, 0, 0, 0, 0))
    for at, through, answered, cached in counts:
        recent.take(Sample(at, through, answered, answered, cached))
    return recent


def test_at_first_the_rate_is_that_since_the_start():
    recent = after((4.0, 2, 2, 0))

    assert recent.features_per_second == 0.5
    assert recent.left(10) == 20.0


def test_before_anything_is_through_nothing_is_said_of_the_time_left():
    assert after((4.0, 0, 1, 0)).left(10) is None


def test_the_rate_is_that_of_the_last_half_minute():
    fast = [(float(i), 10 * i, 10 * i, 0) for i in range(1, 61)]
    slow = [(60.0 + i, 600 + i, 600 + i, 0) for i in range(1, 41)]

    assert round(after(*fast, *slow).features_per_second, 2) == 1.0


def test_slow_features_are_looked_back_on_for_longer():
    every_ten_seconds = [(10.0 * i, i, i, 0) for i in range(1, 40)]

    assert after(*every_ten_seconds).features_per_second == 0.1


def test_a_start_from_the_cache_says_nothing_of_the_rest():
    replayed = [(0.5 * i, 500 * i, 0, 500 * i) for i in range(1, 5)]
    asked = [(2.0 + i, 2000 + 5 * i, 5 * i, 2000) for i in range(1, 4)]

    recent = after(*replayed, *asked)

    assert recent.features_per_second == 5.0
    assert recent.left(1000) == 200.0


def test_an_answer_from_the_cache_among_others_forgets_nothing():
    mixed = [(float(i), 4 * i, 2 * i, 2 * i) for i in range(1, 11)]

    assert after(*mixed).features_per_second == 4.0


def test_samples_are_kept_no_closer_than_a_second():
    recent = after(*((i / 100, i, i, 0) for i in range(1, 2001)))

    assert len(recent._samples) <= 22
    assert round(recent.features_per_second) == 100
