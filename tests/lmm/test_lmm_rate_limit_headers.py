from datetime import timedelta

import pytest
from stopped_clock import NOON, Noon

from autointerp.lmm.rate_limit_headers import Limits, Pace, Quota, Stated, read_limits


def headers(**values: str) -> list[tuple[bytes, bytes]]:
    return [(name.replace("_", "-").encode(), value.encode()) for name, value in values.items()]


def test_the_headers_of_openai_are_read():
    found = read_limits(
        headers(
            content_type="application/json",
            x_ratelimit_limit_requests="60",
            x_ratelimit_remaining_requests="59",
            x_ratelimit_reset_requests="1s",
            x_ratelimit_limit_tokens="150000",
            x_ratelimit_remaining_tokens="149984",
            x_ratelimit_reset_tokens="6m0s",
        )
    )

    assert found == Limits(Stated(59, 1, 60), Stated(149984, 360, 150000))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("120ms", 0.12), ("1s", 1), ("6m0s", 360), ("1h2m3.5s", 3723.5), ("2d", 172800), ("7", 7), ("0.5", 0.5)],
)
def test_a_reset_is_a_span_or_seconds(text: str, seconds: float):
    found = read_limits(headers(x_ratelimit_remaining_requests="1", x_ratelimit_reset_requests=text))

    assert found is not None
    assert found.requests is not None
    assert found.requests.reset == pytest.approx(seconds)


@pytest.mark.parametrize("form", ["iso", "z", "seconds", "milliseconds"])
def test_a_reset_may_be_a_moment(form: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("autointerp.lmm.rate_limit_headers.datetime", Noon)
    moment = NOON + timedelta(seconds=90)
    text = {
        "iso": moment.isoformat(),
        "z": moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "seconds": str(moment.timestamp()),
        "milliseconds": str(int(moment.timestamp() * 1000)),
    }[form]

    found = read_limits(headers(x_ratelimit_remaining="5", x_ratelimit_reset=text))

    assert found is not None
    assert found.requests is not None
    assert found.requests.reset == 90.0


def test_the_headers_of_anthropic_are_read():
    found = read_limits(
        headers(anthropic_ratelimit_tokens_remaining="400", anthropic_ratelimit_tokens_reset="2020-01-01T00:00:00Z")
    )

    assert found == Limits(None, Stated(400, 0, None))


@pytest.mark.parametrize("reset", ["", "soon", "-1", "nan", "inf", "6m0x", "9" * 400, "9" * 400 + "s"])
def test_what_cannot_be_read_is_passed_over(reset: str):
    assert read_limits(headers(x_ratelimit_remaining_requests="1", x_ratelimit_reset_requests=reset)) is None


def test_an_answer_that_states_nothing_has_no_limits():
    assert read_limits(headers(content_type="application/json", server="vllm")) is None


def starts(quota: Quota, now: float, n: int) -> list[float]:
    return [round(quota.pace.take(now, 1), 3) for _ in range(n)]


def test_plenty_left_is_not_paced():
    quota = Quota()

    quota.told(0.0, Stated(51, 60, 100), 0)

    assert starts(quota, 0.0, 3) == [0, 0, 0]


def test_a_bucket_nearly_empty_is_asked_at_the_rate_at_which_it_fills():
    quota = Quota()

    quota.told(0.0, Stated(0, 60, 120), 0)

    assert starts(quota, 50.0, 4) == [49, 49.5, 50, 50.5]


def test_where_nothing_is_left_of_a_window_all_wait_for_its_reset():
    quota = Quota()

    quota.told(0.0, Stated(0, 40, None), 0)

    assert starts(quota, 1.0, 2) == [40, 40]
    assert starts(quota, 40.0, 2) == [40, 40]


def test_what_is_left_of_a_window_is_spread_until_its_reset():
    quota = Quota()

    # 7 are left, 4 of them claimed by requests in flight: 3 for 20 seconds.
    quota.told(0.0, Stated(7, 20, None), 4)

    assert starts(quota, 0.0, 3) == [-1, 5.667, 12.333]


def test_a_reset_that_stays_where_it_is_is_a_windows():
    quota = Quota()

    quota.told(0.0, Stated(90, 60, 100), 0)
    quota.told(20.0, Stated(0, 40, 100), 0)

    assert starts(quota, 20.0, 2) == [60, 60]


def test_a_pace_saves_up_no_more_than_it_is_told_to():
    pace = Pace(2.0, 1.0)
    pace.take(0.0, 1)

    assert [pace.take(100.0, 1) for _ in range(4)] == [99.0, 99.5, 100.0, 100.5]


def test_names_in_upper_case_are_read():
    found = read_limits([(b"X-RATELIMIT-REMAINING", b"0"), (b"X-RATELIMIT-RESET", b"30")])

    assert found == Limits(Stated(0, 30, None), None)
