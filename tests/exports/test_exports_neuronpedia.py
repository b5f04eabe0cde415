"""The upload, held against Neuronpedia's own schema."""

import csv
import json
from pathlib import Path
from typing import Annotated

import pytest
from exports_world import info_of, write_dump
from pydantic import BaseModel, ConfigDict, Field
from report.report_world import explained

from autointerp.commands.export import export
from autointerp.errors import AutointerpError
from autointerp.exports.neuronpedia import shortened
from autointerp.runs.folder import RunWriter

NAMES = {"model_id": "My-ViT", "source": "11-vision-sae-16k"}


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class Activation(Strict):
    tokens: Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1, max_length=1024)]
    values: Annotated[list[float], Field(min_length=1, max_length=1024)]


class Text(Strict):
    text: Annotated[str, Field(min_length=1, max_length=512)]


class OfFeature(Strict):
    index: Annotated[int, Field(ge=0, le=10_000_000)]
    density: Annotated[float | None, Field(ge=0, le=1)] = None
    explanations: list[Text]
    activations: Annotated[list[Activation], Field(min_length=1)]


class Body(Strict):
    """`uploadBatchSchema` of apps/webapp/app/api/feature/upload-batch/route.tsx in hijohnnylin/neuronpedia, ebb8426."""

    modelId: Annotated[str, Field(pattern="^[^A-Z]+$")]  # noqa: N815
    source: Annotated[str, Field(pattern="^[^A-Z]+$")]
    features: Annotated[list[OfFeature], Field(min_length=1, max_length=128)]


def bodies(out: Path) -> list[Body]:
    return [Body.model_validate_json(file.read_bytes()) for file in sorted(out.glob("batch-*.json"))]


def test_bodies_are_as_the_schema_has_them(run: Path):
    done = export(run, "neuronpedia", **NAMES)

    (body,) = bodies(done.out)
    assert (done.features, done.left_out) == (3, 3)
    assert (body.modelId, body.source, [f.index for f in body.features]) == ("my-vit", "11-vision-sae-16k", [0, 1, 3])
    first = body.features[0]
    assert (first.density, [e.text for e in first.explanations]) == (0.05, ["a red wheel"])
    assert first.activations[0] == Activation(tokens=["image 0 (<b>wheel</b>)"], values=[3.0])


def test_a_feature_that_has_no_place_is_listed_with_its_reason(run: Path):
    out = export(run, "neuronpedia", **NAMES).out

    assert [*csv.reader((out / "left_out.csv").read_text().splitlines())] == [
        ["feature", "reason"],
        ["2", "the explainer saw no common property"],
        ["4", "timeout: no answer in 120 s"],
        ["5", "never fired"],
    ]


def test_a_body_has_at_most_128_features(tmp_path: Path):
    dump = write_dump(tmp_path / "dump", n=130)
    with RunWriter(tmp_path / "run", info_of(dump)) as writer:
        for feature in range(130):
            if feature != 5:  # which has no image
                writer.explanation(explained(feature))

    out = export(tmp_path / "run", "neuronpedia", **NAMES).out

    assert [len(body.features) for body in bodies(out)] == [128, 1]


@pytest.mark.parametrize(
    ("text", "kept"), [("x" * 512, "x" * 512), ("x" * 513, "x" * 511 + "…"), ("😀" * 257, "😀" * 255 + "…")]
)
def test_a_text_is_cut_where_javascript_would_count_more_than_512(text: str, kept: str):
    assert shortened(text) == kept


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ({}, "model_id: is needed"),
        ({"model_id": "vit"}, "source: is needed"),
        ({"model_id": "vit", "source": "my sae"}, "source my sae: write the layer"),
    ],
)
def test_names_that_neuronpedia_needs_are_asked_for(run: Path, names: dict[str, str], said: str):
    with pytest.raises(AutointerpError, match=said):
        export(run, "neuronpedia", **names)
    assert not (run / "neuronpedia").exists()


def test_a_folder_is_replaced_only_where_an_export_wrote_it(run: Path, tmp_path: Path):
    out = export(run, "neuronpedia", **NAMES).out
    export(run, "neuronpedia", **NAMES, overwrite=True)
    assert json.loads((out / "export.json").read_text())["format"] == "autointerp-export/1"

    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "letter.txt").write_text("mine")
    with pytest.raises(AutointerpError, match="is not a folder that an export wrote"):
        export(run, "neuronpedia", mine, **NAMES, overwrite=True)
    assert (mine / "letter.txt").read_text() == "mine"
