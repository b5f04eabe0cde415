"""`explain` and `score` against aimock, an OpenAI-compatible server that others wrote and that can misbehave."""

import base64
import io
import json
from pathlib import Path
from typing import cast

import pytest
from PIL import Image
from servers.aimock import ALL_YES, EXPLAINER, EXPLANATION, JUDGE, Aimock, Json, fault, in_turn, reply, says, status
from standin.commands import Result, run

from autointerp.runs.folder import open_run
from autointerp.schema import Scored

SHOWN = ("--top", "2", "--bands", "0", "--contrast", "1", "--rendering", "crop", "--side", "64")
"""Three pictures a request, few enough for aimock to keep the whole body."""


def explain(dump: Path, folder: Path, server: Aimock, *more: str) -> tuple[Result, dict[str, object]]:
    """Explains one request at a time; which feature is the first depends on whose pictures are ready first."""
    command = ("explain", dump, "--run", folder, "--model", "any", "--base-url", server.url, *SHOWN)
    result = run(*command, "--concurrency", "1", "--json", *more)
    return result, json.loads(result.out) if result.out else {}


def test_features_are_explained_and_scored(aimock: Aimock, planted: Path, tmp_path: Path) -> None:
    """Three explanations from three calls; a judge who says yes to everything scores what always-yes scores."""
    aimock.answers(says(EXPLAINER, EXPLANATION), says(JUDGE, ALL_YES))

    explained, told = explain(planted, tmp_path / "run", aimock)
    scored = run("score", tmp_path / "run")

    assert (explained.code, told["done"], told["requests"]) == (0, 3, 3)
    assert scored.code == 0, scored.err
    there = open_run(tmp_path / "run")
    assert [e.text for e in there.explanations()] == ["a red circle on a plain ground"] * 3
    detection = [s for s in there.scores() if isinstance(s, Scored) and s.scorer == "detection"]
    assert sorted(s.feature for s in detection) == [0, 1, 2]
    assert all(s.value == s.controls["always_yes"].value for s in detection)
    assert all(s.details["recall"] == 1 and s.details["specificity"] == 0 for s in detection)


def test_pictures_arrive_as_jpegs(aimock: Aimock, planted: Path, tmp_path: Path) -> None:
    """Two active pictures and a silent one, none larger than the 64 pixels asked for."""
    aimock.answers(says(EXPLAINER, EXPLANATION))

    explain(planted, tmp_path / "run", aimock, "--features", "0")

    (entry,) = aimock.journal()
    pictures = [Image.open(io.BytesIO(data)) for data in jpegs(entry.body)]
    assert [p.format for p in pictures] == ["JPEG"] * 3
    assert all(max(p.size) <= 64 for p in pictures)


def jpegs(body: Json) -> list[bytes]:
    """The pictures of a request, decoded from their data URIs."""
    content = cast("list[dict[str, object]]", messages(body)[1]["content"])
    urls = [cast("dict[str, str]", part["image_url"])["url"] for part in content if part["type"] == "image_url"]
    assert all(url.startswith("data:image/jpeg;base64,") for url in urls)
    return [base64.b64decode(url.partition(",")[2], validate=True) for url in urls]


def messages(body: Json) -> list[dict[str, object]]:
    """The messages of a request."""
    return cast("list[dict[str, object]]", body["messages"])


@pytest.mark.parametrize(
    ("fate", "kind", "code"),
    [
        (status(429, "slow down", type="rate_limit_error"), "rate_limited", 429),
        (fault("rateLimitRate"), "rate_limited", 429),
        (status(500, "out of order"), "http_500", 500),
        (fault("dropRate"), "http_500", 500),
        (fault("malformedRate"), "http_200", 200),
        (fault("disconnectRate"), "connection", 0),
    ],
    ids=["429", "429 after", "500", "dropped", "no json", "disconnect"],
)
def test_a_fault_is_tried_again(
    aimock: Aimock, planted: Path, tmp_path: Path, fate: Json, kind: str, code: int
) -> None:
    """One call goes wrong, the second is answered: one retry counted, no failure recorded."""
    aimock.answers(*in_turn(EXPLAINER, fate, reply(EXPLANATION)))

    result, told = explain(planted, tmp_path / "run", aimock, "--features", "0")

    assert result.code == 0, result.err
    assert (told["done"], told["requests"], told["retries"], told["failures"]) == (1, 2, {kind: 1}, {})
    assert [e.status for e in aimock.journal()] == [code, 200]
    assert list(open_run(tmp_path / "run").failures()) == []


def test_retry_after_is_obeyed(aimock: Aimock, planted: Path, tmp_path: Path) -> None:
    """Asked to wait 2 seconds, it does not come back before."""
    aimock.answers(*in_turn(EXPLAINER, status(429, "slow down", retryAfter=2), reply(EXPLANATION)))

    explain(planted, tmp_path / "run", aimock, "--features", "0")

    first, second = aimock.journal()
    assert second.at - first.at >= 2


def test_a_refused_field_is_left_out_and_remembered(aimock: Aimock, planted: Path, tmp_path: Path) -> None:
    """Two forms of response_format cost a 422 each, once for both runs."""
    refusal = status(422, "Unexpected fields in the request: {'response_format'}")
    refused = [{"match": {"responseFormat": kind}, **refusal} for kind in ("json_schema", "json_object")]
    aimock.answers(*refused, says(EXPLAINER, EXPLANATION))

    first, _ = explain(planted, tmp_path / "first", aimock, "--features", "0,1")
    second, _ = explain(planted, tmp_path / "second", aimock, "--features", "2")

    assert (first.code, second.code) == (0, 0)
    journal = aimock.journal()
    assert [e.status for e in journal] == [422, 422, 200, 200, 200]
    assert ["response_format" in e.body for e in journal] == [True, True, False, False, False]


def test_a_reply_without_json_is_asked_for_once_more(aimock: Aimock, planted: Path, tmp_path: Path) -> None:
    """The second question quotes the first reply and says what was wrong; then the feature has failed."""
    aimock.answers(says(EXPLAINER, "They all look red to me."))

    result, told = explain(planted, tmp_path / "run", aimock, "--features", "0")

    assert (result.code, told["done"], told["failed"], told["requests"]) == (1, 0, 1, 2)
    (failure,) = open_run(tmp_path / "run").failures()
    assert (failure.stage, failure.kind) == ("explain", "malformed")
    assert failure.message.endswith("the reply began: They all look red to me.")
    again = messages(aimock.journal()[1].body)
    assert [m["role"] for m in again] == ["system", "user", "assistant", "user"]
    assert again[2]["content"] == "They all look red to me."
    assert list(open_run(tmp_path / "run").explanations()) == []


def test_a_refusal_is_not_an_explanation(aimock: Aimock, planted: Path, tmp_path: Path) -> None:
    """It is recorded after one call, since asking again would not help."""
    aimock.answers(says(EXPLAINER, "I'm sorry, I can't help with that."))

    result, told = explain(planted, tmp_path / "run", aimock, "--features", "0")

    assert (result.code, told["requests"], told["failures"]) == (1, 1, {"refused": 1})
    assert list(open_run(tmp_path / "run").explanations()) == []


def test_the_same_command_goes_on_where_it_stopped(aimock: Aimock, planted: Path, tmp_path: Path) -> None:
    """The first feature that is asked about fails, the others do not; the second time only that one is asked."""
    broken, fine = status(500, "out of order"), reply(EXPLANATION)
    aimock.answers(*in_turn(EXPLAINER, broken, broken, fine, fine, fine))

    first, told_first = explain(planted, tmp_path / "run", aimock, "--attempts", "2")
    second, told_second = explain(planted, tmp_path / "run", aimock, "--attempts", "2")

    assert (first.code, told_first["done"], told_first["failed"], told_first["requests"]) == (1, 2, 1, 4)
    assert (second.code, told_second["before"], told_second["done"], told_second["requests"]) == (0, 2, 1, 1)
    there = open_run(tmp_path / "run")
    written = [e.feature for e in there.explanations()]
    assert sorted(written) == [0, 1, 2]
    assert [f.feature for f in there.failures()] == written[2:]
    assert there.pending() == []


def test_a_server_that_cuts_every_connection_leaves_failures_that_a_rerun_mends(
    aimock: Aimock, planted: Path, tmp_path: Path
) -> None:
    """Each feature is a recorded failure of the connection; with the server mended the same command succeeds."""
    aimock.answers(says(EXPLAINER, EXPLANATION))
    aimock.chaos(disconnectRate=1)

    cut, _ = explain(planted, tmp_path / "run", aimock, "--attempts", "2")
    failed = [(f.feature, f.kind) for f in open_run(tmp_path / "run").failures()]
    aimock.chaos()
    mended, told = explain(planted, tmp_path / "run", aimock, "--attempts", "2")

    assert cut.code == 1
    assert sorted(failed) == [(0, "connection"), (1, "connection"), (2, "connection")]
    assert (mended.code, told["before"], told["done"]) == (0, 0, 3)


def test_a_refused_key_is_one_line(
    aimock: Aimock, planted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One call finds it out, and the key stands nowhere."""
    monkeypatch.setenv("AUTOINTERP_API_KEY", "sk-secret-0123")
    aimock.answers({"match": EXPLAINER, **status(401, "Incorrect API key provided: sk-secret-0123")})

    result, _ = explain(planted, tmp_path / "run", aimock)

    assert result.code == 2
    assert "set AUTOINTERP_API_KEY" in result.err
    assert len(aimock.journal()) == 1
    assert "sk-secret" not in result.err
    written = [f.read_bytes() for f in tmp_path.rglob("*") if f.is_file()]
    assert written
    assert not any(b"sk-secret" in data for data in written)


def test_every_answer_that_was_paid_for_is_kept(aimock: Aimock, planted: Path, tmp_path: Path) -> None:
    """A second run over the same dump asks nothing."""
    aimock.answers(says(EXPLAINER, EXPLANATION))

    explain(planted, tmp_path / "first", aimock)
    result, told = explain(planted, tmp_path / "second", aimock)

    assert (result.code, told["done"], told["requests"], told["cached"]) == (0, 3, 0, 3)
    assert len(aimock.journal()) == 3
