"""The page on IPS-GRPO shows what table.json says, and each picture it shows is drawn from it."""

import re

from benchmarks.ips.plots import DRAWINGS, picture
from benchmarks.ips.table import PAGE, TABLES, read, shown, tables
from benchmarks.ips.threshold import SAMPLED


def test_the_page_holds_the_tables_of_the_committed_figures():
    page = PAGE.read_text()

    for name, text in tables(read()).items():
        assert f"<!-- ips: {name} -->\n\n{text}\n\n<!-- /ips: {name} -->" in page


def test_the_page_has_a_place_for_every_table_and_shows_every_picture():
    page, known = PAGE.read_text(), read().experiments

    drawn = {picture(name).name for name, (experiment, _) in DRAWINGS.items() if experiment in known}

    assert set(re.findall(r"<!-- ips: ([\w ]+) -->", page)) == {*TABLES, "seconds"}
    assert drawn <= set(re.findall(r"\(images/(ips-\w+\.svg)\)", page))


def test_the_committed_figures_are_of_a_whole_run_over_32_seeds_or_more():
    found = read()

    own = {name: e for name, e in found.experiments.items() if name != "transformers"}
    assert found.settings["quick"] is False
    assert min(e.n for x in own.values() for r in x.rows for e in r.figures.values()) >= 32


def test_every_identity_of_the_committed_run_holds_to_1e_9():
    facts = read().experiments["identities"].facts

    assert max(v for k, v in facts.items() if "share" not in k and k != "problems") < 1e-9


def test_a_swept_coefficient_is_shown_where_it_did_best():
    rows = read().experiments["recovery"].rows
    own = [r for r in rows if r.setting == "methods, skewed start, std"]

    swept = [r for r in own if r.method.startswith("GRPO + entropy")]
    one = [r for r in shown(own, "found") if r in swept]

    assert [r.figures["found"].value for r in one] == [max(r.figures["found"].value for r in swept)]


def test_the_figures_of_the_reference_are_among_those_sampled():
    rows = {r.setting: r.figures["p2"].value for r in read().experiments["threshold"].rows if r.method == "IPS-GRPO"}

    for size, known in zip(SAMPLED, (0.001, 0.015, 0.186, 0.204), strict=True):
        assert abs(rows[f"G = {size}"] - known) < 0.01
