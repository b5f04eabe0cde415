"""The head: its split, its training, its figures, and what it adds to a backbone."""

from pathlib import Path

import numpy as np
import pytest
import torch
from coloured import colours
from torch import Tensor, nn

from autointerp.errors import SettingsError
from autointerp.statistics.rates import Bools
from autointerp.transcoder.backbones.headed import HeadedBackbone
from autointerp.transcoder.classification_metrics import auroc, quality
from autointerp.transcoder.classifier import (
    Classifier,
    ClassifierInfo,
    Counted,
    Epoch,
    Trained,
    load_classifier,
    save_classifier,
    train_head,
)
from autointerp.transcoder.settings import ClassifierSettings
from autointerp.transcoder.splits import Parts, split_groups

SHARES = (0.7, 0.15, 0.15)


def alone(n: int) -> np.ndarray:
    return np.arange(n)


# Training.


def world(n: int, width: int, seed: int, strength: float, rate: float = 0.5) -> tuple[Tensor, Bools]:
    """Vectors whose first coordinate tells the label, the more so the stronger."""
    chance = np.random.default_rng(seed)
    labels = chance.random(n) < rate
    vectors = chance.normal(size=(n, width)) * 5 + 3
    vectors[:, 0] += strength * labels
    return torch.from_numpy(vectors.astype(np.float32)), labels


def trained(vectors: Tensor, labels: Bools, **settings: object) -> tuple[Trained, Parts, np.ndarray]:
    chosen = ClassifierSettings.model_validate({"epochs": 60, "rate": 1e-2, **settings})
    parts = split_groups(labels, alone(len(labels)), shares=SHARES, seed=chosen.seed)
    found = train_head(vectors, labels, parts, chosen, lambda epoch: None)
    return found, parts, found.classifier(vectors).logits.double().numpy()


@pytest.mark.parametrize("head", ["mlp", "linear"])
def test_labels_that_can_be_separated_are(head: str):
    vectors, labels = world(200, 4, 0, strength=60)

    _, parts, logits = trained(vectors, labels, head=head)

    assert auroc(logits[parts.test], labels[parts.test], parts.test).value == 1.0


def test_shuffled_labels_cannot_be_told():
    vectors, labels = world(400, 16, 0, strength=60)
    shuffled = np.random.default_rng(5).permutation(labels)

    _, parts, logits = trained(vectors, shuffled, head="mlp")

    found = auroc(logits[parts.test], shuffled[parts.test], parts.test)
    assert found.low < 0.5 < found.high
    assert 0.3 < found.value < 0.7


def test_training_stops_when_the_validation_loss_does_not_fall_and_keeps_the_best():
    vectors, labels = world(120, 40, 0, strength=2)
    epochs: list[Epoch] = []
    parts = split_groups(labels, alone(120), shares=SHARES, seed=0)
    settings = ClassifierSettings(epochs=500, patience=5, rate=1e-2)

    found = train_head(vectors, labels, parts, settings, epochs.append)

    best = min(epochs, key=lambda e: e.validation)
    assert found.best == best
    assert found.epochs_run == len(epochs) == best.number + 5
    held = found.classifier(vectors[parts.validation]).logits
    y = torch.from_numpy(labels[parts.train].astype(np.float32))
    weight = (1 - y).sum() / y.sum()
    truth = torch.from_numpy(labels[parts.validation].astype(np.float32))
    loss = nn.functional.binary_cross_entropy_with_logits(held + weight.log(), truth, pos_weight=weight)
    assert float(loss) == pytest.approx(best.validation, rel=1e-4)


@pytest.mark.parametrize("balance", [True, False])
def test_probabilities_speak_of_the_rate_in_the_data_balanced_or_not(balance: bool):
    vectors, labels = world(2000, 2, 0, strength=4, rate=0.1)

    found, _, logits = trained(vectors, labels, head="linear", balance=balance, batch=500, epochs=200)

    assert float((1 / (1 + np.exp(-logits))).mean()) == pytest.approx(0.1, abs=0.02)
    assert found.epochs_run > 20


def test_training_follows_its_seed():
    vectors, labels = world(80, 4, 0, strength=5)

    one, same, other = (trained(vectors, labels, seed=s)[2].tolist() for s in (0, 0, 1))

    assert one == same != other


def test_a_constant_coordinate_does_no_harm():
    vectors, labels = world(80, 4, 0, strength=60)
    vectors[:, 2] = 7.0

    _, _, logits = trained(vectors, labels, head="linear")

    assert np.isfinite(logits).all()


# The head.


def test_the_hidden_units_lead_to_the_logit():
    torch.manual_seed(0)
    head = Classifier("mlp", 5, 7)

    seen = head(torch.randn(3, 5))

    assert seen.hidden is not None
    assert seen.hidden.shape == (3, 7)
    assert float(seen.hidden.detach().min()) == 0.0
    torch.testing.assert_close(head.of_hidden(seen.hidden), seen.logits)


def info(settings: ClassifierSettings, digest: str, width: int) -> ClassifierInfo:
    figures = quality(np.array([1.0, -1.0]), np.array([True, False]), alone(2), seed=0)
    part = Counted(n=2, n_positive=1, n_groups=2)
    return ClassifierInfo(
        created="2026-01-31T12:00:00Z",
        created_by="autointerp",
        images="images",
        backbone="colours",
        backbone_digest=digest,
        settings=settings,
        hookpoint=settings.hookpoint or "pooled",
        width=width,
        train=part,
        validation=part,
        n_unlabelled=0,
        n_broken=0,
        best_epoch=1,
        epochs_run=1,
        validation_quality=figures,
        test_quality=figures,
        constant_quality=figures,
    )


def test_a_classifier_is_read_as_it_was_written(tmp_path: Path):
    head = Classifier("mlp", 3, 4)
    head.fit_scale(torch.rand(9, 3))
    stated = info(ClassifierSettings(n_hidden=4), "0" * 64, 3)

    save_classifier(tmp_path / "c", head, stated)
    read, told = load_classifier(tmp_path / "c")

    assert told == stated
    batch = torch.rand(5, 3)
    assert torch.equal(read(batch).logits, head(batch).logits)


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("classifier.json", None, "classifier.json: no such file; give a folder that `autointerp train classifier`"),
        ("classifier.json", "{", "classifier.json: Invalid JSON"),
        ("classifier.json", '{"format": "x/9"}', "classifier.json: format: Input should be 'autointerp-classifier/1'"),
        ("classifier.safetensors", None, "classifier.safetensors: is missing; it belongs beside classifier.json"),
        ("classifier.safetensors", "x", "classifier.safetensors: cannot be read"),
    ],
)
def test_a_classifier_that_cannot_be_read_is_one_line(name: str, content: str | None, problem: str, tmp_path: Path):
    save_classifier(tmp_path, Classifier("mlp", 3, 4), info(ClassifierSettings(n_hidden=4), "0" * 64, 3))
    (tmp_path / name).unlink() if content is None else (tmp_path / name).write_text(content)

    with pytest.raises(SettingsError) as error:
        load_classifier(tmp_path)

    assert problem in str(error.value)
    assert "\n" not in str(error.value)


def headed(kind: str = "mlp", hookpoint: str = "pooled") -> tuple[HeadedBackbone, Classifier]:
    torch.manual_seed(0)
    settings = ClassifierSettings.model_validate({"head": kind, "hookpoint": hookpoint, "n_hidden": 4})
    head = Classifier(settings.head, 3, 4)
    return HeadedBackbone(colours(), head, info(settings, colours().digest, 3)), head


def test_a_head_adds_its_units_and_its_logit_to_the_hookpoints():
    backbone, head = headed()
    batch = torch.rand(2, 3, 4, 4)

    found = backbone.run(batch, ["head", "pooled", "head.0"])

    assert list(backbone.hookpoints) == ["pixels", "pooled", "head.0", "head"]
    assert list(found) == ["head", "pooled", "head.0"]
    seen = head(batch.mean(dim=(2, 3)))
    torch.testing.assert_close(found["head"][:, 0], seen.logits)
    torch.testing.assert_close(found["head.0"], seen.hidden)


def test_a_head_reads_the_mean_of_patches():
    backbone, head = headed("linear", "pixels")
    batch = torch.rand(2, 3, 4, 4)

    found = backbone.run(batch, ["head"])

    assert "head.0" not in backbone.hookpoints
    torch.testing.assert_close(found["head"][:, 0], head(batch.mean(dim=(2, 3))).logits)


def test_swapping_below_or_inside_the_head_moves_the_logit():
    backbone, head = headed()
    batch = torch.rand(2, 3, 4, 4)

    below = backbone.run(batch, ["head"], {"pooled": lambda taken: taken["pooled"] + 1})
    inside = backbone.run(batch, ["head"], {"head.0": lambda taken: taken["head.0"] + 1})

    torch.testing.assert_close(below["head"][:, 0], head(batch.mean(dim=(2, 3)) + 1).logits)
    hidden = head(batch.mean(dim=(2, 3))).hidden
    assert hidden is not None
    torch.testing.assert_close(inside["head"][:, 0], head.of_hidden(hidden + 1))


def test_two_heads_on_one_backbone_have_digests_of_their_own():
    one, head = headed()
    same, _ = headed()
    with torch.no_grad():
        head.last.bias.add_(1)

    stated = info(ClassifierSettings(n_hidden=4), colours().digest, 3)

    assert one.digest == same.digest != HeadedBackbone(colours(), head, stated).digest


def test_a_head_of_another_backbone_is_one_line():
    stated = info(ClassifierSettings(n_hidden=4), "0" * 64, 3)

    with pytest.raises(SettingsError, match="the classifier was trained on colours 000000000000, not on colours"):
        HeadedBackbone(colours(), Classifier("mlp", 3, 4), stated)
