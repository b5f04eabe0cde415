"""Pictures by batch jobs, of explanations and of regions painted anew, from recording to the scores they come to."""

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from PIL import Image
from standin.batches import BatchServer
from standin.commands import Result, run
from standin.offline import ENDPOINTS, Line, answered, expired, failed, painted, painted_as, payload_of
from standin.painting import Painting
from standin.server import StandIn

from autointerp.batch.manifest import Event, Manifest
from autointerp.commands.batch_run import BatchRun
from autointerp.commands.estimate import estimate
from autointerp.commands.explain import explain
from autointerp.commands.score import score
from autointerp.errors import SettingsError
from autointerp.jobs.batch.run import run as batch_run
from autointerp.lmm.images.store import picture_file
from autointerp.runs.folder import open_run
from autointerp.settings import Execution, ExplainSettings, ModelName, ModelSettings, ScoreSettings
from autointerp.transcoder.backbones.given import given_backbone
from autointerp.transcoder.settings import NetworkChoice
from benchmarks.truth.causal import planted_dump
from benchmarks.truth.causal_world import CELLS, COLOURS, PlantedNetwork

NETWORK = NetworkChoice(coder="raw:marks", backbone="hf:planted/marks")
TEXTS = ["a red mark", "a blue mark", "a green mark"]
N = 8 * 4
"""Pictures of three texts, and of the one that says nothing."""
LOCAL = 0
_, GENERATIONS, EDITS = ENDPOINTS


def drawn(payload: Mapping[str, object]) -> Image.Image:
    """Marks of the colours that the prompt names, on a grey that depends on the seed."""
    prompt, seed = str(payload["prompt"]), int(str(payload["seed"]))
    cells = np.full((CELLS, CELLS, 3), 0.3 + 0.05 * (seed % 4))
    for place, colour in enumerate(colour for colour in COLOURS if f"{colour} mark" in prompt):
        cells[2 * place, 2] = 0.95 * np.array(COLOURS[colour])
    pixels = (255 * cells).round().astype(np.uint8).repeat(8, axis=0).repeat(8, axis=1)
    return Image.fromarray(pixels, "RGB")


def filled(payload: Mapping[str, object]) -> Image.Image:
    """Paints what the mask leaves open grey."""
    image, mask = payload["image"], payload["mask"]
    assert isinstance(image, Image.Image)
    assert isinstance(mask, Image.Image)
    assert image.size == mask.size
    out = Image.new("RGB", image.size, (100, 100, 100))
    out.paste(image, (0, 0), mask.getchannel("A"))
    return out


def result(line: Line) -> Line:
    """What the endpoint has for a line that it answers."""
    draws = {GENERATIONS: drawn, EDITS: filled}
    return painted(line, draws[str(line["url"])]) if line["url"] in draws else answered(line)


def all_done(number: int, asked: Sequence[Line]) -> tuple[str, Sequence[Line], Sequence[Line]]:
    return "completed", [result(line) for line in asked], []


@pytest.fixture(autouse=True)
def network(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch job names the backbone, so it is loaded by its name."""
    loaded = given_backbone(PlantedNetwork())
    monkeypatch.setattr("autointerp.transcoder.harvest.reencode.load_backbone", lambda *_, **__: loaded)


@pytest.fixture(scope="module")
def dump(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return planted_dump(tmp_path_factory.mktemp("planted"), 150, 0, whole=False)


@pytest.fixture
def server() -> Iterator[BatchServer]:
    with BatchServer(spoil=all_done) as made:
        yield made


@pytest.fixture
def prices(tmp_path: Path) -> Path:
    """A picture by gpt-paint costs two cents, and by a batch job one."""
    file = tmp_path / "prices.toml"
    file.write_text('["gpt-paint"]\nimage = 0.02\n[seer]\ninput = 0\noutput = 0\n')
    return file


def pictures(url: str, size: str = "64x64") -> dict[str, object]:
    return {"model": "gpt-paint", "base_url": url, "size": size}


def scoring(url: str) -> ScoreSettings:
    return ScoreSettings.model_validate(
        {"scorers": ("generation",), "bootstrap": 200, "pictures": pictures(url), "min_active": 2}
    )


def adopted(dump: Path, run: Path, url: str, **more: object):
    """Scores the texts, or records that they are to be scored."""
    texts = run.with_suffix(".csv")
    texts.write_text("feature,text\n" + "".join(f"{i},{text}\n" for i, text in enumerate(TEXTS)))
    return score(str(dump), explanations=texts, new_run=run, settings=scoring(url), network=NETWORK, **more)


@pytest.fixture
def recorded(dump: Path, server: BatchServer, prices: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    adopted(dump, tmp_path / "run", server.url, execution=Execution(batch=True), prices=prices)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "run"


def lines(run: Path) -> dict[int, dict[str, object]]:
    """What was scored, without when and at what price."""
    found = [json.loads(line) for line in (run / "scores.jsonl").read_text().splitlines()]
    return {line["feature"]: {k: v for k, v in line.items() if k not in ("created", "usage")} for line in found}


def drive() -> tuple[Result, dict[str, object]]:
    done = run("batch", "run", "run", "--poll", "0.01", "--json")
    return done, json.loads(done.out) if done.out else {}


def at_once(dump: Path, tmp_path: Path) -> dict[int, dict[str, object]]:
    """The scores of the same pictures without a batch job."""
    with Painting(drawn) as server:
        adopted(dump, tmp_path / "direct", server.url, cache=tmp_path / "other")
    return lines(tmp_path / "direct")


def test_one_round_makes_the_pictures_of_all_texts_and_comes_to_the_scores_of_asking_at_once(
    recorded: Path, server: BatchServer, dump: Path, tmp_path: Path
):
    sent = run("batch", "submit", "run")
    at_work = run("batch", "status", "run")
    server.looks = 1
    taken = run("batch", "collect", "run")
    finished = run("batch", "submit", "run")

    assert f"wrote {N} questions into 1 file (0.0 MB), about {N} pictures, $0.3200:" in sent.out
    assert f"up to {N} pictures by gpt-paint at $0.01 each" in sent.err
    assert "by a batch job): $0.32" in sent.err
    assert f"score, {N} pictures, {N} open, started (batch-1)" in at_work.out
    assert f"{N} lines: {N} new answers in the cache, {N} pictures, $0.3200" in taken.out
    assert "score: 3 of 3 features done" in finished.out
    assert [batch["endpoint"] for batch in server.batches.values()] == [GENERATIONS]
    assert len(server.questions) == len(set(server.questions)) == N
    assert lines(recorded) == at_once(dump, tmp_path)
    (made,) = [line["generated"] for i, line in lines(recorded).items() if i == 0]
    assert isinstance(made, list)
    assert all(picture_file(recorded / "pictures", one["picture"]) is not None for one in made)
    paid = [score.usage.dollars for score in open_run(recorded).scores() if score.status == "scored"]
    assert paid == [pytest.approx(0.08)] * 3


def test_judge_and_pictures_are_batches_of_their_own_in_one_round(
    dump: Path, server: BatchServer, prices: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    Path("texts.csv").write_text("feature,text\n0,a red mark\n")
    both = scoring(server.url).model_copy(update={"scorers": ("detection", "generation"), "n_controls": 0})
    judge = {"judge_model": "seer", "judge_base_url": server.url}
    score(
        str(dump),
        explanations=Path("texts.csv"),
        new_run=tmp_path / "run",
        settings=both,
        network=NETWORK,
        execution=Execution(batch=True),
        prices=prices,
        **judge,
    )

    done, told = drive()

    assert (done.code, told["left"]) == (0, {}), done.err
    assert sorted(str(batch["endpoint"]) for batch in server.batches.values())[0] == ENDPOINTS[0]
    assert GENERATIONS in [batch["endpoint"] for batch in server.batches.values()]
    assert {s.scorer for s in open_run(recorded_run(tmp_path)).scores()} == {"detection", "generation"}


def recorded_run(folder: Path) -> Path:
    return folder / "run"


class KilledError(BaseException):
    """Ends everything at once, as a kill would."""


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", ["uploaded", "started", "taken", "ended"])
def test_killed_between_submitting_and_collecting_no_picture_is_paid_twice(
    recorded: Path, server: BatchServer, monkeypatch: pytest.MonkeyPatch, step: str, after: bool
):
    add = Manifest.add

    def ending(self: Manifest, event: Event) -> None:
        if event.event == step and not after:
            raise KilledError
        add(self, event)
        if event.event == step:
            raise KilledError

    with monkeypatch.context() as patched:
        patched.setattr(Manifest, "add", ending)
        with pytest.raises(KilledError):
            batch_run(BatchRun(run=str(recorded), poll=0.01), sleep=lambda _: None)
    again = batch_run(BatchRun(run=str(recorded), poll=0.01), sleep=lambda _: None)

    assert again.complete
    assert len(server.questions) == len(set(server.questions)) == N
    assert sorted(lines(recorded)) == [0, 1, 2]


def test_what_expired_is_asked_again_and_what_was_refused_is_a_recorded_gap(recorded: Path, server: BatchServer):
    """The first batch expires after ten pictures; one prompt is refused as an error, another within its answer."""
    refused: list[str] = []

    def spoil(number: int, asked: Sequence[Line]) -> tuple[str, Sequence[Line], Sequence[Line]]:
        if number == 1:
            return "expired", [result(line) for line in asked[:10]], [expired(line) for line in asked[10:]]
        blue = [line for line in asked if "blue mark" in str(payload_of(line)["prompt"])][:2]
        refused.extend(str(line["custom_id"]) for line in blue)
        blocked = failed(blue[0], 400, "rejected by the safety system", code="moderation_blocked")
        filtered = painted_as(blue[1], b64_json="", finish_reason="content_filter")
        return "completed", [*(result(line) for line in asked if line not in blue), filtered], [blocked]

    server.spoil = spoil

    done, told = drive()

    assert (done.code, told["rounds"]) == (0, 2), done.err
    assert [len(server.uploads[f"file-{i}"].splitlines()) for i in (1, 2)] == [N, N - 10]
    found = lines(recorded)
    assert {found[i]["status"] for i in found} == {"scored"}
    assert (found[1]["details"]["missing"], found[1]["n"]) == (2, 6)  # pyright: ignore[reportIndexIssue]
    kinds = [(f["feature"], f["kind"]) for f in map(json.loads, (recorded / "failures.jsonl").read_text().splitlines())]
    assert kinds == [(1, "refused")] * 2


@pytest.mark.parametrize(
    ("item", "said"),
    [
        ({"b64_json": base64.b64encode(b"no picture").decode()}, "the picture cannot be decoded"),
        ({"b64_json": "%%%"}, "not in base64"),
        ({"url": "http://127.0.0.1:9/made.png"}, "the picture lies at an address"),
    ],
)
def test_what_is_no_picture_is_asked_for_once_more_and_then_left_out(
    recorded: Path, server: BatchServer, item: Mapping[str, object], said: str
):
    def spoil(number: int, asked: Sequence[Line]) -> tuple[str, Sequence[Line], Sequence[Line]]:
        bad = [line for line in asked if str(payload_of(line)["prompt"]).startswith("a green mark")][:1]
        return "completed", [painted_as(line, **item) if line in bad else result(line) for line in asked], []

    server.spoil = spoil

    done, told = drive()

    assert (done.code, told["rounds"]) == (0, 2), done.err
    assert len(server.questions) == N + 1
    found = lines(recorded)
    assert [found[i]["n"] for i in range(3)] == [8, 8, 7]
    (gap,) = map(json.loads, (recorded / "failures.jsonl").read_text().splitlines())
    assert (gap["kind"], said in gap["message"]) == ("malformed", True)


def test_a_field_that_the_endpoint_refuses_of_pictures_is_left_out_of_the_next_files(
    recorded: Path, server: BatchServer
):
    def spoil(number: int, asked: Sequence[Line]) -> tuple[str, Sequence[Line], Sequence[Line]]:
        with_it = [line for line in asked if "response_format" in payload_of(line)]
        errors = [failed(line, 400, "Unknown parameter: 'response_format'.") for line in with_it]
        return "completed", [result(line) for line in asked if line not in with_it], errors

    server.spoil = spoil

    done, told = drive()

    assert (done.code, told["rounds"]) == (0, 2), done.err
    assert sorted(lines(recorded)) == [0, 1, 2]


def test_a_budget_in_dollars_holds_for_what_is_written(recorded: Path, server: BatchServer):
    short = run("batch", "submit", "run", "--budget", "0.20usd")

    assert short.code == 3
    assert "wrote 20 questions into 1 file" in short.out
    assert "stopped: over budget" in short.out
    done, _ = drive()
    assert done.code == 0, done.err
    assert len(server.questions) == len(set(server.questions)) == N


def test_a_server_that_takes_no_batches_of_pictures_says_so_in_one_line(recorded: Path, server: BatchServer):
    server.endpoints = ENDPOINTS[:1]

    done = run("batch", "submit", "run")

    assert done.code == 2
    (line,) = [line for line in done.err.splitlines() if line.startswith("autointerp: ")]
    assert line.startswith(f"autointerp: {server.url} takes no batch jobs of pictures, or not what was asked of it (")
    assert line.endswith("give the recorded command without --batch, which asks for pictures at once")


def test_the_image_models_own_key_goes_to_its_server(
    recorded: Path, server: BatchServer, monkeypatch: pytest.MonkeyPatch
):
    server.key = "sk-pictures"
    monkeypatch.setenv("OPENAI_API_KEY", "sk-words")
    refused = run("batch", "submit", "run")
    monkeypatch.setenv("AUTOINTERP_IMAGE_API_KEY", "sk-pictures")

    assert refused.code == 2
    assert "set AUTOINTERP_IMAGE_API_KEY, AUTOINTERP_API_KEY or OPENAI_API_KEY" in refused.err
    assert run("batch", "submit", "run").code == 0
    assert not any(b"sk-" in f.read_bytes() for f in recorded.rglob("*") if f.is_file())


def test_pictures_that_were_lost_before_they_were_used_are_made_again(recorded: Path, server: BatchServer):
    server.looks = 1
    run("batch", "submit", "run")
    run("batch", "collect", "run")
    (lost, *_) = (recorded.parent / "cache" / "pictures").glob("*/*.png")
    lost.unlink()

    done, _ = drive()

    assert done.code == 0, done.err
    # It may serve more than one question: those that draw the same.
    assert N < len(server.questions) < 2 * N
    assert sorted(lines(recorded)) == [0, 1, 2]


def test_a_backbone_without_a_name_is_not_recorded(dump: Path, server: BatchServer, tmp_path: Path):
    unnamed = NetworkChoice(coder="raw:marks", backbone=PlantedNetwork())
    texts = tmp_path / "texts.csv"
    texts.write_text("feature,text\n0,a red mark\n")

    with pytest.raises(SettingsError, match="a backbone that is an object cannot be recorded"):
        score(
            str(dump),
            explanations=texts,
            new_run=tmp_path / "run",
            settings=scoring(server.url),
            network=unnamed,
            execution=Execution(batch=True),
        )


def explained(dump: Path, run: Path, painter: str, seer: str, prices: Path | None = None, **more: object):
    asked = ExplainSettings.model_validate(
        {
            "contrast_kind": "edited",
            "renderings": ("full",),
            "seed": 2,
            "pictures": pictures(painter, "256x160"),
        }
    )
    model = ModelSettings(model=ModelName("seer"), base_url=seer)
    given = {"features": str(LOCAL), "model": model, "settings": asked, "network": NETWORK, "prices": prices}
    explain(str(dump), run=str(run), **given, **more)


def test_regions_are_painted_anew_by_as_many_questions_at_once_as_contrast_is_asked_for(
    dump: Path, server: BatchServer, prices: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Four edits in the first round, and the explainer's question in the second."""
    monkeypatch.chdir(tmp_path)
    explained(dump, tmp_path / "run", server.url, server.url, prices, execution=Execution(batch=True))

    done, told = drive()

    assert (done.code, told["rounds"]) == (0, 2), done.err
    assert [batch["endpoint"] for batch in server.batches.values()] == [EDITS, ENDPOINTS[0]]
    assert [len(server.uploads[f"file-{i}"].splitlines()) for i in (1, 2)] == [4, 1]
    (found,) = open_run(tmp_path / "run").explanations()
    assert found.counterfactuals is not None
    assert [(pair.how, pair.activation) for pair in found.counterfactuals] == [("edited", 0.0)] * 4
    with Painting(filled) as painter, StandIn() as seer:
        explained(dump, tmp_path / "direct", painter.url, seer.url, cache=tmp_path / "other")
    (direct,) = open_run(tmp_path / "direct").explanations()
    assert (found.counterfactuals, found.text) == (direct.counterfactuals, direct.text)


def test_an_estimate_says_what_a_batch_job_asks_for_pictures(dump: Path, prices: Path):
    asked = {"models": ("gpt-4o",), "features": "0-2", "prices": prices}
    painting = ExplainSettings.model_validate(
        {"contrast_kind": "edited", "pictures": pictures("https://example.com/v1")}
    )

    found = estimate(str(dump), explain=painting, score=scoring("https://example.com/v1"), **asked)

    assert (found.picture_dollars, found.picture_batch_dollars) == (pytest.approx(0.64), pytest.approx(0.32))
    assert "$0.64, or $0.32 by a batch job; what the cache holds" in found.pictures
    assert found.painting_dollars is not None
    assert found.painting_batch_dollars == pytest.approx(found.painting_dollars / 2) != 0
