"""The laptop-scale recipe: what is counted, what the best latent is, who judges, and what the page says."""

import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from autointerp.statistics.rates import Interval
from autointerp.transcoder.coder import RawUnits
from autointerp.transcoder.files import write_table
from autointerp.transcoder.store import Activations, StoreWriter
from benchmarks.paper.claims import over_seeds, verdict
from benchmarks.paper.figures import Figures
from benchmarks.paper.judged import explain, facts_of, judge
from benchmarks.paper.networks import stored_peaks
from benchmarks.paper.population import DISTORTED, LEARN, UNSEEN, Image
from benchmarks.paper.scenes import KINDS
from benchmarks.paper.table import JSON, PAGE, tables
from benchmarks.paper.tasks import Task, carry_out
from benchmarks.paper.truths import best_latents, means_of_bands, relevance


def image(i: int, kind: str, part: str, *, face: bool = False) -> Image:
    facts = (*((kind,) if kind else ()), "even" if i % 2 == 0 else "odd", "a picture")
    return Image(f"{i}.jpg", kind, "1" if kind else "0", f"thing-{i}", part, 0 if face else 2, facts)


def images(each: int) -> list[Image]:
    """Of each kind and of sound scenes so many, half of them of unseen things."""
    kinds = [kind for kind in (*KINDS, "") for _ in range(each)]
    rows = [image(i, kind, (LEARN, UNSEEN)[i // 2 % 2]) for i, kind in enumerate(kinds)]
    faces = [(DISTORTED, LEARN), ("", LEARN), (DISTORTED, UNSEEN), ("", UNSEEN)] * each
    return rows + [image(1000 + i, kind, part, face=True) for i, (kind, part) in enumerate(faces)]


def test_a_latent_is_relevant_from_95_per_cent_of_carriers_on():
    wrong = np.arange(60) < 20
    fires = np.zeros((60, 3), np.bool_)
    fires[:21, 0] = True
    fires[:10, 1] = True
    fires[20:30, 1] = True

    found = relevance(fires, wrong, seed=0)

    # The first fires on 20 carriers and one other (95.2 %), the second on ten of each, the third on nothing.
    assert (found.n_firing, found.n_relevant) == (2, 1)
    assert found.shuffled < 0.01
    assert relevance(fires, wrong, seed=0, least=21).n_firing == 1


def test_the_best_latent_is_chosen_on_known_things_and_measured_on_unseen_ones():
    rows = images(40)
    peaks = np.random.default_rng(0).random((len(rows), 40), dtype=np.float32)
    shadowless = np.array([r.kind == "no shadow" for r in rows])
    hidden = np.array([r.part == UNSEEN for r in rows])
    peaks[shadowless, 30] += 1
    # A latent that knows the images of known things alone must not shine on the others.
    peaks[shadowless & ~hidden, 3] += 1

    found = {(b.kind, b.width): b for b in best_latents(peaks, rows, (10, 40), seed=0)}

    assert found["no shadow", 10].latent == 3
    assert found["no shadow", 10].auroc.low < 0.5 < found["no shadow", 10].auroc.high
    assert found["no shadow", 40].latent in (3, 30)
    assert (found["no shadow", 40].n_with, found["no shadow", 40].n_without) == (20, 20)
    assert {kind for kind, _ in found} == {*KINDS, DISTORTED}


def test_the_judge_of_planted_truth_finds_what_was_planted():
    rows = images(60)
    hidden = np.array([r.part == UNSEEN for r in rows])
    floating = np.array([r.kind == "floating" for r in rows])
    even = np.array(["even" in r.facts for r in rows])
    peaks = np.stack([floating, even, np.zeros(len(rows))], axis=1).astype(np.float32)
    facts = facts_of(rows)

    said = judge(peaks, 0.5, facts, hidden, seed=0)

    # The third latent never fires. Of the first, the other text is its own or that of the second.
    assert [facts.names[i] for i in said.facts] == ["floating", "even"]
    assert said.accuracy.tolist() == [1, 1]
    assert said.f1.tolist() == [1, 1]
    assert said.names_error.tolist() == [True, False]
    assert said.generality[1] == pytest.approx(even[hidden].mean())


def test_the_explainer_names_what_sets_strong_images_apart_from_silent_ones():
    true = np.zeros((40, 3), np.bool_)
    true[:, 0] = True
    true[:16, 1] = True
    true[:16, 2] = True
    true[30:, 2] = True
    peaks = np.arange(40, 0, -1).astype(np.float32)

    named = explain(peaks, peaks > 24, true, np.random.default_rng(0))

    # The first is true of all images, the third of some silent ones too.
    assert named == 1


def test_bands_are_what_each_prefix_adds():
    assert means_of_bands(np.array([1.0, 3.0, 8.0]), np.array([0, 1, 6]), (2, 4, 8)) == (2.0, None, 8.0)


def test_intervals_over_three_seeds_are_students():
    # The 97.5 % quantile of t with two degrees of freedom is 4.303; the standard deviation .1.
    found = over_seeds([0.1, 0.2, 0.3])

    assert found is not None
    assert found.value == pytest.approx(0.2)
    assert found.high - 0.2 == pytest.approx(4.303 * 0.1 / 3**0.5, abs=2e-4)
    assert over_seeds([0.1, None, 0.3]) is None


@pytest.mark.parametrize(
    ("lows", "expected"),
    [([0.1, 0.2], "held"), ([0.1, -0.1], "cannot be told"), ([0.1, -0.9], "not held")],
)
def test_a_claim_holds_where_all_intervals_lie_above_0_and_not_where_one_lies_below(lows: list[float], expected: str):
    assert verdict([Interval(low + 0.25, low, low + 0.5) for low in lows]) == expected
    assert verdict([Interval(0.2, 0.1, 0.3), None]) == "cannot be told"


def test_peaks_of_a_store_are_the_maxima_over_each_image(tmp_path: Path):
    about = Activations(backbone="b", reads="r", writes="w", d_in=5, d_out=2, dtype="float32")
    inputs = torch.randn(24, 5, generator=torch.Generator().manual_seed(0))
    with StoreWriter(tmp_path, about, shard_tokens=8) as writer:
        writer.add(inputs, inputs[:, :2], torch.arange(6).repeat_interleave(4), torch.zeros(24))
        write_table(
            tmp_path / "images.csv", ("image", "path", "sha256", "group"), [(i, f"{i}.png", "", 0) for i in range(6)]
        )

    names, peaks = stored_peaks(tmp_path, RawUnits(5, 5))

    assert names.tolist() == [f"{i}.png" for i in range(6)]
    for i in range(6):
        for unit in range(5):
            expected = max(0.0, *(float(x) for x in inputs[4 * i : 4 * i + 4, unit]))
            assert peaks[i, unit] == pytest.approx(expected)


def test_tasks_follow_what_they_need_and_are_done_once(tmp_path: Path):
    first, second = tmp_path / "first", tmp_path / "second"
    tasks = [
        Task("copy", ("make",), partial(shutil.copy, first, second)),
        Task("make", (), partial(first.write_text, "made")),
    ]

    carry_out(tasks, tmp_path / "done")
    first.write_text("otherwise")
    took = carry_out(tasks, tmp_path / "done")

    assert second.read_text() == "made"
    assert first.read_text() == "otherwise"
    assert set(took) == {"make", "copy"}


def test_the_page_holds_the_tables_of_the_committed_figures():
    page = PAGE.read_text()

    for name, text in tables(Figures.model_validate_json(JSON.read_text())).items():
        assert f"<!-- paper: {name} -->\n\n{text}\n\n<!-- /paper: {name} -->" in page
