"""The kinds of files in which other methods keep descriptions of features, told apart by the names of their fields."""

import re
from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Kind:
    """A method's file as its columns, or the fields of its first object, show it."""

    method: str
    feature: str
    """What numbers the feature, in lower case as all names here."""
    text: str
    also: str | None = None
    """A further field that tells this method from another."""
    source: tuple[str, ...] = ("layer",)
    """What a description is of, from the model to the layer, as far as a file says it."""
    by: tuple[str, ...] = ()
    """Who wrote it, which counts where a feature is described several times."""
    mark: str = ""
    """What stands before every text since the method's prompt asks for it; a judge is not shown it."""
    failed: str = ""
    """What ends a text that stands where the method got none."""
    is_history: bool = False
    """Whether of several rows of one person on one feature the last holds."""

    def cleaned(self, text: str) -> str:
        """The text without white space around it and without the mark; empty where the method got none."""
        bare = text.strip()
        if self.mark and bare[: len(self.mark)].lower() == self.mark.lower():
            bare = bare[len(self.mark) :].strip()
        return "" if self.failed and bare.endswith(self.failed) else bare


PLAIN = Kind("descriptions", "feature", "text")
_NEURONPEDIA = ("typename", "explanationmodelname")

VOTES = Kind("votes", "feature", "wording", "verdict", source=(), by=("name",), is_history=True)
"""`votes.jsonl` of a run: what people would say instead."""

KINDS = (
    VOTES,
    Kind("neuronpedia", "index", "description", "modelid", source=("modelid", "layer"), by=_NEURONPEDIA),
    Kind("matryoshka-transcoders", "feature_num", "explanation", mark="Commonality:"),
    Kind("matryoshka-transcoders", "feature_num", "commonality", mark="Commonality:"),
    Kind("clip-dissect", "unit", "description", "similarity"),
    Kind("milan", "unit", "description"),
    Kind("invert", "neuron", "concept"),
    PLAIN,
    Kind("descriptions", "feature", "explanation"),
    Kind("descriptions", "feature", "description"),
)
"""The first one whose fields are all there holds.

Neuronpedia's export (Lin 2023); Matryoshka Transcoders (arXiv 2511.10094), commonalities and errors; Oikarinen & Weng
2023; Hernandez et al. 2022; Bykov et al. 2023, as CoSy (Kopf et al. 2024) publishes it.
"""
MULTIMODAL_SAE = Kind("multimodal-sae", "feature", "text", failed="Explanation could not be parsed.")
"""Zhang et al. 2024: objects of one field, `HOOK_featureN`, in a list."""
VISION_INTERP = Kind("vision-interp", "latent", "explanation")
"""HPAI-BSC/vision-interp: `latent_N/explanations/explanation.json` for each feature."""

_NAMED = re.compile(r"(?:(.*?)_?feature_?)?([0-9]{1,18})", re.IGNORECASE | re.DOTALL)


def kind_of(names: Collection[str]) -> Kind | None:
    """The kind of a file with these columns or fields, in lower case; None where there is none."""
    return next((k for k in KINDS if {k.feature, k.text, *filter(None, [k.also])} <= set(names)), None)


def named_feature(name: str) -> tuple[str, str] | None:
    """Hook and number in `HOOK_featureN`, `featureN` or `N`; None where it is no such name."""
    match = _NAMED.fullmatch(name)
    return None if match is None else (match[1] or "", match[2])
