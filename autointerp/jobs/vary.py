"""`autointerp compare`: runs that are there, or runs made for it that differ in one setting each."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from autointerp.commands.compare import Compare
from autointerp.commands.explain import Explain
from autointerp.commands.score import Score
from autointerp.dump.reader import Dump, open_dump
from autointerp.errors import RunError, SettingsError
from autointerp.estimation.cost_levers import Plan
from autointerp.estimation.dry_run import Rehearsal
from autointerp.estimation.forecast import measured_features
from autointerp.explanation.explainer import asks_network
from autointerp.job import JobResult, Progress, Silent, choose, refuse_overlap
from autointerp.jobs.agreement import REPLICATES, JudgesCompared, compare_judges
from autointerp.jobs.compare import Comparison, compare_runs, judges_of
from autointerp.jobs.compare_many import Comparisons, compare_many
from autointerp.jobs.estimate import Sums, pictures_where_made
from autointerp.jobs.explain import run as explain
from autointerp.jobs.score import run as score
from autointerp.jobs.variations import Variation, variations
from autointerp.options import Settings, leaves
from autointerp.record import Record
from autointerp.remote.path import as_path, is_remote
from autointerp.scoring.settings_checks import wants_encoder
from autointerp.session.encoding import network_of
from autointerp.settings import Execution, FeatureSelection
from autointerp.shards.dealing import after
from autointerp.shards.remote_runs import read_run
from autointerp.statistics.resampling import Draws
from autointerp.transcoder.settings import NetworkChoice

HEADLINE = "detection"
"""The scorer by which the runs of --vary are compared unless --scorers says otherwise."""
_BESIDE = frozenset(
    (
        "run_a",
        "run_b",
        "more",
        "scorers",
        "seed",
        "judges",
        "reference",
        "out",
        "model",
        "base_url",
        "judge_model",
        "judge_base_url",
        "cache",
    )
)
"""Options that mean something without --vary, or that a variable of the environment may give."""


class Calls(Record):
    """What a run is expected to ask."""

    requests: int
    tokens: int
    dollars: float | None
    """None where the price is not known."""


class VariedRun(Record):
    """One of the runs."""

    name: str
    """The setting that is changed, as `contrast=8`; `base` for the run without any change."""
    run: str
    calls: Calls
    """The most that it asks: what another run asked in the same words is answered from the cache."""
    failed: int = 0
    """Features that failed now and stay pending."""
    stopped: str | None = None
    """Why making it ended early."""


class Varied(Record):
    """The runs that were made, and what their comparison says."""

    runs: tuple[VariedRun, ...]
    """The base first. Those behind one that was stopped are not begun."""
    features: int
    comparisons: Comparisons | None
    """None where nothing was asked, or the work was stopped."""

    @property
    def halted(self) -> bool:
        """Whether the budget or a signal ended the work early."""
        return any(run.stopped is not None for run in self.runs)

    @property
    def calls(self) -> Calls:
        """What all runs together ask at most."""
        dollars = [run.calls.dollars for run in self.runs]
        known = [d for d in dollars if d is not None]
        return Calls(
            requests=sum(run.calls.requests for run in self.runs),
            tokens=sum(run.calls.tokens for run in self.runs),
            dollars=sum(known) if len(known) == len(dollars) else None,
        )


class _Grid:
    """Makes the runs.

    Args:
        settings: the whole command.
        folder: in which they are made.
    """

    def __init__(self, settings: Compare, folder: str) -> None:
        self._o = settings
        self._folder = folder
        self.variations = [replace(v, settings=_where_made(v.settings)) for v in variations(settings)]
        if settings.model.model is None:
            raise SettingsError("--vary: name a model with --model: one that your endpoint knows, e.g. gpt-5-mini")

    def estimated(self) -> tuple[int, list[VariedRun]]:
        """The number of features, and each run with what it asks."""
        o, first = self._o, self._o.model.of(str(self._o.model.model))
        with open_dump(o.run_a, allow_outside=o.allow_outside) as dump:
            chosen = choose(dump, o.features, width=o.width, sample=o.sample, seed=o.seed)
            if not len(chosen):
                raise SettingsError("no feature is left to compare on; name others with --features")
            for variation in self.variations:
                _check_network(variation.settings, o.network, dump)
            rehearsal = Rehearsal(dump, measured_features(dump, chosen, o.seed), o.prompts)
            explaining = Sums(rehearsal, len(chosen), o.prices, first.base_url)
            judging = Sums(rehearsal, len(chosen), o.prices, o.judge.base_url or first.base_url)
            runs = [
                VariedRun(name=v.name, run=self._place(v), calls=_calls(v, explaining, judging))
                for v in self.variations
            ]
        return len(chosen), runs

    def _place(self, variation: Variation) -> str:
        return f"{self._folder.rstrip('/')}/{variation.folder}"

    def explaining(self, variation: Variation, spent: float) -> Explain:
        """The command that explains."""
        base, o = self._o, variation.settings
        return Explain(
            dump=base.run_a,
            run=self._place(variation),
            features=base.features,
            width=base.width,
            sample=base.sample,
            seed=base.seed,
            model=o.model.of(str(o.model.model)),
            settings=o.explain,
            network=base.network,
            engine=after(base.engine, spent),
            execution=Execution(exchanges=base.exchanges),
            prompts=base.prompts,
            cache=base.cache,
            prices=base.prices,
            allow_outside=base.allow_outside,
        )

    def scoring(self, variation: Variation, spent: float) -> Score:
        """The command that scores."""
        base, o = self._o, variation.settings
        return Score(
            run=self._place(variation),
            features=FeatureSelection("all"),
            judge=o.judge,
            settings=o.score,
            network=base.network,
            engine=after(base.judging, spent),
            execution=Execution(exchanges=base.exchanges),
            dump=base.run_a,
            prompts=base.prompts,
            cache=base.cache,
            prices=base.prices,
            allow_outside=base.allow_outside,
        )

    def made(self, runs: Sequence[VariedRun], progress: Progress) -> Iterator[VariedRun]:
        """Makes the runs one after the other; ends with the first one that is stopped."""
        spent = 0.0
        for number, (variation, planned) in enumerate(zip(self.variations, runs, strict=True), 1):
            progress.note(f"run {number} of {len(runs)}: {variation.name} -> {planned.run}")
            results: list[JobResult] = [explain(self.explaining(variation, spent), progress=progress)]
            spent += results[-1].spent
            if results[-1].stopped is None:
                results.append(score(self.scoring(variation, spent), progress=progress))
                spent += results[-1].spent
            stopped = next((r.stopped for r in results if r.stopped is not None), None)
            failed = sum(r.failed for r in results)
            yield planned.model_copy(update={"failed": failed, "stopped": stopped})
            if stopped is not None:
                return
            if failed and not results[-1].done + results[-1].before:
                raise RunError(
                    f"{planned.run}: no feature is scored, since all failed (its failures.jsonl says why); mend that, "
                    "then run the same command again"
                )


def _where_made(o: Compare) -> Compare:
    """The settings with an image model for what has pictures made, and for nothing else."""
    explain, score = pictures_where_made(o.explain, o.score)
    return o.model_copy(update={"explain": explain, "score": score})


def _check_network(o: Compare, named: NetworkChoice, dump: Dump) -> None:
    """Refuses settings by which a network would be asked that nobody names, before any run is made and paid for.

    Raises:
        SettingsError: nothing says what made the dump.
    """
    scorer = wants_encoder(o.score.scorers)
    by_score = None if scorer is None else f"--scorers {scorer}"
    if (option := asks_network(o.explain) or by_score) is not None:
        network_of(named, dump, option)


def _calls(variation: Variation, explaining: Sums, judging: Sums) -> Calls:
    """What a run asks; the explanations of one that only judges otherwise come from the cache."""
    o = variation.settings
    explainer = str(o.model.model)
    judge = str(o.judge.model or explainer)
    parts = []
    whole = judging.of_model(judge, Plan(o.explain, o.score, o.judge.detail))
    asked = judging.of_model(judge, Plan(o.explain, None, o.judge.detail))
    dollars = None if whole.dollars is None or asked.dollars is None else whole.dollars - asked.dollars
    tokens = whole.input_tokens + whole.output_tokens - asked.input_tokens - asked.output_tokens
    parts.append(Calls(requests=whole.requests - asked.requests, tokens=tokens, dollars=dollars))
    if variation.explains:
        own = explaining.of_model(explainer, Plan(o.explain, None, o.model.detail))
        parts.append(Calls(requests=own.requests, tokens=own.input_tokens + own.output_tokens, dollars=own.dollars))
        painted, painting = explaining.painting(o.explain)
        parts.append(Calls(requests=painted, tokens=0, dollars=painting))
    known = [p.dollars for p in parts if p.dollars is not None]
    return Calls(
        requests=sum(p.requests for p in parts),
        tokens=sum(p.tokens for p in parts),
        dollars=sum(known) if len(known) == len(parts) else None,
    )


def vary(settings: Compare, progress: Progress) -> Varied:
    """Makes the runs and compares them; given again, it goes on where it stopped.

    Raises:
        AutointerpError: something that you can mend; the message says how.
    """
    if settings.run_b is not None:
        raise SettingsError("--vary: name the dump alone, without a run")
    if settings.new_run is None:
        raise SettingsError("--vary: name a folder for the runs with --run")
    if is_remote(as_path(settings.new_run)):
        raise SettingsError(f"--run {settings.new_run}: the runs of --vary are made in a folder on disk; name one")
    refuse_overlap(settings.run_a, settings.new_run)
    grid = _Grid(settings, settings.new_run)
    features, planned = grid.estimated()
    out = Varied(runs=tuple(planned), features=features, comparisons=None)
    progress.note(told(out))
    if settings.dry_run:
        return out
    made = list(grid.made(planned, progress))
    out = out.model_copy(update={"runs": (*made, *planned[len(made) :])})
    if out.halted:
        return out
    names = [run.run for run in made]
    # One scorer is one test for each setting; the others read the same answers or no explanation.
    scorers = settings.scorers or (HEADLINE,)
    return out.model_copy(update={"comparisons": compare_many(names, scorers=scorers, seed=settings.seed)})


def told(planned: Varied) -> str:
    """What the runs take, in one line."""
    calls = planned.calls
    price = "price unknown" if calls.dollars is None else f"${calls.dollars:,.2f}"
    return (
        f"estimated: {len(planned.runs)} runs of {planned.features:,} features ask at most {calls.requests:,} "
        f"questions, {calls.tokens:,} tokens, {price}"
    )


def _refuse_idle(settings: Compare) -> None:
    """Refuses options that only --vary has a use for."""
    for leaf in leaves(Compare):
        if leaf.key not in _BESIDE and any(_is_given(settings, target.path) for target in leaf.targets):
            raise SettingsError(f"{leaf.name}: it goes with --vary; two runs are compared as they are")


def _is_given(settings: Compare, path: Sequence[str]) -> bool:
    record: object = settings
    for step in path:
        if not isinstance(record, Settings) or step not in record.model_fields_set:
            return False
        record = getattr(record, step)
    return True


def run(settings: Compare, *, progress: Progress | None = None) -> Comparison | Comparisons | Varied | JudgesCompared:
    """Compares the scores of runs, or the judges of one; with --vary it makes the runs first.

    Raises:
        AutointerpError: something that you can mend; the message says how.
    """
    if settings.vary:
        if settings.judges:
            raise SettingsError("--judge: the runs of --vary have one judge each, which --judge-model names")
        _refuse_of_judges(settings)
        return vary(settings, progress or Silent())
    _refuse_idle(settings)
    if settings.run_b is None:
        return _judges(settings)
    _refuse_of_judges(settings)
    named = (settings.run_a, settings.run_b, *settings.more)
    judges = judges_of(settings.judges, len(named))
    with ExitStack() as stack:
        folders = [stack.enter_context(read_run(run)) for run in named]
        names = [str(as_path(run)) for run in named]
        scorers, seed = settings.scorers, settings.seed
        if len(folders) > 2:
            return compare_many(folders, scorers=scorers, seed=seed, judges=judges).named(names)
        found = compare_runs(folders[0], folders[1], scorers=scorers, seed=seed, judges=judges)
        return found.named(names[0], names[1])


def _judges(settings: Compare) -> JudgesCompared:
    """Compares the judges of one run."""
    if settings.scorers is not None:
        raise SettingsError("--scorers: judges of one run are compared on the questions of detection; leave it out")
    place = as_path(settings.run_a)
    if isinstance(place, Path) and not settings.judges and not (place / "run.json").exists():
        raise SettingsError(
            "name two runs at least, one run that several judges scored, or a dump with --vary and --run"
        )
    with read_run(place) as folder:
        draws = Draws(REPLICATES, settings.seed)
        found = compare_judges(folder, settings.judges, reference=settings.reference, out=settings.out, draws=draws)
        return found.model_copy(update={"run": str(place)})


def _refuse_of_judges(settings: Compare) -> None:
    """Refuses options that are for the judges of one run alone."""
    for name in ("reference", "out"):
        if getattr(settings, name) is not None:
            raise SettingsError(f"--{name}: is for two judges of one run; name that run alone, or leave it out")
