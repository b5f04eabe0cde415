"""`score --guide text` through the command: a judge that looks, an embedder that sees, texts with one kind too many."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from standin.commands import Result, run
from standin.embeddings import Embeddings
from standin.planted import FEATURES, Population, kinds, plant
from standin.records import f1, scores
from standin.server import StandIn

from autointerp.dump.reader import open_dump
from autointerp.dump.validate import validate
from autointerp.schema import Scored

TEXTS = {0: "red circle or green square", 1: "blue square or red triangle", 2: "green triangle or blue circle"}
"""Each names a kind that shares neither colour nor shape with what fires the feature, which look-alikes do not show."""


@pytest.fixture(scope="module")
def pooled(tmp_path_factory: pytest.TempPathFactory) -> Population:
    """With 200 of the 300 images as its pool."""
    return plant(tmp_path_factory.mktemp("pooled") / "dump", n_pool=200)


@pytest.fixture
def embedder() -> Iterator[Embeddings]:
    """That sees."""
    with Embeddings() as server:
        yield server


def scored(pooled: Population, seer: StandIn, folder: Path, *options: str) -> Result:
    file = folder / "said.csv"
    file.write_text("layer,unit,description,similarity\n" + "".join(f"eye,{f},{t},.3\n" for f, t in TEXTS.items()))
    judge = ("--judge-model", "seer", "--base-url", seer.url, "--cache", folder / "cache")
    images = ("--active", "6", "--silent", "12", "--bootstrap", "200", "--controls", "0", "--scorers", "detection")
    given = ("--explanations", file, "--run", folder / "run", *judge, *images)
    return run("score", pooled.folder, *given, *options)


def by_text(embedder: Embeddings) -> tuple[str, ...]:
    return "--guide", "text", "--embedder", "kinds", "--embedder-base-url", embedder.url


def true_f1(pooled: Population, feature: int) -> float:
    fits = [bool(s.pairs & kinds(TEXTS[feature])) for s in pooled.scenes]
    fires = [bool(s.pairs & FEATURES[feature].pairs) for s in pooled.scenes]
    both = sum(a and b for a, b in zip(fits, fires, strict=True))
    return 2 * both / (sum(fits) + sum(fires))


def test_a_kind_too_many_is_found_by_what_the_text_names(
    pooled: Population, seer: StandIn, embedder: Embeddings, tmp_path: Path
):
    (tmp_path / "plain").mkdir()
    (tmp_path / "text").mkdir()
    plain = scored(pooled, seer, tmp_path / "plain")
    told = scored(pooled, seer, tmp_path / "text", *by_text(embedder))

    assert (plain.code, told.code) == (0, 0), told.err
    guided, unguided = f1(tmp_path / "text" / "run"), f1(tmp_path / "plain" / "run")
    off = {f: abs(guided[f] - true_f1(pooled, f)) for f in TEXTS}
    assert max(off.values()) < 0.2, (guided, off)
    assert sum(off.values()) < 0.6 * sum(abs(unguided[f] - true_f1(pooled, f)) for f in TEXTS)
    for record in scores(tmp_path / "text" / "run", "detection").values():
        assert isinstance(record, Scored)
        assert sum(not v.active for v in record.verdicts) == 12
        assert {v.likeness for v in record.verdicts if not v.active} == {0, 1, 2}
        assert sum(v.weight for v in record.verdicts) == pytest.approx(300)


def test_a_run_goes_on_with_its_guide_and_another_one_stands_beside_it(
    pooled: Population, seer: StandIn, embedder: Embeddings, tmp_path: Path
):
    scored(pooled, seer, tmp_path, *by_text(embedder))
    before = (tmp_path / "run" / "scores.jsonl").read_bytes()
    again = scored(pooled, seer, tmp_path, *by_text(embedder))
    after = (tmp_path / "run" / "scores.jsonl").read_bytes()
    other = scored(pooled, seer, tmp_path)

    assert (again.code, after, other.code) == (0, before, 0)
    both = (tmp_path / "run" / "scores.jsonl").read_bytes()
    assert both.startswith(before)
    assert both.count(b"\n") == 2 * before.count(b"\n")
    told = json.loads((tmp_path / "run" / "run.json").read_text())
    (beside,) = told["more_scores"].values()
    assert (told["score"]["settings"]["guide"], beside["settings"].get("guide")) != ("text", "text")
    assert told["score"]["settings"]["guide"] == "text"


def test_without_a_pool_the_run_says_so(planted: Population, seer: StandIn, embedder: Embeddings, tmp_path: Path):
    result = scored(planted, seer, tmp_path, *by_text(embedder))

    assert result.code == 0
    assert "the dump has no pool of uniformly drawn images" in result.out + result.err


def test_a_guide_beside_a_screening_is_refused(pooled: Population, seer: StandIn, tmp_path: Path):
    result = scored(pooled, seer, tmp_path, "--guide", "text", "--screen", "50")

    assert result.code == 2
    assert "--guide text with --screen: a screening chooses its images itself; give one of them" in result.err


def test_a_dump_with_a_pool_passes_its_check(pooled: Population):
    with open_dump(pooled.folder) as dump:
        assert [p for p in validate(dump) if p.severity == "error"] == []
        assert dump.pool is not None
        assert len(dump.pool.images) == 200


def test_an_undetermined_score_is_told_what_would_narrow_it(pooled: Population, seer: StandIn, tmp_path: Path):
    for name in ("few", "all"):
        (tmp_path / name).mkdir()
    few = scored(pooled, seer, tmp_path / "few", "--silent", "6")
    every = scored(pooled, seer, tmp_path / "all", "--silent", "20", "--active", "5")

    # The dump has 12 silent rows and 8 look-alikes of each feature.
    assert "judge more images with --interval, --silent or --screen" in few.err + few.out
    assert (
        "their silent rows are all judged: take more from the dump's pool, with --guide text" in every.err + every.out
    )
