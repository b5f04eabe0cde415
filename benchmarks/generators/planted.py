"""An explainer and a judge that know each scene's record: a run whose texts are right where the features are."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from autointerp.clock import now
from autointerp.dump.reader import Dump, open_dump
from autointerp.job import reference
from autointerp.runs.folder import RunWriter
from autointerp.runs.info import ExplainStage, RunInfo, ScoreStage
from autointerp.schema import Control, DomainFinding, Explanation, Feature, Scored, Usage
from autointerp.settings import ExplainSettings, ModelName, ModelSettings, ScoreSettings
from autointerp.statistics.rates import Bools, Floats, f1_samples
from autointerp.statistics.resampling import Draws, interval_of, one_look, permuted_f1, resample
from autointerp.version import __version__
from benchmarks.generators.scenes import Picture

NAME = "planted-truth"
SAID = {
    "a thing that floats above its shadow": (frozenset({"floating"}), "gravity-and-support"),
    "a thing that casts no shadow at all": (frozenset({"no shadow"}), "light-and-shadow"),
    "a floor without a shadow where a thing should touch it": (
        frozenset({"floating", "no shadow"}),
        "light-and-shadow",
    ),
    "a shadow cast towards the light": (frozenset({"contradictory shadow"}), "light-and-shadow"),
    "two things that pass through each other": (frozenset({"interpenetration"}), "impossible-configuration"),
    "a thing with its upper part twice": (frozenset({"doubled part"}), "extra-or-missing-limbs"),
}
"""What the planted explainer says: of which errors it is true, and its category."""
SHOWN = 12
MOST_OF = 0.7
"""Share of the images shown of which a text must be true; of several the narrowest is said."""
LEAST_ACTIVE = 29
N_SILENT = 60


@dataclass(frozen=True)
class _Known:
    """The records of the dump's images."""

    kinds: Mapping[int, str]
    things: Mapping[int, str]

    def fits(self, text: str, images: Sequence[int]) -> Floats:
        """Says what the judge says of images, 1 or 0 each."""
        if text in SAID:
            return np.array([float(self.kinds[i] in SAID[text][0]) for i in images])
        thing = text.removeprefix("a scene about ")
        return np.array([float(self.things[i] == thing) for i in images])


def planted_run(dump_path: Path, out: Path, pictures: Sequence[Picture]) -> None:
    """Writes a run over a dump of these pictures, explained and scored from what is known of them."""
    by_name = {p.name: p for p in pictures}
    with open_dump(dump_path, allow_outside=True) as dump:
        table = dump.images_table()
        paths = zip(table["image"].to_pylist(), table["path"].to_pylist(), strict=True)
        known = {image: by_name[Path(path).name] for image, path in paths}
        records = _Known({i: p.kind for i, p in known.items()}, {i: p.thing for i, p in known.items()})
        with RunWriter(out, _info(dump)) as writer:
            said = [(f, _explained(f, records)) for f in dump.features() if f.row.n_active >= LEAST_ACTIVE]
            texts = [e.text for _, e in said]
            for i, (feature, explanation) in enumerate(said):
                writer.explanation(explanation)
                writer.score(_scored(dump, feature, explanation, records, texts[(i + 7) % len(texts)]))


def _info(dump: Dump) -> RunInfo:
    model = ModelSettings(model=ModelName(NAME))
    return RunInfo(
        version=__version__,
        created=now(),
        dump=reference(dump),
        explain=ExplainStage(
            model=model, settings=ExplainSettings(domain="physical-plausibility"), prompts={"explain": "0" * 12}
        ),
        score=ScoreStage(judge=model, settings=ScoreSettings(scorers=("detection",)), prompts={"judge": "0" * 12}),
    )


def _explained(feature: Feature, known: _Known) -> Explanation:
    top = [e.image for e in sorted(feature.active, key=lambda e: -e.activation)][:SHOWN]
    true_of = {text: [i for i in top if known.kinds[i] in kinds] for text, (kinds, _) in SAID.items()}
    fitting = [text for text, own in true_of.items() if len(own) >= MOST_OF * len(top)]
    finding = None
    if fitting:
        text = min(fitting, key=lambda t: len(SAID[t][0]))
        finding = DomainFinding(
            domain="physical-plausibility",
            found=True,
            text=text,
            category=SAID[text][1],
            images=tuple(true_of[text]),
        )
    else:
        text = f"a scene about {Counter(known.things[i] for i in top).most_common(1)[0][0]}"
    return Explanation(
        feature=feature.id,
        text=text,
        concepts=(text,),
        none=False,
        domain=finding,
        model=NAME,
        prompt="0" * 12,
        images=tuple(top),
        usage=Usage(),
        created=now(),
    )


def _scored(dump: Dump, feature: Feature, said: Explanation, known: _Known, other: str) -> Scored:
    """Detection: weighted F1 on images that the explainer was not shown."""
    assert dump.pool is not None
    row = dump.pool.row(feature.id)
    fires = {} if row is None else {i: a for i, a in row.activations.items() if a > dump.info.active_above}
    rng = np.random.default_rng((0xD37, feature.id))
    silent = rng.permutation([i for i in dump.pool.images.tolist() if i not in fires])
    active = [i for i in fires if i not in said.images]
    images = [*active, *silent[:N_SILENT].tolist()]
    y: Floats = np.array([1.0] * len(active) + [0.0] * (len(images) - len(active)))
    weight = np.where(y == 1, len(fires) / max(1, len(active)), len(silent) / max(1, len(images) - len(active)))
    belief, draws = known.fits(said.text, images), Draws(300, feature.id)
    judged = one_look(y, belief, weight, y.astype(np.int64))
    found = interval_of(f1_samples, judged, resample(judged, draws))
    dealt, _ = permuted_f1(judged, draws)

    def under(beliefs: Floats) -> Control:
        return Control(value=float(f1_samples(y, beliefs, y, weight[None])[0]), n=len(images))

    return Scored(
        feature=feature.id,
        scorer="detection",
        value=found.value,
        low=found.low,
        high=found.high,
        n=len(images),
        details={},
        controls={
            "always_yes": under(np.ones(len(images))),
            "other": under(known.fits(other, images)),
            "permuted": Control(value=dealt.value, low=dealt.low, high=dealt.high, n=len(images)),
        },
        judge=NAME,
        prompt="0" * 12,
        created=now(),
    )


def truth_of(kinds: Sequence[str], text: str) -> Bools:
    """Says of which images what the planted explainer says is true."""
    return np.array([k in SAID[text][0] for k in kinds])
