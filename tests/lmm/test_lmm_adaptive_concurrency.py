from autointerp.lmm.adaptive_concurrency import Adaptive


def round_trip(adaptive: Adaptive, now: float, *, seconds: float = 1.0) -> None:
    """As many answers as may be in flight, all to requests sent `seconds` ago."""
    load = int(adaptive.limit)
    for _ in range(load):
        adaptive.answered(began=now - seconds, now=now, load=load, used=True)


def after_round_trips(adaptive: Adaptive, n: int, *, first: float = 1.0) -> list[int]:
    limits = []
    for i in range(n):
        round_trip(adaptive, first + i)
        limits.append(round(adaptive.limit))
    return limits


def test_before_the_first_refusal_it_doubles_with_each_round_trip():
    assert after_round_trips(Adaptive(10_000), 4) == [32, 64, 128, 256]


def test_after_a_refusal_it_returns_to_the_limit_before_stays_there_and_then_leaves_it_ever_faster():
    adaptive = Adaptive(10_000)
    adaptive.limit = 101.0
    adaptive.refused(began=0.0, now=0.0)
    shrunk = adaptive.limit

    limits = after_round_trips(adaptive, 11)

    # 100 went well; the cubic is back there after the cube root of (100 - 70.7) / 0.4, which is 4.2 round trips.
    assert round(shrunk, 6) == 70.7
    assert limits == sorted(limits)
    assert limits[0] < 90
    assert 98 <= limits[2] <= limits[4] <= 101
    assert limits[10] - limits[9] > limits[8] - limits[7] > 5


def test_a_limit_of_thirty_becomes_three_thousand_in_thirty_round_trips():
    adaptive = Adaptive(4000)
    adaptive.limit = 30.0
    adaptive.refused(began=0.0, now=0.0)

    assert after_round_trips(adaptive, 30)[-1] >= 3000


def test_a_limit_found_again_is_shrunk_less_and_held_longer():
    adaptive = Adaptive(10_000)
    adaptive.limit = 101.0
    adaptive.refused(began=0.0, now=0.0)
    first = after_round_trips(adaptive, 6)
    adaptive.limit = 101.0
    adaptive.refused(began=6.5, now=7.0)
    shrunk = adaptive.limit

    again = after_round_trips(adaptive, 6, first=9.0)

    assert round(shrunk, 6) == 85.85
    assert again[-1] <= first[-1]


def test_refusals_of_requests_sent_before_the_last_shrinking_tell_nothing_new():
    adaptive = Adaptive(100)
    pauses = [adaptive.refused(began=0.0, now=1.0) for _ in range(10)]

    assert round(adaptive.limit, 6) == 11.2
    assert pauses[1:] == [0.0] * 9


def test_each_further_refusal_without_an_answer_doubles_the_pause_and_two_of_them_shrink():
    adaptive = Adaptive(100)
    round_trip(adaptive, 1.0)
    adaptive.limit = 100.0
    at = [2.0, 2.1, 2.2, 2.3, 2.4]

    pauses = [adaptive.refused(began=now, now=now) for now in at]

    # An answer a second: at 70 and then 49 in flight one starts every 1/70 and 1/49 s.
    assert [round(pause, 4) for pause in pauses] == [0.0143, 0.0408, 0.0816, 0.1633, 0.3265]
    assert round(adaptive.limit, 6) == 49.0


def test_a_load_that_brings_no_throughput_is_given_up():
    adaptive = Adaptive(10_000)
    now = 0.0
    for _ in range(12):
        load = int(adaptive.limit)
        now += 100.0
        round_trip(adaptive, now, seconds=max(1.0, load / 32))

    # 32 are served at once, a second each; a sixth more is kept there lest one of them be idle.
    assert 30 <= adaptive.limit <= 60


def test_replies_that_take_longer_at_any_load_do_not_shrink_it():
    adaptive = Adaptive(10_000)
    now = 0.0
    for i in range(12):
        now += 100.0
        round_trip(adaptive, now, seconds=1.0 if i < 3 else 9.0)

    assert adaptive.limit >= 128
