"""Neuronpedia's upload: bodies of `POST /api/feature/upload-batch`, one a file.

The schema is that of `apps/webapp/app/api/feature/upload-batch/route.tsx` in github.com/hijohnnylin/neuronpedia,
commit ebb8426. It knows texts alone, so an image stands there as one token that names it.
"""

import csv
import json
import re
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path

from autointerp.errors import SettingsError
from autointerp.exports.crops import strongest
from autointerp.exports.table import FeatureTable, Found, Row, Written
from autointerp.schema import Feature

MOST_FEATURES = 128
MOST_TEXT = 512
"""Of an explanation, in the UTF-16 units that JavaScript counts."""
MOST_INDEX = 10_000_000
MOST_ACTIVATIONS = 32
"""Images of a feature; the site itself states no bound."""
SOURCE = re.compile(r"(\d+|e)-[a-z0-9][a-z0-9_-]*")


def check_names(model_id: str | None, source: str | None) -> tuple[str, str]:
    """The model and the source as Neuronpedia writes them.

    Raises:
        SettingsError: one is missing or cannot be such a name.
    """
    if not model_id or not source:
        lacking = "--source" if model_id else "--model-id"
        raise SettingsError(f"{lacking}: is needed with --to neuronpedia, as you named it there (docs/exports.md)")
    if not SOURCE.fullmatch(source.lower()):
        raise SettingsError(
            f"--source {source}: write the layer, a hyphen and the source set, such as 11-vision-sae-16k"
        )
    return model_id.lower(), source.lower()


def write_neuronpedia(table: FeatureTable, out: Path, *, model_id: str, source: str) -> Written:
    """Writes the bodies and `left_out.csv`, which says why of each feature that has no place in them.

    Args:
        table: of the run.
        out: an empty folder.
        model_id: of Neuronpedia's model, as `check_names` returns it.
        source: of its source, likewise.
    """
    written = left_out = 0
    with (out / "left_out.csv").open("w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(("feature", "reason"))

        def told() -> Iterator[Row]:
            nonlocal left_out
            for found, feature in table.evidence():
                if (reason := _why_not(found, feature)) is None:
                    yield _feature(table, found, feature)
                else:
                    left_out += 1
                    lines.writerow((feature.id, reason))

        features = told()
        for number in count():
            if not (batch := list(islice(features, MOST_FEATURES))):
                break
            body = {"modelId": model_id, "source": source, "features": batch}
            (out / f"batch-{number:05d}.json").write_text(json.dumps(body, ensure_ascii=False), encoding="utf-8")
            written += len(batch)
    return Written(written, left_out=left_out)


def _why_not(found: Found, feature: Feature) -> str | None:
    """Why a feature cannot be uploaded; None where it can."""
    if found.explanation is None:
        return str(found.row.get("reason") or "is not explained yet")
    if found.explanation.none:
        return "the explainer saw no common property"
    if not feature.active:
        return "the dump has no image that fires it, and an upload needs one activation at least"
    return f"numbers end at {MOST_INDEX:,}" if feature.id > MOST_INDEX else None


def _feature(table: FeatureTable, found: Found, feature: Feature) -> Row:
    assert found.explanation is not None
    density = found.row["density"]
    return {
        "index": feature.id,
        **({} if density is None else {"density": density}),
        "explanations": [{"text": shortened(found.explanation.text)}],
        "activations": [
            {"tokens": [_token(table, e.image)], "values": [e.activation]} for e in strongest(feature, MOST_ACTIVATIONS)
        ],
    }


def _token(table: FeatureTable, image: int) -> str:
    label = table.dump.image(image).label
    return f"image {image} ({label})" if label else f"image {image}"


def shortened(text: str) -> str:
    """The text, cut with an ellipsis where it is longer than `MOST_TEXT` UTF-16 units, between two characters."""
    if _units(text) <= MOST_TEXT:
        return text
    kept = text[: MOST_TEXT - 1]
    while _units(kept) > MOST_TEXT - 1:
        kept = kept[:-1]
    return f"{kept}…"


def _units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2
