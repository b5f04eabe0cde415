"""Every option of every command ends at its places in the record, in whichever way it is given."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from standin.commands import all_commands, run

from autointerp.cli.main import COMMANDS, GROUPS
from autointerp.commands.calibrate import Calibrate
from autointerp.commands.explain import Explain, explain
from autointerp.errors import SettingsError
from autointerp.jobs.batch.plan import RECORDS, read_plan, record
from autointerp.options import Command, Leaf, Work, leaves

MODULES = {(name,): module for name, module in COMMANDS.items()} | {
    (group, name): module for group, (_, modules) in GROUPS.items() for name, module in modules.items()
}
TEXTS: tuple[tuple[str, object], ...] = (
    ("x1", "x1"),
    ("detection", ("detection",)),
    ("2.50usd", "2.50usd"),
    ("0.75", 0.75),
    ("64,256", (64, 256)),
    ("1,2,3", (1, 2, 3)),
    ("16x12", (16, 12)),
    ("256:224", "256:224"),
    ("2GB", "2GB"),
    ("64x64", "64x64"),
)
"""What is written for an option that takes text, and what the record then holds; the first that the option takes."""
NUMBERS = (0.5, 0.25, 0.2, 2, 3, 5, 12, 24, 100, 200)


class Given(NamedTuple):
    """An option with a value that is not its default."""

    leaf: Leaf
    text: str
    """As it is written on the command line."""
    value: object
    """As the record holds it."""


def required(command: type[Command], leaf: Leaf | None = None) -> dict[str, object]:
    """What the command cannot do without, and what this option cannot."""
    out: dict[str, object] = {
        o.key: o.choices[0] if o.choices else f"given-{o.key}" for o in leaves(command) if o.required
    }
    if leaf is not None and all(place.within is not None and not place.switch for place in leaf.targets):
        within = leaf.targets[0].within
        switch = next(o for o in leaves(command) if any(p.switch and p.within == within for p in o.targets))
        out[switch.key] = 2 if switch.kind in (int, float) else "2"
    return out


def values(leaf: Leaf) -> Iterator[tuple[str, object]]:
    """Values that an option of its type might take."""
    if leaf.kind is bool:
        yield "", not leaf.default
    elif leaf.choices:
        yield from ((choice, (choice,) if leaf.several else choice) for choice in leaf.choices)
    elif leaf.kind in (int, float):
        yield from ((str(n), n) for n in NUMBERS if leaf.kind is float or isinstance(n, int))
    elif leaf.kind is Path:
        yield "x1", Path("x1")
    else:
        yield from TEXTS


def at(settings: object, path: tuple[str, ...]) -> object:
    for step in path:
        settings = getattr(settings, step, None)
    return settings


def stands(settings: Command, given: Given) -> bool:
    """Whether the record holds the value at each of the places that it has; an inner record may not be there."""
    places = [p for p in given.leaf.targets if p.within is None or at(settings, p.within) is not None]
    found = [at(settings, p.path) for p in places]
    return bool(found) and all(value in (given.value, (given.value,)) for value in found)


def in_python(given: Given) -> object:
    """The value as Python gives it, where text is read by the record."""
    return given.value if given.leaf.kind in (bool, int, float, Path) or given.leaf.choices else given.text


def chosen(command: type[Command], leaf: Leaf) -> Given:
    """The option with the first value that it takes and that is not its default."""
    for text, value in values(leaf):
        given = Given(leaf, text, value)
        try:
            settings = command.given(required(command, leaf) | {leaf.key: in_python(given)})
        except SettingsError:
            continue
        if value not in (leaf.default, (leaf.default,)) and (value,) != leaf.default and stands(settings, given):
            return given
    raise AssertionError(f"{leaf.name}: the test has no value for it")


def options(command: type[Command]) -> list[Given]:
    return [chosen(command, leaf) for leaf in leaves(command) if leaf.argument is None]


def work(words: tuple[str, ...]) -> "Work[object]":
    module = __import__(f"autointerp.commands.{MODULES[words]}", fromlist=["x"])
    return next(value for value in vars(module).values() if isinstance(value, Work))


def line(command: type[Command], given: Given | None, leaf: Leaf | None = None) -> list[str]:
    """The command's arguments and options as they are written, this option with its value."""
    words: list[str] = []
    for other in leaves(command):
        if given is not None and other.key == given.leaf.key:
            continue
        needed = required(command, leaf or (given.leaf if given else None))
        if other.key in needed:
            words += [] if other.argument else [other.names[0]]
            words.append(str(needed[other.key]))
    if given is not None:
        name = given.leaf.option.negative if given.value is False else given.leaf.names[0]
        assert name is not None
        words += [name] if given.leaf.kind is bool else [name, given.text]
    return words


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[Command]:
    """The records that commands would work with; none of them works."""
    records: list[Command] = []

    def work_with(self: object, settings: Command, **handed_on: object) -> None:
        records.append(settings)
        raise SystemExit(0)

    for variable in ("AUTOINTERP_MODEL", "AUTOINTERP_BASE_URL", "AUTOINTERP_JUDGE_MODEL", "AUTOINTERP_CACHE"):
        monkeypatch.delenv(variable, raising=False)
    # Neither the extra of a command nor its module has to be there.
    monkeypatch.setattr(Work, "load", lambda work: work_with)
    monkeypatch.setattr(Work, "run", work_with)
    return records


EVERY = pytest.mark.parametrize("words", list(MODULES), ids=" ".join)


@EVERY
def test_an_option_on_the_command_line_ends_at_its_places(words: tuple[str, ...], told: list[Command]):
    command = work(words).record

    for given in options(command):
        result = run(*words, *line(command, given))
        assert result.code == 0, (given.leaf.name, result.err)
        assert stands(told[-1], given), (given, told[-1])


@EVERY
def test_a_key_of_a_file_ends_at_its_places(words: tuple[str, ...], told: list[Command], tmp_path: Path):
    command, file = work(words).record, tmp_path / "defaults.toml"

    for given in options(command):
        is_text = given.leaf.kind not in (bool, int, float)
        value = json.dumps(given.text if is_text else given.value)
        key = given.leaf.key.replace("_", "-")
        file.write_text(f"[{'.'.join(words)}]\n{key} = {value}\n", "utf-8")
        result = run("--config", file, *words, *_without(line(command, None, given.leaf), given.leaf))
        assert result.code == 0, (given.leaf.name, result.err)
        assert stands(told[-1], given), (given, told[-1])


def _without(words: list[str], leaf: Leaf) -> list[str]:
    if leaf.names[0] not in words:
        return words
    place = words.index(leaf.names[0])
    return words[:place] + words[place + 2 :]


@EVERY
def test_a_keyword_in_python_ends_at_its_places(words: tuple[str, ...], told: list[Command]):
    called = work(words)

    for given in options(called.record):
        with pytest.raises(SystemExit):
            called(**required(called.record, given.leaf) | {given.leaf.key: given.value})
        assert stands(told[-1], given), (given, told[-1])


@pytest.mark.parametrize("kind", list(RECORDS))
def test_a_recorded_command_says_the_same_when_it_is_read(kind: str, tmp_path: Path):
    command = RECORDS[kind]

    for number, given in enumerate(options(command)):
        if all(place.path[0] in ("run", "execution") for place in given.leaf.targets):
            continue  # where the work is done is said anew when it is done
        if given.leaf.key in ("explanations", "new_run", "layer"):
            continue  # what is adopted from elsewhere is in the run before the command is recorded
        folder = tmp_path / str(number)
        record(folder, kind, command.given(required(command, given.leaf) | {given.leaf.key: in_python(given)}))
        (stage,) = read_plan(folder)
        if given.value in ("x1", Path("x1")) and not stands(stage.settings, given):  # pyright: ignore[reportArgumentType]
            # What a recorded command writes lies in the run's folder.
            place = folder if given.leaf.key == "out" else Path.cwd()
            given = given._replace(value=type(given.value)(place / "x1"))
        assert stands(stage.settings, given), (given, stage.settings)  # pyright: ignore[reportArgumentType]


DIFFERENT = {
    "--active-above": "harvest finds it; what other tools recorded fires above 0 with them",
    "--active": "tune judges every reply of every step, score each explanation once",
    "--reads": "harvest and train evaluate take the coders' hookpoint, and what learns has a usual one",
    "--attribute": "harvest names one, mt finds it among its folders, and what learns has none unless it is said",
    "--backbone": "harvest takes the coders' model, and train transcoder a store unless a model is named",
    "--bands": "harvest keeps bands of activation; others show images out of them",
    "--batch": "images, tokens, features or a batch job",
    "--budget": "a batch job has the budget of the command that was recorded",
    "--coder": "score and explain take the one that the dump names, view none",
    "--candidates": "explain samples several only when it is asked to, tune always",
    "--checkpoint-every": "images for a harvest, steps for training",
    "--decay": "a weight decay for a head, the falling rate's share of the steps for a coder",
    "--domain": "explain asks about one only where it is told to, benchmark make needs its categories",
    "--features": "numbers of features; for train classifier the folder of the backbone's vectors",
    "--held-out": "features for tune, groups of images for a coder",
    "--hookpoint": "imported features may have any; a head has a usual one",
    "--images": "one population, several generators, or what a pack is measured on besides the dump's pool",
    "--judge": "compare sets judges beside each other, export writes all of them, others show the first",
    "--level": "a rate of false discoveries, or the group of a Matryoshka dictionary that mt wrote",
    "--max-tokens": "tune samples the short replies that it trains",
    "--model": "who explains, who judges, or whose features are imported",
    "--n-latents": "most tools say it, and a folder of images does not",
    "--out": "each command writes another file",
    "--precision": "harvest goes by the device, of which training does not depend unless it is asked to",
    "--pictures": "how many of each feature export shows; whether cache prune removes decoded ones",
    "--population": "files with every activation mostly say how many images were run, others do not",
    "--rate": "that of a coder falls with its width",
    "--rendering": "a judge sees no marks",
    "--run": "the cache is asked about any number of runs, others write one",
    "--same-meaning": "for explain a judge decides on borderline pairs, for benchmark make nobody does",
    "--scorers": "compare takes those that both runs have",
    "--side": "pixels, fewer for a judge; for an sae the side of the layer",
    "--silent-below": "a contrast must not be what nearly fires; a score counts all that does not fire",
    "--silent": "harvest keeps images that score draws from; tune judges every reply of every step",
    "--steps": "a step of tune takes minutes, one of a coder milliseconds",
    "--store": "mt's folders hold copies of the images, others lead to where they are",
    "--temperature": "tune needs replies that differ",
    "--top": "harvest keeps images that others show some of",
    "--widths": "train transcoder makes the prefixes; an importer is told of them",
}
"""Options that do not have the same default in all commands, and why."""


def test_an_option_has_the_same_default_wherever_it_is_unless_there_is_a_reason():
    defaults: dict[str, dict[str, list[str]]] = {}
    for words in MODULES:
        for leaf in leaves(work(words).record):
            if leaf.argument is None and not leaf.required:
                for name in leaf.names:
                    default = repr(leaf.option.default or leaf.default)
                    defaults.setdefault(name, {}).setdefault(default, []).append(" ".join(words))

    assert {name: found for name, found in defaults.items() if len(found) > 1 and name not in DIFFERENT} == {}
    assert [name for name in DIFFERENT if len(defaults.get(name, {})) < 2] == []


@EVERY
def test_no_name_belongs_to_two_options(words: tuple[str, ...]):
    names = [name for leaf in leaves(work(words).record) if leaf.argument is None for name in leaf.names]

    assert sorted(names) == sorted(set(names))


def test_all_commands_are_those_of_the_table():
    assert set(all_commands()) == set(MODULES)


def test_a_record_given_as_text_takes_options_too():
    settings = Calibrate.given({"model": "judge", "seed": 3, "detail": "low"})

    assert (settings.model.model, settings.model.seed, settings.model.detail) == ("judge", 3, "low")


def test_a_keyword_that_is_none_is_as_one_that_is_not_given(monkeypatch: pytest.MonkeyPatch):
    handed: list[dict[str, object]] = []
    monkeypatch.setattr(Work, "run", lambda self, settings, **handed_on: handed.append(handed_on))
    progress = object()

    explain("d", "r", model="m", progress=None, outbox=None)
    explain("d", "r", model="m", progress=progress, outbox=None)

    assert handed == [{}, {"progress": progress}]


def test_an_option_that_means_nothing_alone_says_what_it_needs():
    result = run("explain", "dump", "--run", "r", "--model", "m", "--subset", "2")

    assert (result.code, result.out) == (2, "")
    assert result.err == "autointerp: --subset: it means nothing alone; add --candidates or --diverse\n"
    assert Explain.given({"dump": "d", "run": "r", "model": "m", "subset": 2, "diverse": True}).settings.candidates
