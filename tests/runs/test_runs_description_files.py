"""The files of other tools, as small copies of what each of them writes."""

import gzip
import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from autointerp.errors import SettingsError
from autointerp.runs import description_files
from autointerp.runs.descriptions import Foreign, open_foreign

TEXTS = {0: "blue square", 1: "green square", 7: "red or yellow square"}


def read(path: Path, *, layer: str | None = None) -> Foreign:
    return open_foreign(path, layer=layer, n_latents=8)


def said(foreign: Foreign) -> dict[int, str]:
    return {d.feature: d.text for d in foreign.descriptions}


def lines(*objects: object) -> str:
    return "".join(f"{json.dumps(value)}\n" for value in objects)


def matryoshka(feature: int, text: str | None) -> dict[str, object]:
    """What `feature_analysis` of Matryoshka Transcoders writes; null where its call failed."""
    return {"feature_num": str(feature), "explanation": text, "num_samples": 8}


def neuronpedia(feature: int, text: str, layer: str = "8-res", by: str = "gpt-4o-mini") -> dict[str, object]:
    """A line of Neuronpedia's export."""
    named = {"id": f"c{feature}", "modelId": "clip", "layer": layer, "index": str(feature), "description": text}
    return named | {"embedding": None, "notes": None, "typeName": "np_max-act", "explanationModelName": by}


def steered(folder: Path, feature: int, *texts: str | None) -> Path:
    """What vision-interp writes of a latent; log probabilities may be NaN there."""
    file = folder / f"latent_{feature}" / "explanations" / "explanation.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({"feature_name": feature, "explanation": list(texts), "prompt_log_probs": float("nan")}))
    return file


def make_matryoshka(folder: Path) -> Path:
    file = folder / "transcoders_feature_analysis.jsonl"
    file.write_text(lines(*(matryoshka(f, f"Commonality: {text}") for f, text in TEXTS.items())))
    return file


def make_errors(folder: Path) -> Path:
    found = [{"feature_num": str(f), "commonality": f"Commonality: {t}"} for f, t in TEXTS.items()]
    file = folder / "transcoders_error_analysis.jsonl"
    file.write_text(lines(*(one | {"error_analysis": "No common errors", "num_samples": 8} for one in found)))
    return file


def make_neuronpedia(folder: Path) -> Path:
    # Its name does not say that it is packed.
    file = folder / "batch-0.jsonl"
    file.write_bytes(gzip.compress(lines(*(neuronpedia(f, text) for f, text in TEXTS.items())).encode()))
    return file


def make_batches(folder: Path) -> Path:
    """The folder of a layer of Neuronpedia's export; the second batch is `batch-10`."""
    inner = folder / "8-res" / "explanations"
    inner.mkdir(parents=True)
    (inner / "batch-10.jsonl.gz").write_bytes(gzip.compress(lines(neuronpedia(7, TEXTS[7])).encode()))
    (inner / "batch-2.jsonl.gz").write_bytes(gzip.compress(lines(neuronpedia(0, TEXTS[0])).encode()))
    (inner / "batch-9.jsonl.gz").write_bytes(gzip.compress(lines(neuronpedia(1, TEXTS[1])).encode()))
    (inner / "._batch-2.jsonl.gz").write_bytes(b"\0\5\26\7")
    return inner.parent


def make_api(folder: Path) -> Path:
    file = folder / "explanations.json"
    file.write_text(json.dumps({"explanations": [neuronpedia(f, text) for f, text in TEXTS.items()]}))
    return file


def make_multimodal(folder: Path) -> Path:
    file = folder / "model_layers_24.json"
    file.write_text(json.dumps([{f"model.layers.24_feature{f}": text} for f, text in TEXTS.items()], indent=4))
    return file


def make_hook(folder: Path) -> Path:
    file = folder / "hook.json"
    file.write_text(json.dumps([{f"hook_feature{f}": text, "prompt": "Describe"} for f, text in TEXTS.items()]))
    return file


def make_steered(folder: Path) -> Path:
    for feature, text in TEXTS.items():
        steered(folder / "steering", feature, text)
    (folder / "steering" / "latent_3").mkdir()  # not explained yet
    return folder / "steering"


def make_methods(folder: Path) -> Path:
    return make_steered(folder / "outputs").parent


def make_invert(folder: Path) -> Path:
    rows = [f"{f},{text},n0{f},0.9\n" for f, text in TEXTS.items()]
    file = folder / "vit.csv"
    file.write_text("neuron,concept,concept_id,metric\n" + "".join(rows))
    return file


def make_dissected(folder: Path) -> Path:
    """The folder that CLIP-Dissect writes, whose descriptions may lie packed."""
    (folder / "results").mkdir()
    (folder / "results" / "args.txt").write_text("{}")
    rows = "".join(f"conv1,{f},{text},0.1\n" for f, text in TEXTS.items())
    packed = gzip.compress(f"layer,unit,description,similarity\n{rows}".encode())
    (folder / "results" / "descriptions.csv.gz").write_bytes(packed)
    return folder / "results"


def make_mapping(folder: Path) -> Path:
    file = folder / "said.json"
    file.write_text(json.dumps({str(f): text for f, text in TEXTS.items()}))
    return file


def make_own(folder: Path) -> Path:
    file = folder / "said.jsonl"
    file.write_text("\ufeff\n" + lines(*({"feature": f, "Text": text} for f, text in TEXTS.items())), "utf-8")
    return file


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (make_matryoshka, "matryoshka-transcoders (transcoders_feature_analysis.jsonl)"),
        (make_errors, "matryoshka-transcoders (transcoders_error_analysis.jsonl)"),
        (make_neuronpedia, "neuronpedia clip/8-res (batch-0.jsonl)"),
        (make_batches, "neuronpedia clip/8-res (8-res)"),
        (make_api, "neuronpedia clip/8-res (explanations.json)"),
        (make_multimodal, "multimodal-sae model.layers.24 (model_layers_24.json)"),
        (make_hook, "multimodal-sae hook (hook.json)"),
        (make_steered, "vision-interp (steering)"),
        (make_methods, "vision-interp steering (outputs)"),
        (make_invert, "invert (vit.csv)"),
        (make_dissected, "clip-dissect conv1 (results)"),
        (make_mapping, "descriptions (said.json)"),
        (make_own, "descriptions (said.jsonl)"),
    ],
)
def test_each_tool_is_known_by_the_content_of_its_files(tmp_path: Path, make: Callable[[Path], Path], name: str):
    found = read(make(tmp_path))

    assert (found.name, said(found)) == (name, TEXTS)
    assert found.method == name.split()[0]
    assert (found.empty, found.further) == (0, 0)


def test_a_packed_file_has_the_digest_of_its_bytes_and_a_folder_one_of_its_files(tmp_path: Path):
    file, folder = make_neuronpedia(tmp_path), make_batches(tmp_path)
    before = read(folder).digest

    (folder / "README").write_text("not read")
    same = read(folder).digest
    (folder / "explanations" / "batch-11.jsonl.gz").write_bytes(gzip.compress(lines(neuronpedia(2, "red")).encode()))

    assert read(file).digest == hashlib.sha256(file.read_bytes()).hexdigest()
    assert same == before != read(folder).digest


def test_the_mark_of_a_reply_is_not_part_of_its_text(tmp_path: Path):
    file = tmp_path / "said.jsonl"
    file.write_text(lines(matryoshka(0, "commonality:red"), matryoshka(1, "Commonality of dogs"), matryoshka(2, "cat")))

    assert said(read(file)) == {0: "red", 1: "Commonality of dogs", 2: "cat"}


def test_a_failure_of_the_other_tool_is_no_description(tmp_path: Path):
    (failed := tmp_path / "a.jsonl").write_text(lines(matryoshka(0, None), matryoshka(0, "red"), matryoshka(1, "")))
    (unread := tmp_path / "b.json").write_text(
        json.dumps([{"h_feature0": "Response I see. Explanation could not be parsed."}, {"h_feature1": "red"}])
    )
    steered(tmp_path / "c", 0)
    steered(tmp_path / "c", 1, "red", "round")

    found = [read(failed), read(unread), read(tmp_path / "c")]

    assert [said(one) for one in found] == [{0: "red"}, {1: "red"}, {1: "red"}]
    assert [one.empty for one in found] == [2, 1, 1]
    assert [one.further for one in found] == [0, 0, 1]


def several(folder: Path, *objects: dict[str, object]) -> Path:
    file = folder / "batch-0.jsonl"
    file.write_text(lines(*objects))
    return file


def test_one_of_several_layers_is_named_with_layer(tmp_path: Path):
    file = several(tmp_path, neuronpedia(0, "edges", "1-res"), neuronpedia(0, "dogs", "8-res"))

    with pytest.raises(SettingsError, match=r"batch-0\.jsonl: has the layers 1-res, 8-res; choose the dump's with"):
        read(file)
    with pytest.raises(SettingsError, match=r"--layer 9-res: .*batch-0\.jsonl has the layers 1-res, 8-res"):
        read(file, layer="9-res")

    assert said(read(file, layer="8-res")) == said(read(file, layer="clip/8-res")) == {0: "dogs"}


def test_one_of_several_models_is_named_with_layer(tmp_path: Path):
    file = several(tmp_path, neuronpedia(0, "edges"), neuronpedia(0, "dogs") | {"modelId": "dino"})

    assert said(read(file, layer="dino")) == said(read(file, layer="dino/8-res")) == {0: "dogs"}
    with pytest.raises(SettingsError, match=r"--layer 8-res: fits clip, dino of .*; give one of these"):
        read(file, layer="8-res")


def test_explainers_count_only_where_several_described_one_feature(tmp_path: Path):
    apart = several(tmp_path, neuronpedia(0, "edges"), neuronpedia(1, "dogs", by="claude"))
    assert said(read(apart)) == {0: "edges", 1: "dogs"}

    both = several(tmp_path, neuronpedia(0, "edges"), neuronpedia(0, "dogs", by="claude"), neuronpedia(1, "cats"))
    with pytest.raises(SettingsError, match="has the layers gpt-4o-mini, claude; choose"):
        read(both)

    assert said(read(both, layer="gpt-4o-mini")) == {0: "edges", 1: "cats"}


def test_one_of_several_methods_of_vision_interp_is_named_with_layer(tmp_path: Path):
    for method, text in (("heatmaps", "red"), ("masks", "blue")):
        steered(tmp_path / method, 0, text)

    with pytest.raises(SettingsError, match="has the layers heatmaps, masks"):
        read(tmp_path)

    assert said(read(tmp_path, layer="masks")) == {0: "blue"}


DEEP = "[" * 100_000
HALF = '{"feature": 1, "text": "\\ud800"}\n'


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (lines(matryoshka(0, "a"), matryoshka(1, "b"), matryoshka(0, "c")), ":3: feature_num 0 is described in line 1"),
        (lines(matryoshka(0, "a"), {"feature_num": "1"}), ":2: has no explanation; delete it"),
        (lines(matryoshka(0, "a"), [1]), ":2: is a list, no object"),
        (lines(matryoshka(0, "a")) + '{"feature_num": "1", "expl', ":2: is not JSON (Unterminated string"),
        (lines({"feature": 0, "text": 5}), ":1: text is 5, no text; mend or delete it"),
        (lines({"feature": 0, "text": ["red"]}), ":1: text is a list, no text"),
        ('{"feature": 0, "text": NaN}\n', ":1: text is nan, no text"),
        ("feature,text\n0,nan\n", ":2: text is 'nan', which is no description"),
        (lines({"feature": True, "text": "a"}), ":1: feature True is not a number from 0"),
        ('{"feature": NaN, "text": "a"}\n', ":1: feature nan is not a number from 0"),
        (lines({"feature": [0], "text": "a"}), ":1: feature a list is not a number from 0"),
        (lines({"feature": -1, "text": "a"}), ":1: feature -1 is not a number from 0"),
        (lines({"feature": 1.5, "text": "a"}), ":1: feature 1.5 is not a number from 0"),
        (lines({"feature": 8, "text": "a"}), ":1: feature 8 does not exist: this dump has 0 to 7"),
        (lines({"feature": 0, "text": "a" * 10_001}), ":1: text has 10,001 characters, and 10,000 are the most"),
        (lines({"feature": 0, "text": "a"}, {"feature": 1, "text": "a" * (1 << 20)}), ":2: has 1,048,576 characters"),
        (HALF, ":1: text holds half a character"),
        (lines({"id": 0, "label": "a"}, {"id": 1}), ":1: the fields id, label are of no known kind"),
        (lines(neuronpedia(0, "a") | {"layer": {}}), ":1: layer is a dict; expected a text"),
        ("[]", ": is a list, no list of descriptions"),
        ("[1]", ": entry 1: is 1, no object"),
        (json.dumps([{"h_feature0": "a"}, {"h_feature": "b"}]), ": entry 2: 'h_feature' names no feature"),
        (json.dumps([{"h_feature0": "a"}, "b"]), ": entry 2: is 'b', no object"),
        (json.dumps([{"h_feature0": "a"}, {"h_feature0": "b"}]), ": entry 2: feature 0 is described in entry 1"),
        (json.dumps({"explanation": ["a"]}), ": is of one feature; name the folder that holds latent_0"),
        (DEEP, ": is not JSON (it is nested too deeply); mend or delete it"),
        ('{"feature": 0, "text": "a"}\n{"feature": 1, "text": ' + DEEP, ":2: is not JSON (it is nested too deeply)"),
    ],
)
def test_what_cannot_be_used_is_named_with_its_row(tmp_path: Path, content: str, problem: str):
    file = tmp_path / "said.json"
    file.write_text(content)

    with pytest.raises(SettingsError) as caught:
        read(file)

    assert str(caught.value).startswith(f"{file}{problem}")
    assert "\n" not in str(caught.value)


def packed(text: bytes) -> bytes:
    return gzip.compress(text, 1, mtime=0)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (packed(b'{"feature": 0, "text": "a"}\n')[:-9], "cannot be unpacked (Compressed file ended before"),
        (b"\x1f\x8bnot packed at all", "cannot be unpacked (Unknown compression method"),
        (packed(b'{"feature": 0, "text": "' + b"a" * (1 << 24)), "has 1,048,576 characters or more; shorten it"),
        (packed(b"feature,text\n" + b"\n" * (1 << 20)), "has more than 0 MiB unpacked; give a file of this"),
        (packed(b"\xff\xfef\0"), "is not UTF-8 text; save it in UTF-8"),
    ],
)
def test_packed_files_are_read_within_bounds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, problem: str
):
    if "MiB unpacked" in problem:
        monkeypatch.setattr(description_files, "MOST_BYTES", 1 << 19)
    file = tmp_path / "said.gz"
    file.write_bytes(content)

    with pytest.raises(SettingsError) as caught:
        read(file)

    assert problem in str(caught.value)
    assert str(file) in str(caught.value)


def test_a_file_has_a_bounded_number_of_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(description_files, "MOST_ROWS", 2)

    for file in (make_matryoshka(tmp_path), make_invert(tmp_path), make_hook(tmp_path)):
        with pytest.raises(SettingsError, match="has more than 2 rows; give those of the dump's layer alone"):
            read(file)


def test_a_file_has_a_bounded_number_of_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(description_files, "MOST_LINES", 9)
    file = make_matryoshka(tmp_path)
    file.write_text(file.read_text() + "\n" * 9)

    with pytest.raises(SettingsError, match="has more than 9 lines; give those of the dump's layer alone"):
        read(file)


def write_folder(folder: Path, files: Sequence[tuple[str, str]]) -> Path:
    folder.mkdir()
    for name, text in files:
        (folder / name).write_text(text)
    return folder


def test_a_folder_is_of_one_kind_of_files(tmp_path: Path):
    one, other = ("a.csv", "feature,text\n0,red\n"), ("b.jsonl", lines(matryoshka(1, "blue")))
    mixed, none = write_folder(tmp_path / "mixed", [one, other]), write_folder(tmp_path / "none", [("a.txt", "")])

    with pytest.raises(SettingsError, match=r"mixed: a\.csv is of descriptions and b\.jsonl of matryoshka-trans"):
        read(mixed)
    with pytest.raises(SettingsError, match=r"none: has no \.csv, .* and no latent_N/explanations; name a file"):
        read(none)


def test_a_feature_described_in_two_files_of_a_folder_names_both(tmp_path: Path):
    folder = write_folder(tmp_path / "two", [(n, "feature,text\n0,red\n") for n in ("a.csv", "b.csv")])

    with pytest.raises(SettingsError, match=r"b\.csv:2: feature 0 is described in .*a\.csv:2 already"):
        read(folder)


def test_a_latent_in_the_folder_of_another_is_named(tmp_path: Path):
    file = steered(tmp_path, 3, "red")
    file.parents[1].rename(tmp_path / "latent_4")

    with pytest.raises(SettingsError, match=r"latent_4/.*: is of feature 3, and its folder of 4; move it there"):
        read(tmp_path)
