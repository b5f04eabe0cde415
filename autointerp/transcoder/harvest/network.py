"""The network that coders read: the backbone that is named, or that they name, with a classifier's head if any."""

from collections.abc import Mapping
from pathlib import Path

from autointerp.transcoder.backbones.given import given_backbone
from autointerp.transcoder.backbones.headed import Network, check_same, with_classifier
from autointerp.transcoder.backbones.names import parsed, typed_backbone
from autointerp.transcoder.backbones.registry import load_backbone
from autointerp.transcoder.classifier import load_info
from autointerp.transcoder.coder_io import StoredCoder
from autointerp.transcoder.coders.peer_names import UNKNOWN
from autointerp.transcoder.harvest.source import backbone_name
from autointerp.transcoder.settings import BackboneName


def open_network(
    asked: BackboneName | None, stored: Mapping[str, StoredCoder], *, classifier: Path | None, device: str
) -> Network:
    """Opens what the coders read.

    Args:
        asked: the backbone that somebody named or made; None for the one that the coders name.
        stored: the coders, by how they were named.
        classifier: the folder of the classifier whose network they read; None for a plain backbone.
        device: where it runs, as torch names it.

    Raises:
        SettingsError: the backbone is not known, or a coder was trained on another network.
    """
    name = named_backbone(asked, stored) if isinstance(asked, str) else None
    given = None if asked is None or isinstance(asked, str) else given_backbone(asked)
    if classifier is None:
        network = Network(given or load_backbone(name or backbone_name(dict(stored)), device=device), None)
    else:
        info = load_info(classifier)
        base = given or load_backbone(name or info.backbone, seed=info.settings.seed, device=device)
        network = with_classifier(base, classifier)
    for spec, one in stored.items():
        if one.info.model != UNKNOWN:
            check_same(f"--coder {spec}", one.info.reads, one.info.classifier, network)
    return network


def named_backbone(typed: str, stored: Mapping[str, StoredCoder]) -> str:
    """Returns the model that was typed, as the coders show pictures to it where these are of that model."""
    asked, models = parsed(typed), sorted({c.info.model for c in stored.values()})
    same = [m for m in models if (own := parsed(m)).base == asked.base and own.random == asked.random]
    return same[0] if asked.crop is None and len(same) == 1 else typed_backbone(typed)
