"""`autointerp status` on run folders written by hand."""

from pathlib import Path

from builders import explanation, sampled, several

from autointerp.commands.status import status
from autointerp.runs.folder import DumpReference, ExplainStage, RunInfo, RunWriter
from autointerp.schema import Explanation
from autointerp.settings import ExplainSettings, ModelSettings


def run_of(folder: Path, *explanations: Explanation) -> Path:
    stage = ExplainStage(model=ModelSettings(model="m"), settings=ExplainSettings(), prompts={})
    reference = DumpReference(name="d", path="/somewhere", digest="d" * 64, n_latents=8)
    with RunWriter(folder, RunInfo(version="1", created="2026-01-31", dump=reference, explain=stage)) as writer:
        for one in explanations:
            writer.explanation(one)
    return folder


def test_features_that_keep_several_explanations_are_counted_with_their_mean_collapse_index(tmp_path: Path):
    alone = explanation(2).model_copy(update={"sampled": sampled("a red square", collapse=1.0)})
    unclear = explanation(4).model_copy(update={"sampled": sampled("a red square", collapse=None)})
    run = run_of(tmp_path / "run", several("red", "blue", number=1), alone, explanation(3), unclear)

    found = status(run)

    # Of 1, 2 and 4 the first keeps two; the indices known are .5 and 1.
    assert found.several == "1 of 3 features keep several explanations; mean collapse index 0.750 over 2"


def test_a_run_without_sampled_explanations_says_nothing_of_them(tmp_path: Path):
    again = run_of(tmp_path / "run", several("red", "blue", number=1), explanation(1))

    assert status(again).several is None
