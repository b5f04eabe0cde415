"""The laptop-scale recipe: what is counted, what the best latent is, and that the page says what the figures say."""

import numpy as np

from benchmarks.paper.figures import Figures
from benchmarks.paper.population import DISTORTED, Image
from benchmarks.paper.scenes import KINDS
from benchmarks.paper.table import JSON, PAGE, tables
from benchmarks.paper.truths import best_latents, relevance


def image(i: int, kind: str, *, face: bool = False) -> Image:
    return Image(f"{i}.jpg", kind, "1" if kind else "0", f"thing-{i}", "" if face else "2", "", "", "", "")


def test_a_latent_is_relevant_from_95_per_cent_of_carriers_on():
    rows = [*(image(i, "floating") for i in range(20)), *(image(i, "") for i in range(20, 60))]
    peaks = np.zeros((60, 3), np.float32)
    peaks[:20, 0] = 2
    peaks[20, 0] = 2
    peaks[:10, 1] = 2
    peaks[20:30, 1] = 2
    peaks[:20, 2] = 1

    found = relevance(peaks, 1.5, rows, seed=0)

    # The first fires on 20 carriers and one other (95.2 %), the second on ten of each, the third on nothing.
    assert (found.n_firing, found.n_relevant) == (2, 1)
    assert found.shuffled < 0.01


def test_images_without_a_label_count_neither_way():
    rows = [image(0, "floating"), image(1, "floating"), image(2, "")._replace(label="")]
    peaks = np.ones((3, 1), np.float32)

    assert relevance(peaks, 0.5, rows, seed=0).n_relevant == 1
    assert relevance(peaks, 0.5, rows, seed=0, least=3).n_firing == 0


def test_the_best_latent_is_chosen_on_one_half_and_measured_on_the_other():
    kinds = [*KINDS, ""] * 60
    rows = [image(i, kind) for i, kind in enumerate(kinds)]
    faces = [image(1000 + i, DISTORTED if i % 2 else "", face=True) for i in range(80)]
    chance = np.random.default_rng(0)
    peaks = chance.random((len(rows) + len(faces), 40), dtype=np.float32)
    peaks[[i for i, kind in enumerate(kinds) if kind == "no shadow"], 7] += 1

    found = {f.kind: f for f in best_latents(peaks, [*rows, *faces], seed=0)}

    assert found["no shadow"].latent == 7
    assert found["no shadow"].auroc.value == 1
    assert found["no shadow"].n_with + found["no shadow"].n_without < 80
    # The best of forty columns of noise is far above one half where it was chosen, and not where it is measured.
    assert found["floating"].auroc.low < 0.5 < found["floating"].auroc.high
    assert set(found) == {*KINDS, DISTORTED}


def test_the_page_holds_the_tables_of_the_committed_figures():
    page = PAGE.read_text()

    for name, text in tables(Figures.model_validate_json(JSON.read_text())).items():
        assert f"<!-- paper: {name} -->\n\n{text}\n\n<!-- /paper: {name} -->" in page
