"""Puts a result together from what fires in the images of each set, and what a judge said of some of them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import erfc, sqrt

import numpy as np

from autointerp.errors import excerpt
from autointerp.generators.comparison import (
    LEAST,
    Images,
    Thing,
    against_pack,
    against_set,
    any_draws,
    own_shifts,
    pairs_of,
    ranks_of,
    shift_from_pack,
    shifts_of,
    things_of,
)
from autointerp.generators.records import MOST_TEXT, Estimated, Mode, Pack, Rate
from autointerp.generators.results import ANY, Compared, OfMode, OfSet, Pair, Ranked
from autointerp.generators.sets import ImageSet
from autointerp.statistics.clusters import (
    Looked,
    two_phase,
    two_phase_draws,
    wilson_bounds,
    without_false_alarms,
)
from autointerp.statistics.exact import benjamini_hochberg
from autointerp.statistics.rates import Floats

FEW_PROMPTS = 20
"""Clusters below which a set's intervals say little, whatever its images."""
N_BROKEN = 20
"""Files that cannot be read, of which a result has the line."""
STYLE = 0.1
"""Standard deviation on the scale of angles above which style is warned of; 0.1 is 9 points at a share of one half."""


@dataclass(frozen=True)
class Word:
    """What a judge said of a mode in a set."""

    fired: Looked
    silent: Looked
    missing: int
    """Images of the sample without an answer."""


@dataclass(frozen=True)
class Study:
    """All that a result is computed from."""

    pack: Pack
    sets: Sequence[ImageSet]
    images: Sequence[Images]
    """In the order of `sets`."""
    words: Mapping[tuple[str, str], Word]
    """By set and mode; empty without a judge."""
    seed: int
    replicates: int
    _found: dict[tuple[str, int], "Drawn | None"] = field(default_factory=dict, init=False)

    @property
    def generators(self) -> list[Images]:
        """Returns the sets that are compared with each other."""
        return [i for i in self.images if not i.reference]

    @property
    def reference_images(self) -> Images | None:
        """Returns the reference set, if one was given."""
        return next((i for i in self.images if i.reference), None)

    def judged(self, own: Images, m: int) -> "Drawn | None":
        """Returns the share of a set's images that show a mode by the judge's word; None where no judge saw any.

        Where sound images are the reference and were judged too, what the judge says of them is taken out.
        """
        if (own.name, m) not in self._found:
            found, reference = self._as_said(own, m), self.reference_images
            if found is not None and reference is not None and not own.reference:
                found = found.without(self._as_said(reference, m))
            self._found[own.name, m] = found
        return self._found[own.name, m]

    def _as_said(self, own: Images, m: int) -> "Drawn | None":
        word = self.words.get((own.name, self.pack.modes[m].id))
        if word is None or not word.silent.n:
            return None
        number = [i.name for i in self.images].index(own.name)
        rng, share = np.random.default_rng((0x7D9E, self.seed, number, m)), own.of([m]).share
        found = two_phase(share, word.fired, word.silent, draws=self.replicates, rng=rng)
        draws = two_phase_draws(share, word.fired, word.silent, draws=self.replicates, rng=rng)
        return Drawn(found.value, draws)


@dataclass(frozen=True, eq=False)
class Drawn:
    """An estimate, and draws of what it may be."""

    value: float
    draws: Floats

    def without(self, sound: "Drawn | None") -> "Drawn":
        """Returns the same without what the judge says of sound images, which `sound` is about."""
        if sound is None:
            return self
        value = without_false_alarms(np.array([self.value]), np.array([sound.value]))
        return Drawn(float(value[0]), without_false_alarms(self.draws, sound.draws))

    @property
    def p(self) -> float:
        """Returns the two-sided p-value of the estimate being 0, its error being normal with the draws' spread."""
        spread = float(self.draws.std())
        return erfc(abs(self.value) / (sqrt(2) * spread)) if spread > 0 else 1.0

    @property
    def estimated(self) -> Estimated:
        """Returns the estimate with its interval."""
        low, high = np.quantile(self.draws, [0.025, 0.975])
        return Estimated(value=self.value, low=min(self.value, float(low)), high=max(self.value, float(high)))


def sets_of(study: Study) -> tuple[OfSet, ...]:
    """Describes every set, the generators from fewest to most failures and then the reference."""
    shifts = own_shifts(study.generators, shifts_of(study.generators))
    described = [_of_set(study, s, i, shifts.get(i.name, 0.0)) for s, i in zip(study.sets, study.images, strict=True)]
    # What a judge says of some sets alone is no figure to set beside what fires in the others.
    by_judge = all(o.judged_per_image is not None for o in described if not o.reference)
    return tuple(sorted(described, key=lambda o: (o.reference, _order(o, by_judge=by_judge), o.name)))


def _order(one: OfSet, *, by_judge: bool) -> float:
    return one.judged_per_image.value if by_judge and one.judged_per_image is not None else one.any.value


def _of_set(study: Study, own: ImageSet, images: Images, shift: float) -> OfSet:
    pack, things = study.pack, things_of(study.pack)
    # A category may be called what a mode is.
    against = {(t.kind, t.what): _against(study, images, t) for t in things}
    modes = {m.id: _of_mode(study, images, i, against["mode", m.id]) for i, m in enumerate(pack.modes)}
    categories = list(dict.fromkeys(m.category for m in pack.modes))
    prompts = [p for p in own.prompts if p is not None]
    return OfSet(
        name=own.name,
        reference=images.reference,
        n_images=images.n,
        n_prompts=len(set(prompts)),
        n_clusters=len(np.unique(images.clusters)),
        sizes=tuple(size for size, _ in own.sizes[:3]),
        broken=tuple(excerpt(line, MOST_TEXT) for line in own.broken[:N_BROKEN]),
        n_broken=len(own.broken),
        ranked=not images.reference and images.n >= LEAST,
        any=Rate.of(images.of(range(len(pack.modes))).share),
        any_against_reference=against["any", ANY],
        per_image=images.per_image,
        judged_per_image=_judged_sum(study, images),
        modes=modes,
        categories={c: Rate.of(images.of(_columns(pack, c)).share) for c in categories},
        controls=float(images.controls.mean()) if images.controls.size else 0.0,
        shift=float(np.sqrt(shift)),
        warnings=tuple(_warnings(own, images, shift)),
    )


def _columns(pack: Pack, category: str) -> list[int]:
    return [i for i, m in enumerate(pack.modes) if m.category == category]


def _warnings(own: ImageSet, images: Images, shift: float) -> Iterator[str]:
    if not images.reference and images.n < LEAST:
        yield f"has {_images(images.n)}, fewer than {LEAST}, so it has intervals and no rank"
    if (n := len(np.unique(images.clusters))) < FEW_PROMPTS:
        yield f"says as much as {_images(n)}, prompts and near-duplicates counting once, so its intervals are wide"
    if own.broken:
        what = (
            "1 file that cannot be read was"
            if len(own.broken) == 1
            else f"{len(own.broken):,} files that cannot be read were"
        )
        yield f"{what} left out, the first: {excerpt(own.broken[0], 400)}"
    if len(own.sizes) > 1:
        yield f"its images have {len(own.sizes)} sizes"
    if np.sqrt(shift) > STYLE:
        yield (
            "features that have nothing to do with errors fire otherwise in it than in the others, so its style weighs "
            "on its rates; its intervals of differences are wider for that"
        )


def _images(n: int) -> str:
    return "1 image" if n == 1 else f"{n:,} images"


def _against(study: Study, own: Images, thing: Thing) -> Compared | None:
    reference = study.reference_images
    if own.reference:
        return None
    if reference is not None:
        (shift,) = shifts_of([reference, own]).values()
        return against_set(own, reference, thing, shift)
    return against_pack(own, _pack_rate(study.pack, thing), thing, shift_from_pack(own, study.pack))


def _pack_rate(pack: Pack, thing: Thing) -> Rate:
    if thing.kind == "any":
        return pack.overall.without_attribute
    if thing.kind == "category":
        return pack.categories[thing.what].without_attribute
    return pack.modes[thing.columns[0]].without_attribute


def _of_mode(study: Study, own: Images, m: int, against: Compared | None) -> OfMode:
    mode: Mode = study.pack.modes[m]
    word, judged = study.words.get((own.name, mode.id)), study.judged(own, m)
    return OfMode(
        rate=Rate.of(own.of([m]).share),
        severity=own.severity_of(m),
        judged=None if judged is None else judged.estimated,
        precision=None if word is None or not word.fired.n else _plain(word.fired),
        missed=None if word is None or not word.silent.n else _plain(word.silent),
        against_reference=against,
    )


def _plain(looked: Looked) -> Rate:
    """The share of yes among images that were drawn one by one."""
    value, n = looked.yes / looked.n, looked.n / looked.copies
    low, high = wilson_bounds(value, n)
    hits = round(looked.yes)
    return Rate(value=value, low=low, high=high, hits=hits, n=looked.n, n_clusters=looked.n, n_effective=n)


def _sum(study: Study, own: Images) -> Drawn | None:
    """Modes that a mean image shows by the judge's word; None where one was not judged."""
    found = [study.judged(own, m) for m in range(len(study.pack.modes))]
    known = [d for d in found if d is not None]
    if len(known) < len(found):
        return None
    return Drawn(sum(d.value for d in known), np.sum([d.draws for d in known], axis=0))


def _judged_sum(study: Study, own: Images) -> Estimated | None:
    found = _sum(study, own)
    return None if found is None else found.estimated


def compared_pairs(study: Study) -> tuple[Pair, ...]:
    """Compares all generators in all things."""
    generators, things = study.generators, things_of(study.pack)
    if len(generators) < 2:
        return ()
    found = pairs_of(generators, things, shifts_of(generators))
    by_name, columns = {i.name: i for i in generators}, {m.id: i for i, m in enumerate(study.pack.modes)}
    apart = [_apart(study, by_name[p.a], by_name[p.b], columns[p.what]) if p.kind == "mode" else None for p in found]
    known = [d for d in apart if d is not None]
    q = iter(benjamini_hochberg(np.array([d.p for d in known])).tolist())
    return tuple(
        p if d is None else p.model_copy(update={"judged": d.estimated, "judged_q": next(q)})
        for p, d in zip(found, apart, strict=True)
    )


def _apart(study: Study, a: Images, b: Images, m: int) -> Drawn | None:
    """The difference of two sets in a mode by the judge's word."""
    one, other = study.judged(a, m), study.judged(b, m)
    return None if one is None or other is None else Drawn(other.value - one.value, other.draws - one.draws)


def ranks(study: Study) -> tuple[tuple[Ranked, ...], bool]:
    """Ranks the generators with images enough, by the judge's word where there is one of all of them; says if so."""
    own = [i for i in study.generators if i.n >= LEAST]
    if len(own) < 2:
        return (), False
    names = [i.name for i in own]
    judged = [_sum(study, i) for i in own]
    if all(d is not None for d in judged):
        return ranks_of(names, np.stack([d.draws for d in judged if d is not None], axis=1)), True
    shifts = own_shifts(study.generators, shifts_of(study.generators))
    return ranks_of(names, any_draws(own, shifts, replicates=study.replicates, seed=study.seed)), False
