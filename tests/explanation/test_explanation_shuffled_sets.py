"""The second pass asked of images that share nothing: which images, what is recorded, what a failure leaves."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import numpy as np
import pytest
from builders import exemplars, feature, image_rows
from scripted import NoImages

from autointerp.dump.format import DumpInfo
from autointerp.dump.reader import Dump, open_dump
from autointerp.dump.writer import DumpWriter
from autointerp.evidence import lowest_hashed
from autointerp.explanation.explainer import Explainer
from autointerp.explanation.shuffled_sets import Shuffler
from autointerp.lmm.budget import Ledger
from autointerp.lmm.cache import Cache
from autointerp.lmm.gateway import Gateway
from autointerp.lmm.image_tokens import TokenEstimate
from autointerp.lmm.limits import Limiter
from autointerp.lmm.outcomes import CallError
from autointerp.lmm.request import Completion, Images, Request
from autointerp.prompts import load_prompt
from autointerp.schema import Exemplar, Explanation, FailureRecord, FeatureRow
from autointerp.settings import ExplainSettings, ModelSettings

DOMAIN = "physical-plausibility"
SETTINGS = ExplainSettings(n_top=4, n_bands=2, renderings=("crop",), domain=DOMAIN)


class Finds:
    """Explains all alike, and finds an error where the first image shown is one of those named."""

    def __init__(self, odd: set[int], failing: frozenset[int] = frozenset()) -> None:
        self.odd = odd
        self.failing = failing
        self.asked: list[tuple[str, tuple[int, ...]]] = []

    async def complete(self, request: Request, images: Images, slot: AbstractAsyncContextManager[object]) -> Completion:
        shown = tuple(p.tiles[0].image for p in request.pictures)
        self.asked.append((request.task, shown))
        if request.task == "domain" and self.failing & set(shown):
            raise CallError("refused", "no", again=False)
        seen = [i for i, image in enumerate(shown, 1) if image in self.odd]
        said: dict[str, object] = {"candidates": [], "verdict": "one", "explanation": "red", "concepts": ["red"]}
        if request.task == "domain":
            said = {"found": bool(seen), "error": "six fingers" if seen else "", "category": "x", "images": seen}
        async with slot:
            return Completion(json.dumps(said), 10, 5, 0, "stop", None, "m")


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[Cache]:
    """Of one test."""
    with Cache(tmp_path / "answers") as cache:
        yield cache


OWN = feature(exemplars("top", range(8)), number=0)
OTHERS = exemplars("top", (100, 200, 300, 400))


def explain(cache: Cache, client: Finds, shuffled: tuple[Exemplar, ...] = OTHERS) -> Explanation | FailureRecord:
    gateway = Gateway(
        client,
        cache,
        Limiter(4),
        Ledger(None, {"m": None}),
        NoImages(),
        attempts=1,
        estimate=lambda request: TokenEstimate(1, 1),
    )
    templates = load_prompt("explain", None), load_prompt(f"domains/{DOMAIN}", None)
    explainer = Explainer(ModelSettings(model="m"), SETTINGS, *templates, grid=None)
    rows = image_rows([*range(8), 100, 200, 300, 400])
    return asyncio.run(explainer.explain(OWN, rows, gateway, shuffled))


def test_the_same_question_is_asked_of_the_shuffled_set(cache: Cache):
    client = Finds({200, 400})

    found = explain(cache, client)

    assert isinstance(found, Explanation)
    assert [task for task, _ in client.asked] == ["explain", "domain", "domain"]
    assert client.asked[2][1] == (100, 200, 300, 400)
    assert found.domain is not None
    assert found.shuffled is not None
    assert (found.domain.found, found.shuffled.found) == (False, True)
    assert (found.shuffled.domain, found.shuffled.text, found.shuffled.images) == (DOMAIN, "six fingers", (200, 400))
    assert found.usage.calls == 3


def test_without_a_shuffled_set_nothing_more_is_asked(cache: Cache):
    client = Finds(set())

    found = explain(cache, client, ())

    assert isinstance(found, Explanation)
    assert (found.shuffled, len(client.asked)) == (None, 2)


def test_a_failure_on_the_shuffled_set_leaves_the_feature_pending_and_its_answers_kept(cache: Cache):
    failed = explain(cache, Finds(set(), failing=frozenset({300})))
    again = Finds(set())
    found = explain(cache, again)

    assert isinstance(failed, FailureRecord)
    assert (failed.stage, failed.kind) == ("explain:shuffled", "refused")
    assert isinstance(found, Explanation)
    assert [shown for _, shown in again.asked] == [(100, 200, 300, 400)]


def lending(folder: Path, n_features: int, *, twins: bool = False) -> Dump:
    """Feature f fires on images 10f … 10f+9, six of the top and four of a band."""
    info = DumpInfo(
        name="lending",
        created="2026-01-31T12:00:00+00:00",
        created_by="a test",
        model="vit",
        hookpoint="layer.6",
        n_latents=64,
        widths=(64,),
        n_images=1000,
        active_above=0.5,
    )
    with DumpWriter(folder, info) as writer:
        for i in range(10 * n_features):
            writer.add_image(
                i, path=f"{i}.png", size=(16, 12), sha256=f"{i:064x}", group="twins" if twins and i >= 10 else None
            )
        for f in range(n_features):
            rows = (*exemplars("top", range(10 * f, 10 * f + 6)), *exemplars("q1", range(10 * f + 6, 10 * f + 10)))
            writer.add_feature(FeatureRow(f, 64, 10, 2.0, None, None), rows)
    return open_dump(folder)


def everything(dump: Dump, settings: ExplainSettings = SETTINGS) -> Shuffler:
    return Shuffler(dump, dump.feature_ids, settings)


def test_each_image_is_of_another_feature_and_the_strata_are_those_shown(tmp_path: Path):
    dump = lending(tmp_path / "dump", 20)

    drawn = everything(dump).draw(dump.feature(3))

    lenders = [e.image // 10 for e in drawn]
    assert len(drawn) == len(set(lenders)) == 5  # 3 of the six at the top (half of them) and 2 of the band
    assert 3 not in lenders
    assert sorted(e.stratum for e in drawn) == ["q1", "q1", "top", "top", "top"]


def test_the_draw_is_the_same_each_time_and_another_for_another_seed(tmp_path: Path):
    dump = lending(tmp_path / "dump", 20)
    draws = [everything(dump, SETTINGS.model_copy(update={"seed": s})).draw(dump.feature(3)) for s in (0, 0, 1)]

    assert draws[0] == draws[1]
    assert draws[0] != draws[2]


def test_few_features_lend_an_image_each_and_a_lone_one_has_no_control(tmp_path: Path):
    three, one = lending(tmp_path / "three", 3), lending(tmp_path / "one", 1)

    assert sorted(e.image // 10 for e in everything(three).draw(three.feature(0))) == [1, 2]
    assert everything(one).draw(one.feature(0)) == ()


def test_near_duplicates_are_not_drawn_together(tmp_path: Path):
    dump = lending(tmp_path / "dump", 9, twins=True)

    assert len(everything(dump).draw(dump.feature(0))) == 1
    # All that others fire on is a twin of its own images, but for those of feature 0.
    assert [e.image // 10 for e in everything(dump).draw(dump.feature(5))] == [0]


def test_as_many_features_are_controlled_as_the_settings_say(tmp_path: Path):
    dump = lending(tmp_path / "dump", 20)
    five = SETTINGS.model_copy(update={"n_shuffled": 5})

    controlled = [f for f in range(20) if everything(dump, five).wants(f)]

    assert len(controlled) == 5
    assert controlled != list(range(5))
    assert not any(everything(dump, five.model_copy(update={"domain": None})).wants(f) for f in range(20))
    some = Shuffler(dump, np.array(controlled[:3]), five)
    assert [f for f in range(20) if some.wants(f)] == controlled[:3]


def test_the_lowest_hashes_are_found_lot_by_lot(monkeypatch: pytest.MonkeyPatch):
    features = np.arange(0, 500, 3)
    whole = lowest_hashed(features, 20, 7)

    monkeypatch.setattr("autointerp.evidence.LOT", 9)

    assert lowest_hashed(features, 20, 7).tolist() == whole.tolist()
    assert lowest_hashed(features, 0, 7).tolist() == []
    assert lowest_hashed(features, 900, 7).tolist() == features.tolist()


def test_the_controlled_features_hardly_change_when_more_come_in():
    few, many = np.arange(1000), np.arange(1100)

    for seed in (0, 7, 2**40):
        before, after = lowest_hashed(few, 20, seed), lowest_hashed(many, 20, seed)
        assert len(before) == len(after) == 20
        assert len(np.intersect1d(before, after)) >= 14
        assert set(after) - set(before) <= set(range(1000, 1100))
