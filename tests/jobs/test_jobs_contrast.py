"""`explain --contrast-kind` from end to end on a planted network: what differs between two pictures tells the cause.

A red mark fires the latent. In nearly every picture with a red mark there is a blue one too, which has no part in it.
"""

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from PIL import Image
from standin.commands import run
from standin.painting import Painting, Payload, error
from standin.server import StandIn

from autointerp.commands.compare import compare
from autointerp.commands.estimate import estimate
from autointerp.commands.explain import explain
from autointerp.commands.harvest import Harvest
from autointerp.dump.pictures import decoded
from autointerp.dump.reader import open_dump
from autointerp.errors import EndpointError, SettingsError
from autointerp.jobs.harvest import run as harvest
from autointerp.jobs.vary import Varied
from autointerp.lmm.images.store import FOLDER, picture_file
from autointerp.runs.exchanges import Exchanges
from autointerp.runs.folder import open_run
from autointerp.schema import Explanation
from autointerp.settings import ExplainSettings, ModelName, ModelSettings, ScoreSettings
from autointerp.transcoder.settings import HarvestSettings, NetworkChoice
from benchmarks.truth.causal_world import ABOVE, CELLS, COLOURS, PIXELS, PlantedNetwork

NETWORK = NetworkChoice(coder="raw:marks", backbone=PlantedNetwork())
LOCAL, DISPLACED = 0, 1
"""Latents that fire at a red mark; and in a corner that shows nothing, where a blue mark is anywhere."""
BOTH, BLUE_ALONE, EMPTY = 60, 12, 128


def scene(rng: np.random.Generator, *colours: str) -> Image.Image:
    """A picture of grey cells with marks, no two in one row or beside each other."""
    cells = np.repeat(rng.uniform(0.3, 0.5, (CELLS, CELLS, 1)), 3, axis=2)
    for y, x, colour in zip(rng.permutation([1, 3, 5]), rng.integers(1, 6, 3), colours, strict=False):
        cells[y, x] = rng.uniform(0.7, 1.0) * np.array(COLOURS[colour])
    pixels = np.round(255 * cells).astype(np.uint8).repeat(PIXELS, axis=0).repeat(PIXELS, axis=1)
    return Image.fromarray(pixels, "RGB")


@pytest.fixture(scope="module")
def dump(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bystander")
    (folder / "images").mkdir()
    rng = np.random.default_rng(0)
    for i in range(BOTH + BLUE_ALONE + EMPTY):
        colours = ("blue", "red")[: (i < BOTH) + (i < BOTH + BLUE_ALONE)]
        scene(rng, *colours).save(folder / "images" / f"{i:03d}.png")
    kept = {"n_top": 24, "n_bands": 3, "n_per_band": 8, "n_reservoir": 60, "n_silent": 60, "n_guided": 0}
    settings = HarvestSettings.model_validate({"active_above": ABOVE} | kept)
    asked = Harvest(
        images=str(folder / "images"),
        dump=folder / "dump",
        coders=("raw:marks",),
        backbone=PlantedNetwork(),
        settings=settings,
        store="bytes",
    )
    harvest(asked)
    return folder / "dump"


@pytest.fixture
def seer() -> Iterator[StandIn]:
    with StandIn() as server:
        yield server


def settings(kind: str, **more: object) -> ExplainSettings:
    return ExplainSettings.model_validate({"contrast_kind": kind, "renderings": ("full",), "seed": 2} | more)


def explained(dump: Path, seer: StandIn, run: Path, feature: int, kind: str, **more: object) -> Explanation:
    model = ModelSettings(model=ModelName("seer"), base_url=seer.url)
    explain(
        str(dump), run=str(run), features=str(feature), model=model, settings=settings(kind, **more), network=NETWORK
    )
    (found,) = open_run(run).explanations()
    return found


def test_a_picture_without_the_cause_tells_it_from_a_bystander(dump: Path, seer: StandIn, tmp_path: Path):
    silent = explained(dump, seer, tmp_path / "silent", LOCAL, "silent")
    erased = explained(dump, seer, tmp_path / "erased", LOCAL, "erased")

    assert (silent.concepts, len(silent.contrast), silent.counterfactuals) == (("blue square",), 4, None)
    assert (erased.concepts, erased.contrast) == (("red square",), ())
    assert erased.counterfactuals is not None
    assert [pair.image for pair in erased.counterfactuals] == list(erased.images[:4])
    assert all((pair.how, pair.activation) == ("mean", 0.0) for pair in erased.counterfactuals)
    (kept,) = Exchanges(tmp_path / "erased").of(LOCAL)
    shown = [tile.rendering for part in kept.turns[-1].parts for tile in part.tiles]
    assert shown[:4] == ["full", "erased", "full", "erased"]
    # The stand-in saw the mark's place filled: four pictures with a blue mark and without a red one.
    assert [seen.whole for seen in seer.questions("explain")[1].silent] == [{("blue", "square")}] * 4


def test_where_no_erasure_silences_the_feature_ordinary_silent_images_are_shown(
    dump: Path, seer: StandIn, tmp_path: Path
):
    found = explained(dump, seer, tmp_path / "run", DISPLACED, "erased")

    assert (found.counterfactuals, len(found.contrast)) == ((), 4)
    assert "once more" not in seer.questions("explain")[0].text


def test_several_candidates_see_the_pairs_of_the_images_that_each_is_made_from(
    dump: Path, seer: StandIn, tmp_path: Path
):
    found = explained(dump, seer, tmp_path / "run", LOCAL, "erased", candidates={"n": 2, "subset": 8})

    whole, part = seer.questions("explain")
    assert found.counterfactuals is not None
    assert (len(found.counterfactuals), len(whole.silent)) == (4, 4)
    assert (len(part.active), part.text.count("Silent image")) == (8, len(part.silent))
    assert 0 < len(part.silent) <= 4


def test_without_a_coder_one_line_says_so_and_nothing_is_asked(dump: Path, seer: StandIn, tmp_path: Path):
    model = ModelSettings(model=ModelName("seer"), base_url=seer.url)

    with pytest.raises(SettingsError, match="contrast_kind='erased': asks the network that made the dump; name its"):
        explain(str(dump), run=str(tmp_path / "run"), model=model, settings=settings("erased"))

    assert seer.calls == []


def test_no_contrast_of_another_kind_is_refused(dump: Path, seer: StandIn, tmp_path: Path):
    with pytest.raises(SettingsError, match="contrast_kind='erased' with contrast=0: no contrast would be shown"):
        explained(dump, seer, tmp_path / "run", LOCAL, "erased", n_contrast=0)


def compared(dump: Path, seer: StandIn, run: Path, network: NetworkChoice) -> Varied:
    found = compare(
        str(dump),
        vary=("contrast-kind=silent,erased",),
        new_run=str(run),
        features=str(LOCAL),
        model="seer",
        base_url=seer.url,
        explain=settings("silent"),
        score=ScoreSettings(n_controls=0),
        network=network,
    )
    assert isinstance(found, Varied)
    return found


def test_compare_tells_which_contrast_explains_better(dump: Path, seer: StandIn, tmp_path: Path):
    found = compared(dump, seer, tmp_path / "runs", NETWORK)

    assert [run.name for run in found.runs] == ["base", "contrast-kind=erased"]
    assert found.comparisons is not None
    (erased,) = found.comparisons.others
    values = erased.scorers[0].contrast
    # The template that goes with it is no second choice.
    assert erased.varied == ("--contrast-kind: silent | erased",)
    # Every picture with a blue mark alone counts against the bystander.
    assert values.difference.value > 0.05


def test_compare_says_that_no_coder_is_named_before_it_asks_anything(dump: Path, seer: StandIn, tmp_path: Path):
    with pytest.raises(SettingsError, match="name its coder"):
        compared(dump, seer, tmp_path / "runs", NetworkChoice())

    assert seer.calls == []


def test_an_estimate_counts_three_fillings_of_each_shown_image(dump: Path):
    asked = {"models": ("gpt-4o",), "features": str(LOCAL), "scoring": False}

    found = estimate(str(dump), explain=settings("erased"), **asked)
    none = estimate(str(dump), explain=settings("silent"), **asked)

    # Sixteen active images, each with one region.
    assert (found.passes, none.passes) == (48, 0)
    assert (found.painted, found.painting_dollars) == (0, 0.0)


def test_an_estimate_says_what_painting_costs(dump: Path, tmp_path: Path):
    prices = tmp_path / "prices.toml"
    prices.write_text("[painter]\nimage = 0.02\n")
    asked = {"models": ("gpt-4o",), "features": str(LOCAL), "scoring": False}
    explaining = settings("edited", pictures={"model": "painter"})

    found = estimate(str(dump), explain=explaining, prices=prices, **asked)
    unknown = estimate(str(dump), explain=explaining, **asked)

    assert (found.passes, found.painted, found.painting_dollars) == (16, 16, pytest.approx(0.32))
    assert (unknown.painted, unknown.painting_dollars) == (16, None)


def filled(payload: Payload) -> Image.Image:
    """Paints what the mask leaves open grey, and shifts all colours a little, as image models do."""
    image, mask = payload["image"], payload["mask"]
    assert isinstance(image, Image.Image)
    assert isinstance(mask, Image.Image)
    out = Image.new("RGB", image.size, (100, 100, 100))
    out.paste(image.point(lambda v: max(0, v - 20)), (0, 0), mask.getchannel("A"))
    return out


@pytest.fixture
def painter() -> Iterator[Painting]:
    with Painting(filled) as server:
        yield server


def edited(dump: Path, seer: StandIn, painter: Painting, run: Path, feature: int = LOCAL) -> Explanation | None:
    pictures = {"model": "painter", "base_url": painter.url, "size": "256x160"}
    model = ModelSettings(model=ModelName("seer"), base_url=seer.url)
    asked = settings("edited", pictures=pictures)
    explain(str(dump), run=str(run), features=str(feature), model=model, settings=asked, network=NETWORK)
    return next(iter(open_run(run).explanations()), None)


def test_a_region_that_an_image_model_paints_anew_tells_the_cause_too(
    dump: Path, seer: StandIn, painter: Painting, tmp_path: Path
):
    said = edited(dump, seer, painter, tmp_path / "run")
    again = edited(dump, seer, painter, tmp_path / "again")

    assert said is not None
    assert again is not None
    assert said.counterfactuals == again.counterfactuals is not None
    assert (said.concepts, len(painter.asked), len(seer.questions("explain"))) == (("red square",), 4, 1)
    assert [(pair.how, pair.activation) for pair in said.counterfactuals] == [("edited", 0.0)] * 4
    pair = said.counterfactuals[0]
    assert pair.picture is not None
    file = picture_file(tmp_path / "run" / FOLDER, pair.picture)
    assert file is not None
    with Image.open(file) as shown, open_dump(dump) as opened:
        whole = np.asarray(decoded(opened, pair.image, None).image, int)
        off = np.abs(np.asarray(shown, int) - whole).max(axis=2)
        # All but the region is the image's own, though the model changed it everywhere.
        x0, y0, x1, y1 = pair.box
        assert shown.size == pair.size == (128, 128)
        assert off[y0:y1, x0:x1].max() > 100
        off[y0:y1, x0:x1] = 0
        assert off.max() == 0


def test_an_edit_that_leaves_the_feature_firing_is_no_contrast(
    dump: Path, seer: StandIn, painter: Painting, tmp_path: Path
):
    said = edited(dump, seer, painter, tmp_path / "run", DISPLACED)

    assert said is not None
    assert (said.counterfactuals, len(said.contrast)) == ((), 4)


def test_refused_edits_are_told_and_other_images_are_shown(
    dump: Path, seer: StandIn, painter: Painting, tmp_path: Path
):
    painter.fault = lambda payload, n: error(400, "No.", code="moderation_blocked") if n < 2 else None

    said = edited(dump, seer, painter, tmp_path / "run")

    assert said is not None
    assert said.counterfactuals is not None
    assert [pair.image for pair in said.counterfactuals] == list(said.images[2:6])
    kept = [json.loads(line) for line in (tmp_path / "run" / "failures.jsonl").read_text().splitlines()]
    assert [(f["stage"], f["kind"]) for f in kept] == [("explain:edit", "refused")] * 2


def test_an_edit_that_fails_for_now_leaves_the_feature_pending(
    dump: Path, seer: StandIn, painter: Painting, tmp_path: Path
):
    passing = [(429, "busy")]

    def busy(payload: Payload, number: int):
        return error(400, "Billing hard limit has been reached", code="billing_hard_limit_reached") if passing else None

    painter.fault = busy
    with suppress(EndpointError):
        edited(dump, seer, painter, tmp_path / "run")
    assert seer.questions("explain") == []
    passing.clear()

    said = edited(dump, seer, painter, tmp_path / "run")

    assert said is not None
    assert said.concepts == ("red square",)


@pytest.mark.parametrize(
    ("kind", "pictures", "problem"),
    [
        ("edited", None, "name who paints regions anew with"),
        ("erased", {"model": "painter"}, "nothing is painted; add"),
        ("edited", {"model": "diffusers:x"}, "paints no region anew"),
    ],
)
def test_who_paints_goes_with_the_contrast_that_is_painted(
    dump: Path, seer: StandIn, tmp_path: Path, kind: str, pictures: object, problem: str
):
    with pytest.raises(SettingsError, match=problem):
        explained(dump, seer, tmp_path / "run", LOCAL, kind, pictures=pictures)


@pytest.mark.parametrize(
    ("options", "made"), [(("--contrast-kind", "edited"), "painted"), (("--scorers", "generation"), "pictures")]
)
def test_an_estimate_takes_the_image_model_of_one_stage(dump: Path, options: tuple[str, ...], made: str):
    """The option names it for explaining and for scoring; the stage that has nothing made is none the worse."""
    said = run(
        "estimate", dump, "--features", str(LOCAL), "--models", "gpt-4o", "--image-model", "p", *options, "--json"
    )

    assert said.code == 0, said.err
    assert json.loads(said.out)[made]


def test_compare_asks_an_image_model_for_the_run_alone_that_shows_painted_images(
    dump: Path, seer: StandIn, painter: Painting, tmp_path: Path
):
    pictures = {"model": "painter", "base_url": painter.url, "size": "128x128"}
    found = compare(
        str(dump),
        vary=("contrast-kind=edited",),
        new_run=str(tmp_path / "runs"),
        features=str(LOCAL),
        model="seer",
        base_url=seer.url,
        explain=settings("silent", pictures=pictures),
        score=ScoreSettings(n_controls=0),
        network=NETWORK,
    )

    assert isinstance(found, Varied)
    base, edited = (open_run(run.run).info.explain.settings for run in found.runs)
    assert (base.pictures, len(painter.asked)) == (None, 4)
    assert edited.pictures is not None
    assert found.runs[1].calls.requests == found.runs[0].calls.requests + 16
