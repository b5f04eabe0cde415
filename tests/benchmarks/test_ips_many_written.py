"""Small transformers: how their samples are counted, and that training one keeps answers with IPS-GRPO."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from benchmarks.ips.many import written, written_tables
from benchmarks.ips.many.cells import Cell, Found, Sweep
from benchmarks.ips.many.written import (
    AT_EQUAL_TIME,
    BY_SMILES,
    MOLECULES,
    ORDER,
    STEPS,
    TARGETS,
    TIMED,
    answered,
    examples,
    jobs,
    timed_jobs,
    together,
    vocabulary,
)
from benchmarks.ips.methods import GRPO, IPS, Method, entropy_bonus


def test_samples_are_counted_in_sets_of_as_many_as_there_are_outcomes():
    said = [("a",), ("b",), ("b",), ("x",), ("y",), ("a",), ("a",)]
    outcomes = ["A", "B", "B", None, None, "A", "A"]

    got = answered(outcomes, said, 3)

    # Two whole sets: A B B, and two different texts that are not admissible beside A; the seventh is left over.
    assert got["valid"] == 5 / 7
    assert abs(got["recovery"] - (2 / 3 + 1 / 3) / 2) < 1e-12
    assert abs(got["unique"] - (2 / 3 + 3 / 3) / 2) < 1e-12
    assert got["largest"] == 3 / 5


def test_nothing_valid_is_no_error():
    got = answered([None, None, None], [("x",), ("x",), ("y",)], 3)

    assert (got["valid"], got["recovery"], got["largest"]) == (0, 0, 0)


def test_seeds_are_put_together_by_task_method_and_coefficient():
    def cell(method: str, coefficient: float | None, value: float) -> Cell:
        kept = {"valid": (value,)}
        return Cell(task="t", group=16, method=method, coefficient=coefficient, figures=kept, seconds=1.5)

    got = together([cell("a", None, 0.1), cell("b", 0.3, 0.2), cell("a", None, 0.3), cell("b", 0.1, 0.4)])

    assert [(c.method, c.coefficient, c.figures["valid"], c.seconds) for c in got] == [
        ("a", None, (0.1, 0.3), 3.0),
        ("b", 0.3, (0.2,), 1.5),
        ("b", 0.1, (0.4,), 1.5),
    ]


def test_a_warm_start_is_shown_words_that_it_knows_and_mostly_readers_of_the_prompt():
    rows = examples("voxels", np.random.default_rng(0), 200)

    known = set(vocabulary("voxels"))
    assert all(set(prompt.split()) | set(answer) <= known for prompt, answer in rows)
    right = [np.array([[int(c) for c in row] for row in a]).reshape(3, 9).any(0) for _, a in rows]
    views = [np.array([int(c) for c in prompt.replace(" ", "")[:9]], bool) for prompt, _ in rows]
    assert np.mean([(a == b).all() for a, b in zip(right, views, strict=True)]) > 0.4


METHODS = (GRPO, entropy_bonus(0.1), Method("SGRPO", diversity=0.9), IPS)


def test_at_equal_time_the_others_take_fewer_steps_than_grpo_and_no_job_has_the_name_of_another(tmp_path: Path):
    for task, asked in AT_EQUAL_TIME.items():
        timed = timed_jobs(task, METHODS, (0, 1), STEPS, tmp_path)

        steps = [given[-1] for _, _, given in timed]
        assert steps == 2 * [STEPS, *(asked[m.name] for m in METHODS[1:])]
        assert all(0 < n <= STEPS for n in asked.values())
        names = [name for name, _, _ in (*timed, *jobs(task, METHODS, (0, 1), STEPS, tmp_path))]
        assert len(names) == len(set(names))


def test_a_job_at_equal_time_goes_on_from_the_common_start_for_steps_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    pytest.importorskip("torch")

    def trained(task: str, method: Method, seed: int, steps: int, start: Path) -> Cell:
        return Cell(task=task, group=16, method=method.name, figures={"steps": (steps,)}, seconds=float(start.name))

    monkeypatch.setattr(written, "started", lambda task, folder, steps: folder / str(steps))
    monkeypatch.setattr(written, "reasoning_on", trained)

    whole = written.part("voxels", IPS, 0, 60, str(tmp_path), False)[0][0]
    shorter = written.part("voxels", IPS, 0, 60, str(tmp_path), False, 41)[0][0]

    assert (whole.method, whole.figures["steps"], whole.seconds) == ("IPS-GRPO", (60,), 60)
    assert (shorter.method, shorter.figures["steps"], shorter.seconds) == ("IPS-GRPO, equal time", (41,), 60)


def planted(task: str, method: str, value: float, seconds: float) -> Cell:
    """All figures alike, but for a tenth between the two seeds."""
    keys = ("valid", "unique", "recovery", "largest", "mean", "top", "good scaffolds", "diversity")
    names = (*keys, "found a 1,000 calls", *(f"recovery {n}" for n in written.SIZES))
    kept = {k: (value, value + 0.1) for k in names}
    return Cell(task=task, group=16, method=method, coefficient=0.1, figures=kept, seconds=seconds)


def test_tables_give_differences_at_equal_samples_and_beside_them_at_equal_time():
    ends = {"": (0.5, 90.0), TIMED: (0.4, 45.0)}
    made: list[Cell] = []
    for task in ("causal", "voxels", "Boolean", *TARGETS):
        made += [planted(task, m, 0.2, 60.0) for m in (*ORDER, BY_SMILES) if m != IPS.name]
        made += [planted(task, IPS.name + end, *v) for end, v in ends.items() if not end or task in AT_EQUAL_TIME]
        made += [planted(task, m + TIMED, 0.2, 60.0) for m in ORDER[1:-1] if task in AT_EQUAL_TIME]
    steps: dict[str, float | int | str] = {f"steps at equal time, {t}, {m}": 30 for t in AT_EQUAL_TIME for m in ORDER}
    means = {"0.03, 0.001": (0.7, 12.0), "0.1, 0.001": (0.9, 20.0)}
    swept = (Sweep(task=MOLECULES, group=16, method="GRPO + entropy", means=means),)
    facts = {"training, processor seconds": 600.0}
    found = Found(machine="x", seconds=1, settings=steps, cells=tuple(made), sweeps=swept, facts=facts)

    got = written_tables.tables(found)

    lines = {
        row.split(" | ")[0].strip("| "): row.strip("| ").split(" | ") for row in got["written differences"].split("\n")
    }
    assert [c.split()[0] for c in lines["reasoning: SGRPO"][1:]] == 3 * ["+0.300"] + 3 * ["+0.200"]
    assert [c.split()[0] for c in lines["QED: GRPO"][1:]] == ["+0.300", "+0.300", "+0.3", "+0.200", "+0.200", "+0.2"]
    assert lines["logP 4: GRPO"][4:] == ["–", "–", "–"]
    assert got["written sweeps"].splitlines()[-1] == "| QED | 0.70; 12.0 | 0.90; 20.0 | 0.1 |"
    assert "30 steps in 0.75 of the time; a step takes 1.50" in got["written time"]
    assert got["written seconds"].startswith("10 minutes of processor time")
    assert {row.split(":")[0].strip("| ") for row in got["written molecules"].split("\n")[2:]} == set(TARGETS.values())


def test_what_is_written_is_counted_by_the_reward_of_its_task():
    pytest.importorskip("rdkit")
    pytest.importorskip("selfies")
    from benchmarks.ips.many.chemistry import Molecule

    found = [Molecule(s, "ring", {"QED": q, "logP 4": p}) for s, q, p in (("CO", 0.8, 0.1), ("CCO", 0.2, 0.3))]

    for target, total, good in (("QED", 1.0, 1.0), ("logP 4", 0.4, 0.0)):
        got = written.written_molecules(found, target)
        assert abs(got["mean"][0] - total / written.CALLS) < 1e-12
        assert got["good scaffolds"] == (good,)
    assert set(TARGETS.values()) == set(found[0].rewards)
    assert MOLECULES in TARGETS


@pytest.mark.long
@pytest.mark.filterwarnings("ignore:.*gradient_checkpointing.* is deprecated:FutureWarning")
@pytest.mark.skipif(importlib.util.find_spec("trl") is None, reason="needs the extra rl")
def test_ips_keeps_both_answers_where_grpo_keeps_one(tmp_path: Path):
    from benchmarks.ips.many import writer

    words = ("say", "left", "right", "wrong", "now")

    def shown(chance: np.random.Generator, n: int) -> list[tuple[str, tuple[str, ...]]]:
        drawn = chance.choice(3, n, p=[0.6, 0.3, 0.1])
        return [("say", (words[1 + i], "now")) for i in drawn]

    def judge(_: int, answer: tuple[str, ...]) -> writer.Judged:
        good = len(answer) == 2 and answer[0] in ("left", "right") and answer[1] == "now"
        return writer.Judged(float(good) * (1 + (answer[0] == "left")), answer[0]) if good else writer.Judged(0, None)

    writer.save(writer.warm_start(words, shown, 40), tmp_path / "start.safetensors")
    shares: dict[str, float] = {}
    for method in (GRPO, IPS, Method("SGRPO", diversity=0.9)):
        model = writer.load(tmp_path / "start.safetensors", words)
        seconds = writer.train(model, words, ["say"], judge, method, writer.Lessons(25, 3e-3, 2), seed=0)
        said = writer.answers(model, words, "say", 512, 2, seed=0)
        shares[method.name] = said.count(("right", "now")) / 512
        assert seconds > 0

    assert shares["GRPO"] < 0.05
    assert 0.2 < shares["IPS-GRPO"] < 0.45  # rewards 2 and 1: a third is due
    assert shares["GRPO"] < shares["SGRPO"]
