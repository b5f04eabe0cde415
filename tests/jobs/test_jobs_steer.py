"""`explain --steer` from end to end: a tiny LLaVA, and a tiny Qwen-VL, say what a planted direction means to them."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch")
import torch
import vision_language_world as w

from autointerp.commands.explain import explain
from autointerp.commands.harvest import harvest
from autointerp.commands.report import report
from autointerp.commands.score import score
from autointerp.errors import SettingsError
from autointerp.images.picture import Tile
from autointerp.lmm.request import ImagePart
from autointerp.prompts import Slot, load_prompt
from autointerp.session.steering import CoderDirections, conversation
from autointerp.settings import ModelName
from autointerp.transcoder import vision_language
from autointerp.transcoder.settings import HarvestSettings
from benchmarks import steering
from benchmarks.steering import qwen_backbone

pytestmark = pytest.mark.slow
N_TOP = 2
FEW = HarvestSettings(n_top=8, n_bands=1, n_silent=4, n_guided=2, n_pool=16, density=0.5)


class World(NamedTuple):
    """A model and a dump of its tower."""

    model: str
    dump: Path
    options: dict[str, object]


def asked(n: int) -> list[dict[str, object]]:
    """The question about n pictures, or about a blank one, as `explain` puts it."""
    square = Image.new("RGB", (w.SIDE, w.SIDE), "white")
    tile = Tile(0, "0" * 64, square.size, "full", None)
    from autointerp.images.picture import Picture

    parts = [ImagePart(Picture((tile,), 448, 85), "active", (i,)) for i in range(n)]
    messages = load_prompt("steer", None).fill({"n": n, "slots": [Slot(i, "mask") for i in range(n)]}, parts)
    return [dict(turn) for turn in conversation(messages, [square] * n)]


def images(folder: Path, n: int) -> Path:
    rng = np.random.default_rng(11)
    folder.mkdir()
    for i in range(n):
        w.noise(rng).save(folder / f"{i:02d}.png")
    return folder


@pytest.fixture(scope="module")
def llava(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("llava")
    made = w.llava()
    w.trained(made, [asked(0), asked(N_TOP)], (0.1, 0.5, 1.0))
    name = f"hf:{w.save(made, folder / 'model')}"
    coder = w.save_sae(folder / "coder", name)
    harvest(images(folder / "images", 32), folder / "dump", str(coder), settings=FEW, store="bytes")
    return World(name, folder / "dump", {})


@pytest.fixture(autouse=True)
def own_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "AUTOINTERP_BASE_URL", "AUTOINTERP_JUDGE_MODEL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AUTOINTERP_CACHE", str(tmp_path / "cache"))


def steered(world: World, run: Path, coefficient: float = w.LENGTH, **more: object):
    options = {"model": world.model, "embedder": "none", "top": N_TOP, "features": "0-7", **world.options, **more}
    return explain(str(world.dump), run=str(run), steer=coefficient, **options)


def lines(run: Path, file: str = "explanations.jsonl") -> dict[int, dict]:
    found = [json.loads(line) for line in (run / file).read_text().splitlines()]
    return {line["feature"]: {k: v for k, v in line.items() if k != "created"} for line in found}


def test_each_feature_is_explained_by_what_its_direction_means_to_the_model(llava: World, tmp_path: Path):
    done = steered(llava, tmp_path / "run")

    found = lines(tmp_path / "run")
    assert (done.selected, sorted(found)) == (8, list(range(8)))
    assert [found[i]["text"] for i in range(8)] == ["cat", "dog", *["nothing"] * 6]
    assert (found[0]["images"], found[0]["concepts"], found[0]["none"]) == ([], ["cat"], False)
    of = found[0]["steered"]
    assert (of["coefficient"], of["on"], of["hookpoint"]) == (w.LENGTH, "blank", w.AT)
    assert [(c["kind"], c.get("feature"), c["text"], c["same"]) for c in of["controls"]] == [
        ("nothing", None, "nothing", False),
        ("random", None, "nothing", False),
        ("other", 4, "nothing", False),
    ]
    # Half the features further on; what is no concept of the model is what it says anyway.
    assert [c["feature"] for i in range(8) for c in found[i]["steered"]["controls"][2:]] == [4, 5, 6, 7, 0, 1, 2, 3]
    assert [c["text"] for c in found[4]["steered"]["controls"]] == ["nothing", "nothing", "cat"]
    assert [c["same"] for c in found[4]["steered"]["controls"]] == [True, True, False]


def test_on_the_highest_images_it_is_added_at_their_heat_maps(llava: World, tmp_path: Path):
    steered(llava, tmp_path / "run", steer_on="top", features="0-2")

    found = lines(tmp_path / "run")
    assert [found[i]["text"] for i in range(3)] == ["cat", "dog", "nothing"]
    assert len(found[0]["images"]) == N_TOP
    assert [c["text"] for c in found[0]["steered"]["controls"]] == ["nothing"] * 3


def test_a_run_goes_on_and_a_second_one_asks_nothing(llava: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    steered(llava, tmp_path / "run", features="0-1")
    assert steered(llava, tmp_path / "run", features="0-3").before == 2
    first = lines(tmp_path / "run")

    def refuse(*_: object):
        raise AssertionError("nothing may be asked")

    monkeypatch.setattr(vision_language, "open_vision_language", refuse)
    steered(llava, tmp_path / "again", features="0-3")

    assert lines(tmp_path / "again") == first


@pytest.mark.parametrize("change", [{"coefficient": w.LENGTH / 2}, {"steer_on": "top"}, {"seed": 1}])
def test_what_decides_an_answer_is_part_of_its_key(
    change: dict, llava: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    steered(llava, tmp_path / "run", features="0")
    asked: list[str] = []
    opened = vision_language.open_vision_language
    monkeypatch.setattr(vision_language, "open_vision_language", lambda n, d: asked.append(n) or opened(n, d))

    steered(llava, tmp_path / "other", features="0", **change)

    assert len(asked) == 1


def test_other_weights_are_another_model(llava: World, tmp_path: Path):
    steered(llava, tmp_path / "run", features="0")
    name = json.loads((tmp_path / "run" / "run.json").read_text())["explain"]["model"]["model"]

    folder = Path(llava.model.removeprefix("hf:"))
    assert name == f"{llava.model}@{vision_language.digest_of(folder, 'cpu')[:12]}"
    with pytest.raises(SettingsError, match="its files are others now"):
        steered(llava, tmp_path / "run", features="0", model=f"{llava.model}@{'0' * 12}")


def test_it_is_scored_and_reported_as_any_other(llava: World, tmp_path: Path):
    steered(llava, tmp_path / "run", features="0,4")
    with pytest.raises(SettingsError, match=r"judge_model.*: name a judge; the run's explainer was steered"):
        score(str(tmp_path / "run"))
    with pytest.raises(SettingsError, match="of which a random encoder is no part"):
        score(str(tmp_path / "run"), judge_model="local", random_dump=str(llava.dump))

    report(str(tmp_path / "run"), out=tmp_path / "page.html")

    page = (tmp_path / "page.html").read_text()
    card = page.split('<article class="card" id="f0"')[1].split("</article>")[0]
    assert "its direction, 12.00 long, was added at blocks.0.resid, on a blank image" in card
    assert "<b>With the direction of feature 4:</b> <bdi>nothing</bdi>" in card
    summary = " ".join(page.split())
    # Feature 4 says nothing, as the model does anyway; its counterpart, feature 0, says cat.
    for control, share in (
        ("nothing added", "1 of 2"),
        ("a random direction", "1 of 2"),
        ("another feature", "0 of 2"),
    ):
        assert share in summary.split(f"Says the same with {control}")[1][:600]


def test_words_that_are_alike_to_the_embedder_are_the_same(
    llava: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    from autointerp.lmm import embedding

    vectors = {"cat": (1.0, 0.0), "nothing": (0.8, 0.6)}

    async def texts(self: object, asked: list[str]) -> np.ndarray:
        return np.array([vectors[t] for t in asked], np.float32)

    monkeypatch.setattr(embedding.GatewayEmbedder, "texts", texts)
    near = {"embedder": "e", "embedder_base_url": "http://localhost:1/v1", "features": "0"}
    monkeypatch.setenv("OPENAI_API_KEY", "k")

    for same, expected in ((0.85, False), (0.75, True)):
        steered(llava, tmp_path / str(same), same_meaning=same, **near)
        controls = lines(tmp_path / str(same))[0]["steered"]["controls"]
        assert [(c["likeness"], c["same"]) for c in controls] == [(0.8, expected)] * 3


def test_a_push_that_makes_the_model_go_on_for_ever_is_a_failure(
    llava: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("autointerp.explanation.steering.MOST_TOKENS", 1)

    steered(llava, tmp_path / "run", features="0")

    (failure,) = [json.loads(line) for line in (tmp_path / "run" / "failures.jsonl").read_text().splitlines()]
    assert (failure["kind"], failure["attempts"]) == ("malformed", 1)
    assert "went on beyond 1 tokens" in failure["message"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"model": "gpt-5-mini"}, r"steer.* with .*model.* gpt-5-mini: the addition is made inside the model"),
        ({"model": "local"}, "which no endpoint offers"),
        ({"candidates": 2}, "asked one question alone"),
        ({"hierarchy": True}, "hierarchy.*asked one question alone"),
        ({"batch": True}, "the model runs in this process"),
        ({"budget": "1usd"}, "costs nothing"),
        ({"steer_on": "top", "top": 0}, "shows no image"),
        ({"coefficient": float("nan")}, "finite"),
        ({"model": "hf:not/a/folder"}, "hf:not/a/folder"),
    ],
)
def test_what_cannot_be_steered_is_said_in_one_line(options: dict, said: str, llava: World, tmp_path: Path):
    with pytest.raises(SettingsError, match=said) as caught:
        steered(llava, tmp_path / "run", **options)

    assert "\n" not in str(caught.value)


class Written:
    """Stands for an open coder by what its two latents write."""

    name = "coder on model"

    def __init__(self, decoder: np.ndarray | None) -> None:
        self.encoding = SimpleNamespace(source=SimpleNamespace(decoder=decoder, hookpoint="a -> b", name="coder"))


def test_a_direction_is_what_a_latent_writes_at_unit_length_and_where_it_writes():
    found = CoderDirections(Written(np.array([[3.0, 4.0], [0.0, 0.0]], np.float32)))

    assert (found.hookpoint, found.of(0).tolist()) == ("b", pytest.approx([0.6, 0.8]))
    with pytest.raises(SettingsError, match="latent 1 of coder on model writes nothing"):
        found.of(1)
    with pytest.raises(SettingsError, match="--steer: coder has no decoder directions"):
        CoderDirections(Written(None))


def test_a_model_of_transformers_answers_nothing_else(llava: World, tmp_path: Path):
    with pytest.raises(SettingsError, match="asked by `explain steer` alone"):
        explain(str(llava.dump), run=str(tmp_path / "run"), model=llava.model)
    assert not ModelName(llava.model).has_server


def test_another_tower_than_the_explained_one_is_refused(llava: World, tmp_path: Path):
    other = w.llava()
    with torch.no_grad():
        next(w.block(other).parameters()).add_(1)
    name = f"hf:{w.save(other, tmp_path / 'other')}"

    with pytest.raises(SettingsError, match=r"is not the vision tower of .*: block 0 has other weights"):
        steered(llava, tmp_path / "run", model=name)


def test_a_block_that_the_language_model_does_not_read_is_refused(llava: World, tmp_path: Path):
    model = vision_language.open_vision_language(llava.model.removeprefix("hf:"), "cpu")
    model.model.config.vision_feature_layer = -3

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vision_language, "open_vision_language", lambda *_: model)
        with pytest.raises(SettingsError, match=r"added at blocks\.0\.resid reaches nothing that the language model"):
            steered(llava, tmp_path / "run")


def test_a_tiny_qwen_is_steered_by_a_backbone_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    made = w.qwen()
    w.trained(made, [asked(0)])
    processor = made.processor
    name = f"hf:{w.save(made, tmp_path / 'model')}"
    # Its own processor wants torchvision for films.
    monkeypatch.setattr(w.transformers.AutoProcessor, "from_pretrained", lambda *_, **__: processor)
    backbone = qwen_backbone(vision_language.open_vision_language(name.removeprefix("hf:"), "cpu"), 0, w.SIDE)
    coder = w.save_sae(tmp_path / "coder", backbone.name)
    folder = images(tmp_path / "images", 32)
    harvest(folder, tmp_path / "dump", str(coder), backbone=backbone, settings=FEW, store="bytes")
    world = World(name, tmp_path / "dump", {"backbone": backbone})

    steered(world, tmp_path / "run")

    found = lines(tmp_path / "run")
    assert [found[i]["text"] for i in range(8)] == ["cat", "dog", *["nothing"] * 6]
    assert [c["same"] for c in found[0]["steered"]["controls"]] == [False] * 3


def test_the_benchmark_prints_a_row_for_each_coefficient(
    llava: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    coder = str(llava.dump.parent / "coder")
    folder = str(llava.dump.parent / "images")
    more = ["--embedder", "none", "--device", "cpu", "--sample", "8", "--work", str(tmp_path / "work")]

    steering.main([folder, "--model", llava.model, "--coder", coder, "--coefficients", str(w.LENGTH), *more])

    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| blank")]
    # Of eight features two are concepts of the model; the counterparts of two others are.
    assert rows == ["| blank | 12 | 8 | 0 | 75 % | 75 % | 50 % |"]
