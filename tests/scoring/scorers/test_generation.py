"""What `generation` makes of a played image model and a played network: slow twins, and by hand."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from trial import ByImage, make_case

from autointerp.images.alteration import Alteration
from autointerp.lmm.cache import Cache
from autointerp.lmm.images.painter import Painted
from autointerp.lmm.images.store import PictureStore
from autointerp.lmm.outcomes import Failure
from autointerp.prompts import load_prompt
from autointerp.runs.info import ControlTexts
from autointerp.schema import Exemplar, Feature, FeatureRow, Scored, Unscored, Usage
from autointerp.scoring.case import Case, Outcome
from autointerp.scoring.gallery import GENERIC, STYLES, Gallery
from autointerp.scoring.scorers.generation import GENERATION
from autointerp.settings import PictureSettings

FEATURE = 3
Levels = Mapping[int, float]


@dataclass(frozen=True)
class Fires:
    """What fires on a picture, by latent."""

    levels: Levels

    @property
    def latents(self):
        return np.array(sorted(self.levels), np.int32)

    @property
    def values(self):
        return np.array([self.levels[latent] for latent in sorted(self.levels)], np.float32)

    def of(self, latent: int) -> float:
        return self.levels.get(latent, 0.0)


class Played:
    """An image model that makes a file a prompt and a network that fires as the test says of each prompt."""

    name = "played"

    def __init__(self, folder: Path, fires: Mapping[str, Levels], refused: Sequence[str] = ()) -> None:
        self.store = PictureStore(folder)
        self.fires, self.refused = fires, refused
        self.asked: list[str] = []
        self.of: dict[str, str] = {}

    async def picture(self, prompt: str, seed: int) -> Painted | Failure:
        self.asked.append(prompt)
        if any(word in prompt for word in self.refused):
            return Failure("refused", "no", 1)
        sha256 = self.store.put(f"{prompt} {seed}".encode(), "PNG")
        self.of[sha256] = prompt
        return Painted(sha256, (8, 8), Usage(calls=1, dollars=0.5))

    def seen(self, size: tuple[int, int]) -> tuple[float, float, float, float]:
        return 0.0, 0.0, float(size[0]), float(size[1])

    async def activations(self, pictures: Sequence[Alteration], feature: int) -> np.ndarray:
        raise NotImplementedError

    async def peaks(self, pictures: Sequence[Alteration]) -> list[Fires]:
        prompts = [self.of[what.source.sha256] for what in pictures]
        return [Fires(next((f for text, f in self.fires.items() if text in p), {})) for p in prompts]

    async def heats(self, pictures: Sequence[Alteration], feature: int) -> list[bytes | None]:
        return [self.of[what.source.sha256].encode()[:4] for what in pictures]


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[Cache]:
    """Of one test."""
    with Cache(tmp_path / "answers") as cache:
        yield cache


def subject() -> Feature:
    """Fires at 2.0 above 1.0 on 10 of 1000 images, all held; 10 silent ones stand for the 990 others."""
    active = [Exemplar(i, 2.0, "top", 1.0, None, None) for i in range(10)]
    silent = [Exemplar(i, 0.0, "silent", 0.01, None, None) for i in range(100, 110)]
    return Feature(FeatureRow(FEATURE, 8, 10, 4.0, None, None), (*active, *silent), active_above=1.0)


def case_with(
    cache: Cache, played: Played, texts: Sequence[str] = (), neighbour: str | None = None, n: int = 8
) -> Case:
    settings = PictureSettings(model="played", n=n)
    case = make_case(cache, ByImage(lambda _: "no"), about=subject(), settings={"pictures": settings})
    said = case.explanation.model_copy(update={"text": "a red car", "images": (), "contrast": ()})
    return replace(
        case,
        explanation=said,
        encoder=played,
        gallery=Gallery(played, played, load_prompt("picture", None), settings, seed=0),
        control_texts=ControlTexts(texts=tuple(texts), neighbours={} if neighbour is None else {FEATURE: neighbour}),
        largest=np.full(10, 4.0),
    )


def outcome(case: Case) -> Outcome:
    return asyncio.run(GENERATION(case))


def scored(case: Case) -> Scored:
    found = outcome(case)
    assert isinstance(found, Scored), found
    return found


def test_the_value_is_the_weighted_share_of_the_population_below_the_pictures(cache: Cache, tmp_path: Path):
    """Half of the pictures fire at 1.5: above the 990 silent images, below the 10; the others tie with the silent."""
    played = Played(tmp_path, {"photograph in": {FEATURE: 1.5}, "snapshot": {FEATURE: 1.5}})

    found = scored(case_with(cache, played))

    assert found.value == pytest.approx((4 * 0.99 + 4 * 0.495) / 8)
    assert (found.n, found.details["fires"]) == (8, 0.5)
    assert found.low < found.value < found.high
    # As published each row counts the same: ten of twenty rows are below, and the others tie half with those.
    assert found.details["cosy_auc"] == pytest.approx((4 * 0.5 + 4 * 0.25) / 8)
    assert found.usage.dollars == pytest.approx(4.0)
    # Only what fires has a heat map.
    assert {(one.style, one.fires, one.heat is not None) for one in found.generated} == {
        ("photograph", True, True),
        ("snapshot", True, True),
        ("plain", False, False),
        ("drawing", False, False),
    }


def test_styles_take_turns_and_each_picture_has_a_seed_of_its_own(cache: Cache, tmp_path: Path):
    found = scored(case_with(cache, Played(tmp_path, {})))

    assert [one.style for one in found.generated] == [*STYLES, *STYLES]
    assert len({one.picture for one in found.generated}) == 8
    assert all(one.prompt.startswith("a red car.\n") for one in found.generated)


def test_other_texts_the_neighbour_and_a_text_that_says_nothing_are_held_against_it(cache: Cache, tmp_path: Path):
    """The own text fires at 2; of four others one fires at 3; the neighbour fires as much as the own one."""
    fires = {"red car": {FEATURE: 2.0}, "a dog": {FEATURE: 3.0}, "a van": {FEATURE: 2.0}}

    found = scored(case_with(cache, Played(tmp_path, fires), ["a cat", "a dog", "a tree", "A red car"], "a van"))

    assert found.details["selectivity_other"] == pytest.approx(2 / 3)
    assert found.details["selectivity_neighbour"] == 0.5
    assert found.details["selectivity_photograph"] == 1.0
    # Of three other texts (the own one does not count) one does as well or better.
    assert found.details["p_other"] == pytest.approx(2 / 4)
    assert {name: control.n for name, control in found.controls.items()} == {
        "other": 24,
        "neighbour": 8,
        "photograph": 8,
    }
    assert found.controls["photograph"].value == pytest.approx(0.495)


def test_texts_that_serve_many_features_are_made_once(cache: Cache, tmp_path: Path):
    played = Played(tmp_path, {})
    case = case_with(cache, played, ["a cat"])

    async def three() -> None:
        await asyncio.gather(*(GENERATION(case) for _ in range(3)))

    asyncio.run(three())

    assert sum(prompt.startswith("a cat.") for prompt in played.asked) == 8
    assert sum(prompt.startswith(f"{GENERIC}.") for prompt in played.asked) == 8
    assert sum(prompt.startswith("a red car.") for prompt in played.asked) == 24


def test_latents_that_fire_more_on_these_pictures_by_their_own_scale_are_named(cache: Cache, tmp_path: Path):
    """5 gains more than the feature itself; 6 fires on every picture, and 7 less than the feature."""
    fires = {"red car": {FEATURE: 2.0, 5: 3.0, 6: 4.0, 7: 1.0}, "": {6: 4.0}}

    found = scored(case_with(cache, Played(tmp_path, fires), ["a cat"]))

    assert (found.details["n_stronger"], found.details["stronger"]) == (1, "5")


def test_refused_pictures_are_left_out_and_too_few_leave_the_feature_unscored(cache: Cache, tmp_path: Path):
    played = Played(tmp_path, {"red car": {FEATURE: 2.0}}, refused=["drawing"])
    case = case_with(cache, played)

    found = scored(case)
    none = outcome(case_with(cache, Played(tmp_path, {}, refused=["red car"])))

    assert (found.n, found.details["missing"], len(case.gaps)) == (6, 2, 2)
    assert isinstance(none, Unscored)
    assert none.reason == "0 pictures of the explanation could be made, 2 are needed (8 refused)"


def test_a_failure_that_may_pass_leaves_the_feature_pending(cache: Cache, tmp_path: Path):
    played = Played(tmp_path, {})

    async def busy(prompt: str, seed: int) -> Painted | Failure:
        return Failure("rate_limited", "later", 3)

    played.picture = busy  # pyright: ignore[reportAttributeAccessIssue]

    assert outcome(case_with(cache, played)) == Failure("rate_limited", "later", 3)


def test_parts_of_an_explanation_take_turns_in_every_style(tmp_path: Path):
    played = Played(tmp_path, {})
    gallery = Gallery(played, played, load_prompt("picture", None), PictureSettings(model="m"), seed=0)

    asyncio.run(gallery.of(("a cat", "a dog")))

    assert [prompt[:5] for prompt in played.asked] == ["a cat", "a dog"] * 2 + ["a dog", "a cat"] * 2


def test_seeds_and_so_pictures_follow_from_the_seed_of_the_run(tmp_path: Path):
    def made(seed: int) -> list[str]:
        played = Played(tmp_path, {})
        gallery = Gallery(played, played, load_prompt("picture", None), PictureSettings(model="m"), seed=seed)
        asyncio.run(gallery.of(("a cat",)))
        return sorted(played.of)

    assert made(0) == made(0)
    assert not set(made(0)) & set(made(1))
