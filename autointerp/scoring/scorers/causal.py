"""Causal: does the region that the explainer sees fire the feature by itself, and is the feature silent without it?

No judge takes part, and no explanation: the network that made the dump is asked again. A transformer's patches have
seen the whole image by the layer that is read, so that a hot patch need not hold what makes the feature fire. Each
held-out active image with a region smaller than itself is encoded anew as the region alone (the value, sufficiency, is
the weighted share on which that fires), as the image without the region (necessity is the share that falls silent), and
as a silent image with the region put into it. Each stands beside the same with a region of the same size elsewhere.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import numpy as np

from autointerp.images.alteration import ERASURES, Alteration, Source, crop, erased, pasted
from autointerp.schema import Box, Control, Details, Exemplar, Reencoded, Verdict
from autointerp.scoring.case import MORE_ACTIVE, Case, Kept, Outcome, Scorer
from autointerp.scoring.causal_statistics import Drawn, kept, p_above, share
from autointerp.scoring.regions import elsewhere, same_place
from autointerp.scoring.sampling import Item
from autointerp.statistics.rates import Bools, Floats, Interval, wilson
from autointerp.tiles import region_box

NAME = "causal"
MOST_DONATED = 12
"""Regions of another feature that are shown as a control."""
PASSES = 2 * (2 + len(ERASURES))
"""Pictures that are made of each image."""

Figures = dict[str, Floats]
"""Activations by the name of the picture, [images]; NaN where a picture cannot be made."""


@dataclass(frozen=True, slots=True)
class Asked:
    """An active image, its region, and what is compared with it."""

    item: Item
    source: Source
    box: Box
    other: Box | None
    """A region of the same size elsewhere in the image."""
    host: Source | None
    """A silent image."""
    at: Box | None
    """Where the region is put there."""

    def pictures(self) -> dict[str, Alteration]:
        """All pictures that are made of it, by name."""
        out = {"crop": crop(self.source, self.box)}
        out |= {how: erased(self.source, self.box, how) for how in ERASURES}
        if self.other is not None:
            out["crop elsewhere"] = crop(self.source, self.other)
            out |= {f"{how} elsewhere": erased(self.source, self.other, how) for how in ERASURES}
        if self.host is not None and self.at is not None:
            out["pasted"] = pasted(self.source, self.box, self.host, self.at)
            if self.other is not None:
                out["pasted elsewhere"] = pasted(self.source, self.other, self.host, self.at)
        return out


async def causal(case: Case) -> Outcome:
    """Computes how often the region alone fires the feature, and beside it what the image without it does."""
    encoder = case.encoder
    assert encoder is not None, "a run with this scorer opens an encoder"
    drawn = case.pool.without_margin.draw(case.settings.n_causal, case.settings.n_causal)
    asked = [one for item in drawn.active if (one := _asked(case, item, drawn.silent)) is not None]
    found = await _activations(case, asked)
    whole = [not np.isnan([found[name][i] for name in ("crop", *ERASURES)]).any() for i in range(len(asked))]
    missing = whole.count(False)
    asked = [one for one, is_whole in zip(asked, whole, strict=True) if is_whole]
    found = {name: values[np.array(whole, bool)] for name, values in found.items()}
    if (n := len(asked)) < (least := max(2, case.settings.min_active)):
        said = f"{n} held-out active images have a region smaller than the image, {least} are needed"
        return case.unscored(NAME, f"{said}; {MORE_ACTIVE}")
    columns = Drawn.of([one.item for one in asked])
    fires = _fires(found["crop"], case)
    details: Details = {"encoder": encoder.name, "whole": len(drawn.active) - n - missing}
    if missing:
        details["missing"] = missing
    details |= _without(found, columns, case) | _left(found, asked, columns, case) | _put(found, columns, case)
    controls, p = _controls(found, columns, case)
    if (other := await _donated(case)) is not None:
        controls["other_region"] = other
    if p is not None:
        details["p_elsewhere"] = p
    return case.scored(
        NAME,
        share(fires, columns, case.draws),
        n,
        details,
        controls,
        kept=Kept(
            verdicts=tuple(_verdict(one.item, fired) for one, fired in zip(asked, fires.tolist(), strict=True)),
            reencoded=tuple(_record(one, found, i) for i, one in enumerate(asked)),
        ),
    )


def _asked(case: Case, item: Item, silent: Sequence[Item]) -> Asked | None:
    """What is asked about an image; None where its region is all of it, or as good as all."""
    image, encoder = case.pool.images[item.exemplar.image], case.encoder
    assert encoder is not None
    box = region_box(item.exemplar, image, case.pool.grid, case.settings.region)
    if box is None:
        return None
    chance = Random(f"causal:{case.settings.seed}:{case.feature.id}:{image.image}")
    seen = encoder.seen((image.width, image.height))
    host = case.pool.images[chance.choice(silent).exemplar.image] if silent else None
    at = None
    if host is not None:
        size = (host.width, host.height)
        at = same_place(box, seen, encoder.seen(size), size)
    into = None if host is None else Source.of(host)
    return Asked(item, Source.of(image), box, elsewhere(box, seen, chance), into, at)


async def _activations(case: Case, asked: Sequence[Asked]) -> Figures:
    """Encodes all pictures at once, so that they fill batches."""
    assert case.encoder is not None
    pictures = [(i, name, made) for i, one in enumerate(asked) for name, made in one.pictures().items()]
    values = await case.encoder.activations([made for _, _, made in pictures], case.feature.id)
    names = ("crop", "pasted", *ERASURES)
    found = {name: np.full(len(asked), np.nan) for own in names for name in (own, f"{own} elsewhere")}
    for (i, name, _), value in zip(pictures, values, strict=True):
        found[name][i] = value
    return found


def _fires(values: Floats, case: Case) -> Floats:
    """1 where the feature fires and 0 where it does not, as a dump has it."""
    return (values.astype(np.float32) > np.float32(case.feature.active_above)).astype(float)


def _silent(found: Figures, case: Case, end: str = "") -> Floats:
    """The share of the ways to take a region away after which the feature is silent, for each image."""
    return np.mean([1 - _fires(found[f"{how}{end}"], case) for how in ERASURES], axis=0)


def _without(found: Figures, columns: Drawn, case: Case) -> Details:
    """Necessity, and how far the ways to take a region away disagree on it."""
    whole = share(_silent(found, case), columns, case.draws)
    each = {how: share(1 - _fires(found[how], case), columns, case.draws).value for how in ERASURES}
    spread = max(each.values()) - min(each.values())
    return {
        **_named("necessity", whole),
        **{f"necessity_{how}": value for how, value in each.items()},
        "necessity_spread": spread,
    }


def _left(found: Figures, asked: Sequence[Asked], columns: Drawn, case: Case) -> Details:
    """What is left of the activation on the region alone, and without the region."""
    original = np.array([one.item.exemplar.activation for one in asked], float)
    without = np.mean([kept(found[how], original) for how in ERASURES], axis=0)
    return {
        **_named("kept", share(kept(found["crop"], original), columns, case.draws)),
        **_named("kept_without", share(without, columns, case.draws)),
    }


def _put(found: Figures, columns: Drawn, case: Case) -> Details:
    """How often a silent image fires the feature once the region is put into it."""
    known: Bools = ~np.isnan(found["pasted"])
    if known.sum() < 2:
        return {}
    return _named("pasted", share(_fires(found["pasted"][known], case), columns.part(known), case.draws))


def _controls(found: Figures, columns: Drawn, case: Case) -> tuple[dict[str, Control], float | None]:
    """The same with a region elsewhere, and the p-value of the region alone firing no more often than that."""
    known: Bools = np.isfinite(sum(found[f"{name} elsewhere"] for name in ("crop", *ERASURES)))
    if known.sum() < 2:
        return {}, None
    there, part = {name: values[known] for name, values in found.items()}, columns.part(known)
    alone = _fires(there["crop elsewhere"], case)
    controls = {
        "elsewhere": _control(share(alone, part, case.draws), len(alone)),
        "erased_elsewhere": _control(share(_silent(there, case, " elsewhere"), part, case.draws), len(alone)),
    }
    put: Bools = ~np.isnan(there["pasted elsewhere"])
    if put.sum() >= 2:
        fires = _fires(there["pasted elsewhere"][put], case)
        controls["pasted_elsewhere"] = _control(share(fires, part.part(put), case.draws), int(put.sum()))
    return controls, p_above(_fires(there["crop"], case), alone, case.draws)


async def _donated(case: Case) -> Control | None:
    """How often the regions of another feature, alone, fire this one; each counts the same."""
    if case.donor is None:
        return None
    assert case.encoder is not None
    pictures = [made for e in case.donor.exemplars if (made := _donated_crop(case, e)) is not None][:MOST_DONATED]
    values = await case.encoder.activations(pictures, case.feature.id)
    known = values[~np.isnan(values)]
    if len(known) < 2:
        return None
    return _control(wilson(float(_fires(known, case).sum()), len(known)), len(known))


def _donated_crop(case: Case, exemplar: Exemplar) -> Alteration | None:
    assert case.donor is not None
    image = case.donor.images[exemplar.image]
    box = region_box(exemplar, image, case.pool.grid, case.settings.region)
    return None if box is None else crop(Source.of(image), box)


def _named(name: str, interval: Interval) -> Details:
    return {name: interval.value, f"{name}_low": interval.low, f"{name}_high": interval.high}


def _control(interval: Interval, n: int) -> Control:
    return Control(value=interval.value, low=interval.low, high=interval.high, n=n)


def _verdict(item: Item, fired: float) -> Verdict:
    """Whether the region alone fires the feature, in the place of a judge's word."""
    exemplar = item.exemplar
    return Verdict(
        image=exemplar.image,
        active=True,
        stratum=item.stratum,
        activation=exemplar.activation,
        belief=fired,
        weight=item.weight,
    )


def _record(one: Asked, found: Figures, i: int) -> Reencoded:
    put = found["pasted"][i]
    is_put = one.host is not None and not np.isnan(put)
    made = {name: float(found[name][i]) for name in ("crop", *ERASURES)}
    return Reencoded(
        image=one.source.image,
        box=one.box.corners,
        elsewhere=None if one.other is None else one.other.corners,
        activation=one.item.exemplar.activation,
        into=one.host.image if is_put and one.host is not None else None,
        at=one.at.corners if is_put and one.at is not None else None,
        pasted=float(put) if is_put else None,
        **made,
    )


def _share_that_fires(verdicts: Sequence[Verdict], weight: Floats) -> float:
    """The weighted share of the regions that fire the feature by themselves."""
    return float(np.average([float(v.belief == 1) for v in verdicts], weights=weight))


CAUSAL = Scorer(NAME, causal, reads_text=False, sides="none", needs_encoder=True, value_of=_share_that_fires)
