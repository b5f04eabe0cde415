"""Explains broader features first, so that narrower ones are asked what is special about them."""

from collections.abc import Iterator

from autointerp.dump.reader import Dump
from autointerp.errors import SettingsError
from autointerp.runs.folder import Run
from autointerp.runs.index import ExplanationIndex, Ints, holds
from autointerp.schema import Feature
from autointerp.settings import ExplainSettings


class Ancestry:
    """The parents' explanations of each feature, as far as the run has them.

    Args:
        dump: whose features state their parents.
        run: where explanations are written.

    Raises:
        SettingsError: the dump states no parents.
    """

    def __init__(self, dump: Dump, run: Run) -> None:
        if not _states_parents(dump):
            raise SettingsError(
                f"--hierarchy: {dump.path} states no parents of its features; "
                "`autointerp harvest` writes them for coders with several widths"
            )
        self._widths = dump.info.widths
        self._run = run
        self._index: ExplanationIndex | None = None

    def waves(self, ids: Ints) -> Iterator[Ints]:
        """The features in groups by their nested prefix, the smallest first; parents stand in smaller ones."""
        below = 0
        for width in self._widths:
            own = ids[(ids >= below) & (ids < width)]
            below = width
            if len(own):
                self._index = self._run.index()
                yield own

    def texts(self, feature: Feature) -> dict[int, str]:
        """Explanations of a feature's parents by id, the closest first; parents without one are passed over."""
        assert self._index is not None, "texts are asked for within a wave"
        known = [p for p in feature.row.parents or () if holds(self._index.features, p)]
        found = {p: self._index[p] for p in known}
        return {p: e.text for p, e in found.items() if not e.none}


def _states_parents(dump: Dump) -> bool:
    """Whether any feature does; most dumps that have parents have them from the first row group on."""
    parts = dump.feature_parts
    columns = (parts.read(at, ["parents"])["parents"] for at in range(len(parts.index.rows)))
    return any(column.null_count < len(column) for column in columns)


class NoAncestry:
    """Features in any order, none told of another."""

    def waves(self, ids: Ints) -> Iterator[Ints]:
        """Returns all features as one wave."""
        if len(ids):
            yield ids

    def texts(self, feature: Feature) -> dict[int, str]:
        """Returns no texts."""
        return {}


def ancestry_of(dump: Dump, run: Run, settings: ExplainSettings) -> Ancestry | NoAncestry:
    """In which order the features of a run are explained, and what each is told of others.

    Raises:
        SettingsError: a hierarchy is asked for and the dump states no parents.
    """
    return Ancestry(dump, run) if settings.hierarchy else NoAncestry()
