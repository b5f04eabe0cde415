"""`autointerp calibrate` against an endpoint that knows every planted picture, and with the embedded model."""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path

import pytest
from standin.commands import Command, Result, run, says

from autointerp.calibration.questions import Plan, make_plan
from autointerp.dump.reader import open_dump
from autointerp.prompts import load_prompt
from autointerp.scoring.calibration import load_calibration
from autointerp.scoring.judge import Judge, board
from autointerp.session.gateway import open_renderer
from autointerp.settings import ModelSettings, ScoreSettings
from autointerp.synthetic.concepts import CONCEPTS, holds_all
from autointerp.synthetic.evidence import write_dump

BY_TEXT = {c.text: c for c in CONCEPTS}
SETTINGS = ScoreSettings()
SIDES = (64,)
"""Pixels of the planted images; larger ones take longer to draw and are judged alike."""


@pytest.fixture(scope="module")
def plan() -> Plan:
    """Twelve calls: four boards, two of them again reversed, in separate pictures and as fragments; two single ones."""
    return make_plan(SETTINGS, 12, 0, SIDES)


@pytest.fixture(scope="module")
def drawn(plan: Plan, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The planted images."""
    folder = tmp_path_factory.mktemp("planted") / "dump"
    write_dump(folder, plan.name, "2026-01-31T12:00:00Z", plan.scenes, plan.features, SIDES)
    return folder


@pytest.fixture(scope="module")
def pictures(plan: Plan, drawn: Path) -> dict[str, tuple[int, ...]]:
    """What each JPEG that may be sent shows, by the digest of its bytes."""
    dump, judge = open_dump(drawn), Judge(ModelSettings(model="seer"), SETTINGS, load_prompt("judge", None))
    out: dict[str, tuple[int, ...]] = {}
    renderer = open_renderer(dump)
    for question in plan.questions(dump):
        look = replace(judge.look, layout=question.form.layout, per_call=question.form.per_call)
        shown = board([item.tile for item in question.items], look, SETTINGS.region.quality, "judged", even=False)
        for part in shown.pictures:
            jpeg = renderer.jpeg_now(part.picture)
            out[hashlib.sha256(jpeg).hexdigest()] = tuple(tile.image for tile in part.picture.tiles)
    renderer.close()
    return out


class Seer(ThreadingHTTPServer):
    """Judges planted pictures without error, except that it is down for the first `n_down` requests."""

    def __init__(self, plan: Plan, pictures: dict[str, tuple[int, ...]]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.plan = plan
        self.pictures = pictures
        self.n_down = 0
        self.n_asked = 0
        self.url = f"http://127.0.0.1:{self.server_port}/v1"

    def answer(self, payload: dict[str, list[dict[str, list[dict[str, object]]]]]) -> dict[str, str]:
        """The reply to one judging prompt."""
        parts = next(m["content"] for m in payload["messages"] if str(m["role"]) == "user")
        found = re.search(r"Description: (.*)", "\n".join(str(p["text"]) for p in parts if p["type"] == "text"))
        assert found is not None
        concept, images = BY_TEXT[found[1]], []
        for part in parts:
            if isinstance(shown := part.get("image_url"), dict):
                jpeg = base64.b64decode(str(shown["url"]).partition(",")[2])
                images += self.pictures[hashlib.sha256(jpeg).hexdigest()]
        true = holds_all(concept, self.plan.scenes)
        fits = [bool(true[i]) for i in images]
        return {f"image_{n}": "yes" if fit else "no" for n, fit in enumerate(fits, 1)}


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, Seer)
        payload = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.n_asked += 1
        if self.server.n_asked <= self.server.n_down:
            self._send(500, {"error": {"message": "The server had an error"}})
            return
        message = {"role": "assistant", "content": json.dumps(self.server.answer(payload))}
        usage = {"prompt_tokens": 1000, "completion_tokens": 50}
        self._send(200, {"model": "seer", "choices": [{"message": message, "finish_reason": "stop"}], "usage": usage})

    def _send(self, status: int, body: dict[str, object]) -> None:
        raw = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@pytest.fixture
def seer(plan: Plan, pictures: dict[str, tuple[int, ...]]) -> Iterator[Seer]:
    """An endpoint that is up."""
    with Seer(plan, pictures) as server:
        thread = threading.Thread(target=server.serve_forever, name="seer")
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def calibrate(seer: Seer, here: Path) -> Command:
    """`autointerp calibrate` of the seer by twelve calls."""

    def command(*options: str | Path) -> Result:
        usual = ("--model", "seer", "--base-url", seer.url, "--calls", "12", "--concurrency", "4")
        return run("calibrate", *usual, "--planted-sides", *map(str, SIDES), *options)

    return command


def test_a_judge_that_errs_nowhere_is_told_so_in_a_table_and_a_file(calibrate: Command, seer: Seer, here: Path):
    result = calibrate()

    assert result.code == 0, result.err
    assert seer.n_asked == 12
    overall = next(line for line in result.out.splitlines() if line.strip().startswith("overall"))
    assert overall.split()[1] == overall.split()[5] == "1.000"
    assert "reversed order: 100.0% equal answers of 24, kappa 1.00" in result.out
    assert "yes on near misses: 0.000" in result.out
    assert "single images" in result.out
    assert "warning" not in result.out
    assert result.out.endswith("-> calibration/seer.json\n")
    assert load_calibration(here / "calibration" / "seer.json").usage.input_tokens == 12_000


def test_the_second_time_every_answer_comes_from_the_cache(calibrate: Command, seer: Seer, here: Path):
    calibrate("--out", "first.json")

    again = calibrate("--out", "second.json")

    assert seer.n_asked == 12
    assert "0 calls, 12 answers from the cache" in again.out
    first, second = (load_calibration(here / name) for name in ("first.json", "second.json"))
    assert first.model_copy(update={"created": second.created}) == second


def test_json_has_the_calibration(calibrate: Command, drawn: Path):
    result = calibrate("--json", "--keep-images", drawn)

    said = json.loads(result.out)
    assert (said["selected"], said["done"], said["failed"], said["warnings"]) == (12, 12, 0, [])
    assert said["calibration"]["sensitivity"] == 1.0
    assert (said["out"], said["images"]) == ("calibration/seer.json", str(drawn))


def test_calls_that_fail_are_told_and_the_same_command_goes_on(calibrate: Command, seer: Seer, drawn: Path, here: Path):
    seer.n_down = 3

    first = calibrate("--attempts", "1", "--keep-images", drawn)

    assert first.code == 1
    assert "3 of 12 calls failed; the first:\n  http_500: " in first.out
    assert "no calibration is written yet; run the same command again" in first.out
    assert not (here / "calibration" / "seer.json").exists()

    second = calibrate("--attempts", "1", "--keep-images", drawn)

    assert (second.code, seer.n_asked) == (0, 15)
    assert "3 calls, 9 answers from the cache" in second.out


def test_a_budget_that_covers_no_call_stops_it_with_exit_code_3(calibrate: Command, seer: Seer, drawn: Path):
    said = calibrate("--budget", "1 tokens", "--keep-images", drawn)

    assert (said.code, seer.n_asked) == (3, 0)
    assert "stopped: over budget; no calibration is written yet; run the same command again" in said.out


def test_too_few_calls_are_refused(calibrate: Command, seer: Seer):
    says(calibrate("--calls", "5"), "--calls 5: too few to tell anything; give at least 12")

    assert seer.n_asked == 0


def test_a_folder_to_write_to_is_refused_before_anything_is_asked(calibrate: Command, seer: Seer, here: Path):
    says(calibrate("--out", here), f"--out {here}: is a folder; name a file in it")

    assert seer.n_asked == 0


def test_a_layout_that_is_not_there_names_the_option(calibrate: Command):
    result = calibrate("--layout", "pile")

    assert result.code == 2
    assert result.err.startswith("autointerp: --layout 'pile': input should be 'sheet' or 'separate'")


def test_no_model_is_one_line(here: Path):
    result = run("calibrate")

    assert result.code == 2
    assert result.err.startswith("autointerp: name a judge with --model")


@pytest.mark.long
@pytest.mark.skipif(find_spec("efficientnet_lite_pytorch") is None, reason="needs the extra `local`")
def test_the_embedded_model_is_calibrated_without_a_key(here: Path):
    result = run("calibrate", "--model", "local", "--calls", "12", "--out", "local.json")

    assert result.code == 0, result.err
    found = load_calibration(here / "local.json")
    assert found.model.startswith("local@")
    assert found.n_true + found.n_false == 48
    assert found.unanswered == 0
