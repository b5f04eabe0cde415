"""Generation: do pictures that are made of the explanation, and of nothing else, fire the feature?

No judge takes part. An image model makes pictures of the explanation, in several styles, and the network that made the
dump encodes them as it encoded the images. The value is the chance that such a picture fires the feature more than an
image of the population does (CoSy, Kopf et al. 2024, arXiv 2405.20331), over the population by strata and sampling
probabilities. Beside it stands the same with pictures of other explanations, and how far the own ones are above those.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from autointerp.lmm.outcomes import DEFERRED, Failure
from autointerp.schema import Control, Details, Generated
from autointerp.scoring.case import Case, Kept, Made, Outcome, Scorer
from autointerp.scoring.distractors import normal
from autointerp.scoring.gallery import GENERIC, TEMPLATE, Album, Gallery, Shot
from autointerp.scoring.generation_statistics import (
    Pictures,
    Rivals,
    auroc,
    auroc_interval,
    mean_above,
    p_of_texts,
)
from autointerp.scoring.sampling import Item
from autointerp.statistics.clusters import average_of, share_of
from autointerp.statistics.rates import Floats, Interval

NAME = "generation"
LEAST = 2
"""With fewer pictures nothing is said."""
MOST_STRONGER = 5
"""Other latents that are named, at most."""


async def generation(case: Case) -> Outcome:
    """Computes how far pictures of the explanation fire the feature above the population, and above other pictures."""
    gallery, encoder = case.gallery, case.encoder
    assert gallery is not None, "a run with this scorer opens an image model"
    assert encoder is not None, "a run with this scorer opens an encoder"
    own = await gallery.of(case.explanation.parts or (case.explanation.text,))
    if isinstance(own, Failure):
        if own.kind == DEFERRED:
            # One batch job then makes those of all texts.
            others = await _others(case, gallery)
            return others if isinstance(others, Failure) and others.kind != DEFERRED else own
        return own
    case.gaps += own.gaps
    if (n := len(own.shots)) < LEAST:
        why = ", ".join(f"{count} {kind}" for kind, count in Counter(gap.kind for gap in own.gaps).items())
        return case.unscored(NAME, f"{n} pictures of the explanation could be made, {LEAST} are needed ({why})")
    others = await _others(case, gallery)
    if isinstance(others, Failure):
        return others
    population = _population(case)
    least, population = _least(population, case)
    pictures = _columns(own, least, case)
    details: Details = {"encoder": encoder.name, "image_model": gallery.name}
    if own.gaps:
        details["missing"] = len(own.gaps)
    details |= _fires(pictures, case) | _published(pictures, population)
    columns = {key: _columns(album, least, case) for key, album in others.items()}
    more, controls = _against(columns, pictures, population, case)
    return case.scored(
        NAME,
        auroc_interval(pictures, population, case.draws),
        n,
        details | more | _stronger(own, list(others.values()), case),
        controls,
        said=Made(gallery.template.digest[:12], own.usage),
        kept=Kept(generated=await _records(own, gallery, case)),
    )


Others = dict[tuple[str, int], Album]
"""Pictures of other texts, by what they are (`other`, `neighbour`, `photograph`) and their number."""


async def _others(case: Case, gallery: Gallery) -> Others | Failure:
    """The pictures of the texts that serve as controls; a text of which none could be made is left out."""
    own, fixed = normal(case.explanation.text), case.control_texts
    texts: dict[tuple[str, int], str] = {("photograph", 0): GENERIC}
    if fixed is not None:
        texts |= {("other", i): text for i, text in enumerate(fixed.texts) if normal(text) != own}
    nearest = None if fixed is None else fixed.neighbours.get(case.feature.id)
    async with asyncio.TaskGroup() as group:
        asked = {key: group.create_task(gallery.shared(text)) for key, text in texts.items()}
        if nearest is not None:
            # It serves this feature alone, and is not kept for others.
            asked["neighbour", 0] = group.create_task(gallery.of((nearest,)))
    out: Others = {}
    for key, task in asked.items():
        if isinstance(found := task.result(), Failure):
            return found
        out[key] = found
    return {key: album for key, album in out.items() if album.shots}


def _population(case: Case) -> Rivals:
    """All held-out rows of the dump, weighted; NaN for what a silent one reached where the dump does not say it."""
    items = case.pool.sample({stratum: len(own) for stratum, own in case.pool.ordered.items()}).items
    _, stratum = np.unique([_stratum(item) for item in items], return_inverse=True)
    _, group = np.unique([item.group or f"image {item.exemplar.image}" for item in items], return_inverse=True)
    return Rivals(
        level=np.array([_level(item) for item in items], np.float64),
        weight=np.array([item.weight for item in items], np.float64),
        stratum=stratum.astype(np.int64),
        group=group.astype(np.int64),
    )


def _stratum(item: Item) -> str:
    return f"{item.stratum} {'near' if item.margin else ''}"


def _level(item: Item) -> float:
    exemplar = item.exemplar
    reached = exemplar.silent_activation if exemplar.silent else exemplar.activation
    return np.nan if reached is None else reached


def _least(population: Rivals, case: Case) -> tuple[float, Rivals]:
    """The activation below which all count as equal, and the population with it.

    It is the threshold where the dump does not say what silent images reach, and else nothing.
    """
    if not np.isnan(population.level).any():
        return -np.inf, population
    least = case.feature.active_above
    return least, replace(population, level=np.fmax(population.level, least))


def _columns(album: Album, least: float, case: Case) -> Pictures:
    pictures = album.of(case.feature.id)
    return replace(pictures, level=np.maximum(pictures.level, least))


def _fires(pictures: Pictures, case: Case) -> Details:
    """The share of the pictures that fire the feature."""
    fires = pictures.level.astype(np.float32) > np.float32(case.feature.active_above)
    found = share_of(fires, pictures.style)
    return {"fires": found.value, "fires_low": found.low, "fires_high": found.high}


def _published(pictures: Pictures, population: Rivals) -> Details:
    """CoSy's two figures as published, where each image of the control counts the same."""
    alike = replace(population, weight=np.ones_like(population.weight))
    found: Details = {"cosy_auc": auroc(pictures, alike)}
    mad = mean_above(pictures, population)
    return found if mad is None else found | {"cosy_mad": mad}


def _against(
    others: Mapping[tuple[str, int], Pictures], pictures: Pictures, population: Rivals, case: Case
) -> tuple[Details, dict[str, Control]]:
    """How the pictures of other texts do against the population, and how far the own ones are above them."""
    details: Details = {}
    controls: dict[str, Control] = {}
    for kind in ("other", "neighbour", "photograph"):
        columns = [one for (own, _), one in others.items() if own == kind]
        rivals = _rivals(columns)
        met = pictures if rivals is None else _meeting(pictures, rivals)
        if rivals is None or met is None:
            continue
        found = auroc_interval(met, rivals, case.draws)
        details |= _named(f"selectivity_{kind}", found)
        each = np.array([auroc(one, population) for one in columns])
        controls[kind] = _control(columns, each, population, case)
        if kind == "other":
            details["p_other"] = p_of_texts(auroc(pictures, population), each)
    return details, controls


def _rivals(columns: Sequence[Pictures]) -> Rivals | None:
    """The pictures of other texts, each text a group."""
    if not columns:
        return None
    sizes = [len(one.level) for one in columns]
    return Rivals(
        level=np.concatenate([one.level for one in columns]),
        weight=np.ones(sum(sizes)),
        stratum=np.zeros(sum(sizes), np.int64),
        group=np.repeat(np.arange(len(columns)), sizes).astype(np.int64),
        style=np.concatenate([one.style for one in columns]),
    )


def _meeting(pictures: Pictures, rivals: Rivals) -> Pictures | None:
    """The pictures of styles in which there are rivals."""
    assert rivals.style is not None
    met = np.isin(pictures.style, rivals.style)
    return Pictures(pictures.level[met], pictures.style[met]) if met.any() else None


def _control(columns: Sequence[Pictures], each: Floats, population: Rivals, case: Case) -> Control:
    """The mean over texts with its interval; of one text the interval over its own pictures."""
    n = sum(len(one.level) for one in columns)
    over_texts = average_of(each, np.arange(len(each)))
    found = over_texts or auroc_interval(columns[0], population, case.draws)
    return Control(value=found.value, low=max(0.0, found.low), high=min(1.0, found.high), n=n)


def _stronger(own: Album, others: Sequence[Album], case: Case) -> Details:
    """The other latents that fire more strongly on these pictures than on those of other texts, each by its own scale.

    Each activation is taken as a share of the largest of its latent in the dump, and what the pictures of other texts
    reach is taken off, so that a latent that fires on every picture is none of them.
    """
    largest = case.largest
    gain = _mean_shares([own], largest) - _mean_shares(others, largest)
    at = case.feature.id
    if at >= len(gain):
        return {}
    above = np.flatnonzero(gain > max(gain[at], 0.0))
    ordered = above[np.argsort(-gain[above], kind="stable")]
    details: Details = {"n_stronger": len(above)}
    if len(above):
        details["stronger"] = ", ".join(str(latent) for latent in ordered[:MOST_STRONGER].tolist())
    return details


def _mean_shares(albums: Sequence[Album], largest: Floats) -> Floats:
    """The mean over pictures of each latent's activation as a share of its largest; 0 for one without."""
    total, shots = np.zeros(len(largest)), [shot for album in albums for shot in album.shots]
    for shot in shots:
        known = shot.fired.latents < len(largest)
        latents = shot.fired.latents[known]
        total[latents] += np.where(
            largest[latents] > 0, shot.fired.values[known] / np.maximum(largest[latents], 1e-30), 0
        )
    return total / max(1, len(shots))


def _named(name: str, interval: Interval) -> Details:
    return {name: interval.value, f"{name}_low": interval.low, f"{name}_high": interval.high}


async def _records(own: Album, gallery: Gallery, case: Case) -> tuple[Generated, ...]:
    """Records each picture, with the heat map where it fires the feature."""
    level, above = own.of(case.feature.id).level, np.float32(case.feature.active_above)
    fires = (level.astype(np.float32) > above).tolist()
    firing = replace(own, shots=tuple(shot for shot, fired in zip(own.shots, fires, strict=True) if fired))
    heats = iter(await gallery.heats(firing, case.feature.id))
    return tuple(
        _record(shot, value, fired=fired, heat=next(heats) if fired else None)
        for shot, value, fired in zip(own.shots, level.tolist(), fires, strict=True)
    )


def _record(shot: Shot, level: float, *, fired: bool, heat: bytes | None) -> Generated:
    return Generated(
        picture=shot.painted.sha256,
        width=shot.painted.size[0],
        height=shot.painted.size[1],
        prompt=shot.prompt,
        style=shot.style,
        activation=level,
        fires=fired,
        heat=None if heat is None else heat.hex(),
    )


GENERATION = Scorer(NAME, generation, needs_encoder=True, needs_pictures=True, template=TEMPLATE)
"""Has pictures made of an explanation and asks the network that made the dump whether they fire the feature."""
