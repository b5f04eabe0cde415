"""Makes the command line from the commands' settings records; a command is loaded only when it is called."""

import ast
import gc
import importlib
import inspect
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer.core import TyperCommand, TyperGroup

from autointerp.cli.documentation import hint_of
from autointerp.errors import AutointerpError, SettingsError

if TYPE_CHECKING:
    from types import ModuleType

    from autointerp.options import Command, Leaf, Work

COMMANDS = "autointerp.commands"
RENDER = "autointerp.cli.render"


class Lazy(TyperGroup):
    """A group of commands whose modules are loaded when one of them is called, or when all of their options are listed.

    Its own help needs only the first line of each, which is read from the source without loading it.
    """

    modules: Mapping[str, str]
    """The module of each command, without its package."""
    groups: "Mapping[str, Lazy]"
    only_summaries = False
    """Whether commands are only listed, so that none of them is loaded."""

    def list_commands(self, ctx: typer.Context) -> list[str]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Every name, in the order of the table."""
        return [*self.modules, *self.groups]

    def get_command(self, ctx: typer.Context, cmd_name: str) -> "TyperCommand | Lazy | None":  # pyright: ignore[reportIncompatibleMethodOverride]
        """The command of this name; None where there is none."""
        if cmd_name not in self.modules:
            return self.groups.get(cmd_name)
        module = self.modules[cmd_name]
        return TyperCommand(cmd_name, help=summary(module)) if self.only_summaries else made(cmd_name, module)

    def format_help(self, ctx: typer.Context, formatter: object) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Writes the help, for which no command is loaded."""
        whole, self.only_summaries = self.only_summaries, True
        super().format_help(ctx, formatter)  # pyright: ignore[reportArgumentType]
        self.only_summaries = whole


def lazy(app: typer.Typer, modules: Mapping[str, str], groups: "Mapping[str, Lazy] | None" = None) -> Lazy:
    """The group of an app with these commands.

    Args:
        app: holds the group's help and its own options.
        modules: of each command by name, without their package.
        groups: further groups inside it.
    """
    group = typer.main.get_command(app)
    assert isinstance(group, Lazy)
    group.modules, group.groups = modules, groups or {}
    return group


def work_of(module: "ModuleType") -> "Work[object]":
    """What a command's module says does the work."""
    from autointerp.options import Work

    return next(value for value in vars(module).values() if isinstance(value, Work))


@cache
def made(name: str, module: str) -> TyperCommand:
    """The command as the command line has it."""
    loaded = importlib.import_module(f"{COMMANDS}.{module}")
    work = work_of(loaded)
    record, shown_by = work.record, _shown_by(work.shown_by or module)
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="markdown")
    app.command(name, help=inspect.getdoc(record), context_settings={"help_option_names": ["-h", "--help"]})(
        _function(record, loaded, shown_by)
    )
    command = typer.main.get_command(app)
    assert isinstance(command, TyperCommand)
    command.epilog = hint_of([command.help or "", *(getattr(option, "help", None) or "" for option in command.params)])
    return command


def _shown_by(module: str) -> tuple[str, str]:
    """The module that prints a command's result, and its function; those of a group's commands lie in one module."""
    if find_spec(f"{RENDER}.{module}") is not None:
        return f"{RENDER}.{module}", "show"
    group, _, command = module.partition("_")
    return f"{RENDER}.{group}", f"show_{command}"


def _function(record: "type[Command]", loaded: "ModuleType", shown_by: tuple[str, str]) -> Callable[..., None]:
    """What Typer calls: from the options that were given to the record, to the work, to what is printed."""
    from autointerp.options import leaves
    from autointerp.settings import PANELS

    options = sorted(leaves(record), key=lambda leaf: (leaf.argument is None, PANELS.index(leaf.panel)))
    former = {old.lstrip("-").replace("-", "_"): leaf for leaf in options for old in leaf.option.was}

    def function(*, context: typer.Context, **given: object) -> None:
        from autointerp.cli.log import keep
        from autointerp.cli.progress import Live

        as_json, log = bool(given.pop("json", False)), given.pop("log")
        if isinstance(log, Path):
            keep(log, as_json=as_json)
        values = {key: value for key, value in given.items() if value is not None and value != []}
        with closing(Live(as_json=as_json)) as progress, _where_given(record, context):
            for key in values.keys() & former.keys():
                now = former[key]
                progress.note(
                    f"--{key.replace('_', '-')} is now {now.names[0]}; the old name goes with the next version"
                )
                values.setdefault(now.key, values.pop(key))
            settings = record.given(values)
            work = work_of(loaded)
            work.load()
            if not gc.isenabled():  # `main` has turned it off; what is loaded by now stays to the end
                gc.freeze()
                gc.enable()
            result = work.run(settings, progress=progress)
        code = getattr(importlib.import_module(shown_by[0]), shown_by[1])(result, settings, as_json=as_json)
        if code:
            raise typer.Exit(code)

    parameters = [inspect.Parameter("context", _KEYWORD, annotation=typer.Context)]
    parameters += [_parameter(leaf) for leaf in options]
    parameters += [_hidden(key, leaf) for key, leaf in former.items()]
    parameters += _output()
    function.__signature__ = inspect.Signature(parameters)  # pyright: ignore[reportFunctionMemberAccess] - Typer reads it
    function.__annotations__ = {p.name: p.annotation for p in parameters}
    return function


@contextmanager
def _where_given(record: "type[Command]", context: typer.Context) -> Iterator[None]:
    """Names in what is wrong the file and the key, or the variable, of each option that was not typed."""
    try:
        yield
    except AutointerpError as e:
        from autointerp.options import mentioned

        given = (_place(leaf, context) for leaf in mentioned(record, str(e)))
        e.args = (": ".join([*(place for place in given if place is not None), str(e)]),)
        raise


def _place(leaf: "Leaf", context: typer.Context) -> str | None:
    """Where an option was given; None where it was typed, or not given."""
    source = context.get_parameter_source(leaf.key)
    if source is not None and source.name == "DEFAULT_MAP":
        file, table = context.find_root().params["config"], ".".join(context.command_path.split()[1:])
        return f"{file}: [{table}] {leaf.names[0].lstrip('-')}"
    if source is not None and source.name == "ENVIRONMENT":
        return next((variable for variable in leaf.option.env if os.environ.get(variable)), None)
    return None


_KEYWORD = inspect.Parameter.KEYWORD_ONLY


def _output() -> list[inspect.Parameter]:
    """The options of every command that say what becomes of its output, and are no part of its record."""
    text = "A file that all lines of stderr are added to, with times; with --json as events."
    log = typer.Option("--log", envvar="AUTOINTERP_LOG", help=text, show_default=False, rich_help_panel="Output")
    json = typer.Option("--json", help="Print the result as one JSON object.", rich_help_panel="Output")
    return [
        inspect.Parameter("log", _KEYWORD, default=None, annotation=Annotated[Path | None, log]),
        inspect.Parameter("json", _KEYWORD, default=False, annotation=Annotated[bool, json]),
    ]


def _parameter(leaf: "Leaf") -> inspect.Parameter:
    shown: dict[str, object] = {"help": leaf.help + _note(leaf), "show_default": False}
    if leaf.option.env:
        shown["envvar"] = list(leaf.option.env)
    if leaf.argument is not None:
        shown["metavar"] = leaf.argument.metavar or leaf.key.upper()
        default = inspect.Parameter.empty if leaf.required else None
        note = typer.Argument(**shown)  # pyright: ignore[reportArgumentType]
        kind = list[str] if leaf.several else str
        return inspect.Parameter(leaf.key, _KEYWORD, default=default, annotation=Annotated[kind, note])
    least, most = leaf.bounds
    names = list(leaf.names)
    if leaf.option.negative is not None:
        names[0] = f"{names[0]}/{leaf.option.negative}"
    shown |= {"rich_help_panel": leaf.panel, "metavar": leaf.option.metavar, "min": least, "max": most}
    shown |= {"metavar": leaf.option.metavar or f"[{'|'.join(leaf.choices)}]"} if leaf.choices else {}
    note = typer.Option(*names, **shown)  # pyright: ignore[reportArgumentType]
    return inspect.Parameter(leaf.key, _KEYWORD, default=None, annotation=Annotated[_type(leaf), note])


def _hidden(key: str, leaf: "Leaf") -> inspect.Parameter:
    note = typer.Option(f"--{key.replace('_', '-')}", hidden=True, help=f"Now {leaf.names[0]}.")
    return inspect.Parameter(key, _KEYWORD, default=None, annotation=Annotated[_type(leaf), note])


def _type(leaf: "Leaf") -> object:
    """The type as Typer knows it; what is not a number, a switch or a file is text that the record reads."""
    kind = leaf.kind if leaf.kind in (bool, int, float, Path) else str
    return list[kind] | None if leaf.several else kind | None


def _note(leaf: "Leaf") -> str:
    """How the help states a default, or that there is none."""
    stated = leaf.option.default
    if leaf.required:
        return "" if leaf.argument is not None else " [required]"
    if stated is None and not (leaf.default is None or leaf.default is False or leaf.default == ()):
        between = ", " if leaf.several else ","
        stated = between.join(map(str, leaf.default)) if isinstance(leaf.default, tuple) else str(leaf.default)
        stated = leaf.names[0].lstrip("-") if leaf.default is True else stated
    return "" if stated is None else f" [default: {stated}]"


@cache
def summary(module: str) -> str:
    """The help of a command up to the first empty line, read from its source."""
    spec = find_spec(f"{COMMANDS}.{module}")
    assert spec is not None
    assert spec.origin is not None
    tree = ast.parse(Path(spec.origin).read_text("utf-8"))
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    records = (_record_of_work(node) for node in tree.body)
    record = next(classes[name] for name in records if name is not None)
    return (ast.get_docstring(record) or "").partition("\n\n")[0]


def _record_of_work(node: ast.stmt) -> str | None:
    """The record's name where a module says what does the work of its command."""
    match node:
        case ast.Assign(value=ast.Call(func=ast.Name(id="Work"), args=[ast.Name(id=name), *_])):
            return name
        case _:
            return None


def defaults(path: Path, group: Lazy, tables: Mapping[str, object], within: str = "") -> dict[str, object]:
    """A file's tables as defaults of the commands, keys named as their options.

    Raises:
        SettingsError: a table that is no command, a key that is none of its options, or a value that is not of its type
            or range; names the file.
    """
    context = typer.Context(group)
    out: dict[str, object] = {}
    for key, value in tables.items():
        where = f"{within}.{key}" if within else key
        command = group.get_command(context, key)
        if command is None or not isinstance(value, dict):
            names = ", ".join(group.list_commands(context))
            raise SettingsError(f"--config {path}: [{where}] is no command; there is {names}")
        if isinstance(command, Lazy):
            out[key] = defaults(path, command, value, where)
        else:
            out[key] = _table(path, where, command, value)
    return out


def _table(path: Path, where: str, command: TyperCommand, table: Mapping[str, object]) -> dict[str, object]:
    known = {p.name: p for p in command.params}
    given = {key.replace("-", "_"): value for key, value in table.items()}
    if unknown := sorted(given.keys() - known.keys()):
        raise SettingsError(f"--config {path}: [{where}] has no option {unknown[0]!r}")
    # One text for a repeatable option is one value, not a list of letters.
    several = {key for key, p in known.items() if getattr(p, "multiple", False)}
    out = {key: [value] if key in several and isinstance(value, str) else value for key, value in given.items()}
    context = typer.Context(command)
    for key, value in out.items():
        try:
            known[key].process_value(context, value)
        except typer.BadParameter as e:
            raise SettingsError(f"--config {path}: [{where}] {key.replace('_', '-')} = {value!r}: {e.message}") from e
    return out
