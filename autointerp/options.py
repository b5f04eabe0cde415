"""Settings records as options: what a field needs besides its type, and the way from options to a record and back.

A command has one record. Its fields, and those of the records it is composed of, are its options: the command line, a
TOML file, the environment, keyword arguments in Python, a recorded batch plan and the documentation are read from it.
"""

import ast
import importlib
import inspect
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from functools import cache, partial
from itertools import pairwise
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, ClassVar, Generic, Literal, NamedTuple, Self, TypeVar, Union, cast, get_args, get_origin

from annotated_types import Ge, Gt, Le
from pydantic import BaseModel, BeforeValidator, ValidationError
from pydantic.fields import FieldInfo

from autointerp.errors import SettingsError, one_line
from autointerp.extras import need
from autointerp.interactive import progressing
from autointerp.keywords import Keyword, speaking_python
from autointerp.record import Record

Steps = tuple[str, ...]
R = TypeVar("R")
MAIN = "Options"
HANDED_ON = ("progress", "outbox", "stop")
"""Keywords of a command's function that are no options."""


@dataclass(frozen=True, slots=True)
class Option:
    """What a field of a settings record says of itself as an option, where its name and type do not say it.

    Args:
        names: how it is written, e.g. `--top`; by default the field's name with hyphens. Further ones are synonyms.
        negative: how a switch that is on by default is turned off, e.g. `--raw`.
        was: former names, accepted for one more version with a line that names the successor.
        env: the environment variables that give it, the first one that is set.
        panel: the panel of the help that lists it; by default that of its record.
        metavar: how the help writes its value.
        missing: what to say where it is required and not given.
        default: how the help states a default that the type cannot state.
        help: what it means, where the docstring under the field does not say it well.
        key: how Python and TOML name it, where that is not the first name.
        several: whether it may be repeated although the field takes one value, since other fields take the others.
    """

    names: tuple[str, ...] = ()
    negative: str | None = None
    was: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    panel: str | None = None
    metavar: str | None = None
    missing: str | None = None
    default: str | None = None
    help: str | None = None
    several: bool = False
    key: str | None = None

    def __init__(
        self,
        *names: str,
        several: bool = False,
        was: str | tuple[str, ...] = (),
        env: str | tuple[str, ...] = (),
        **more: str,
    ):
        """Takes the names as arguments."""
        put = object.__setattr__
        put(self, "names", names)
        put(self, "was", (was,) if isinstance(was, str) else was)
        put(self, "env", (env,) if isinstance(env, str) else env)
        put(self, "several", several)
        for name in ("negative", "panel", "metavar", "missing", "default", "help", "key"):
            put(self, name, more.pop(name, None))
        assert not more, f"unknown: {', '.join(more)}"


@dataclass(frozen=True, slots=True)
class Argument:
    """Marks a field that is given by its place.

    Args:
        metavar: how the help writes it; by default the field's name.
        option: whether the command line takes it by name all the same, and only Python by place.
    """

    metavar: str | None = None
    option: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """Marks text that is a path, unless it is a URL."""


@dataclass(frozen=True, slots=True)
class Commas:
    """Marks several values that are written as one text with commas between them."""


@dataclass(frozen=True, slots=True)
class Group:
    """How a record stands in another, where its fields are options of other names, or not all of them are options.

    Args:
        options: by field: another `Option` instead of its own.
        only: the fields that are options, of a record inside this one as `field.field`; None for all.
        switch: of a record that may be None: the fields any of which makes it one. Other fields alone are refused.
        panel: the panel of the help, instead of the record's own.
    """

    options: Mapping[str, Option] = field(default_factory=dict)
    only: tuple[str, ...] | None = None
    switch: tuple[str, ...] = ()
    panel: str | None = None


class Settings(Record):
    """A record whose fields are options. The docstring under a field is its help."""

    panel: ClassVar[str] = MAIN
    """The panel of the help that lists the fields."""
    changes_answers: ClassVar[bool] = True
    """Whether a run depends on the fields, so that another value needs another run."""


class Command(Settings):
    """The settings of a command, all that was asked for. The docstring of the record is the command's help."""

    @classmethod
    def given(cls, options: Mapping[str, object]) -> Self:
        """The record from options by name, e.g. `top=4`, or from whole records by field, e.g. `settings=…`.

        Raises:
            SettingsError: the command has no such option, or it does not take the value.
        """
        names = {leaf.key: leaf.name for leaf in leaves(cls)}
        for key, value in options.items():
            if isinstance(value, (str, Path)) and "\0" in str(value):
                # No file has such a name, and whoever opens one says so in many ways.
                raise SettingsError(f"{names.get(key, key)}: there is a NUL in {one_line(str(value))!r}; leave it out")
        try:
            return cls.model_validate(_nested(cls, options))
        except ValidationError as e:
            raise SettingsError(said(cls, e)) from e

    def absolute(self) -> Self:
        """The same with every path made absolute, so that it means the same in another folder."""
        changed: dict[str, object] = {}
        for name, info in type(self).model_fields.items():
            value = getattr(self, name)
            if isinstance(value, Path):
                changed[name] = value.absolute()
            elif isinstance(value, str) and "://" not in value and _marked(info, Place):
                changed[name] = str(Path(value).absolute())
        return self.model_copy(update=changed)


class Target(NamedTuple):
    """A field that an option sets."""

    path: Steps
    within: Steps | None
    """The record around it that may be None."""
    switch: bool
    """Whether giving the option is what makes that record."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """One option of a command."""

    key: str
    """The name in Python and TOML."""
    names: tuple[str, ...]
    """How it is written on the command line; synonyms follow the first one."""
    targets: tuple[Target, ...]
    """The fields that it sets."""
    record: type[BaseModel]
    """What has the first of these fields."""
    option: Option
    argument: Argument | None
    """None for what the command line takes by name."""
    by_place: bool
    """Whether Python takes it by place."""
    annotation: object
    info: FieldInfo
    default: object
    """The value where it is not given; None where it is required."""
    panel: str

    @property
    def name(self) -> str:
        """Returns the name that messages use."""
        return self.names[0] if self.argument is None else self.key

    @property
    def help(self) -> str:
        """Returns the help text."""
        return " ".join((self.option.help or docstring_of(self.record, self.targets[0].path[-1])).split())

    @property
    def required(self) -> bool:
        """Whether the command cannot do without."""
        has_none = self.info.is_required() and self.default is None
        return has_none and all(place.within is None for place in self.targets)

    @property
    def several(self) -> bool:
        """Whether it may be repeated; what is marked with commas, and numbers, stand in one text."""
        kind = plain(self.annotation)
        in_one_text = _marked(self.info, Commas) or (
            get_origin(kind) is tuple and plain(get_args(kind)[0]) in (int, float)
        )
        return self.option.several or (get_origin(kind) is tuple and not in_one_text)

    @property
    def kind(self) -> object:
        """The type of a single value; text where the field reads its value from text."""
        if any(isinstance(m, BeforeValidator) for m in self.info.metadata):
            return str
        kind = plain(self.annotation)
        if get_origin(kind) is tuple:
            return plain(get_args(kind)[0]) if self.several else str
        return kind

    @property
    def choices(self) -> tuple[str, ...]:
        """The values to choose from; empty where any is taken."""
        return get_args(self.kind) if get_origin(self.kind) is Literal else ()

    @property
    def bounds(self) -> tuple[float | None, float | None]:
        """The least and the greatest value, as far as they belong to the range."""
        marks = (*self.info.metadata, *(m for a in _alternatives(self.annotation) for m in _metadata(a)))
        least = next((m.ge for m in marks if isinstance(m, Ge)), None)
        if least is None and self.kind is int:
            least = next((cast("int", m.gt) + 1 for m in marks if isinstance(m, Gt)), None)
        most = next((m.le for m in marks if isinstance(m, Le)), None)
        return cast("float | None", least), cast("float | None", most)


@cache
def leaves(command: type[Settings]) -> tuple[Leaf, ...]:
    """The options of a command, in the order of its fields; an option sets all fields of its name."""
    found: dict[str, Leaf] = {}
    for leaf in _walk(command, (), Group(), None, None):
        there = found.get(leaf.key)
        if there is not None and (there.argument is None) != (leaf.argument is None):
            # An option with the name of an argument is another thing, so its field names it.
            leaf, there = replace(leaf, key=leaf.targets[0].path[-1]), None
        found[leaf.key] = leaf if there is None else replace(there, targets=there.targets + leaf.targets)
    # A synonym gives way to the option that has it as its own name.
    own = {leaf.names[0] for leaf in found.values()}
    return tuple(replace(o, names=(o.names[0], *(n for n in o.names[1:] if n not in own))) for o in found.values())


def _walk(
    record: type[BaseModel], path: Steps, group: Group, within: Steps | None, instance: BaseModel | None
) -> Iterator[Leaf]:
    """The options of a record at a path; `instance` is what stands there by default."""
    panel = group.panel or cast("str", getattr(record, "panel", MAIN))
    only = None if group.only is None else [n.partition(".") for n in group.only]
    for name, info in record.model_fields.items():
        if only is not None and all(first != name for first, _, _ in only):
            continue
        here, marks = (*path, name), {type(m): m for m in info.metadata}
        required = info.is_required() and instance is None
        default = (
            None if required else getattr(instance, name) if instance else info.get_default(call_default_factory=True)
        )
        inner = _record_of(info.annotation)
        if inner is not None and Option not in marks:
            around = marks.get(Group, Group())
            if further := tuple(rest for first, _, rest in only or () if first == name and rest):
                around = replace(around, only=further)
            yield from _walk(inner, here, around, here if around.switch else within, cast("BaseModel | None", default))
            continue
        option = group.options.get(name) or marks.get(Option) or Option()
        mark = marks.get(Argument)
        argument = None if mark is None or mark.option else mark
        written = option.names[0].lstrip("-").replace("-", "_") if option.names and argument is None else name
        key = option.key or written
        yield Leaf(
            key=key,
            names=option.names or (f"--{key.replace('_', '-')}",),
            targets=(Target(here, within, switch=name in group.switch),),
            record=record,
            option=option,
            argument=argument,
            by_place=mark is not None,
            annotation=info.annotation,
            info=info,
            default=default,
            panel=option.panel or panel,
        )


def docstring_of(record: type[BaseModel], name: str) -> str:
    """What stands under a field of a record, or of one that it is made from."""
    for base in record.__mro__:
        if name in vars(base).get("__annotations__", {}):
            return _docstrings(base.__module__).get((base.__name__, name), "")
    return ""


@cache
def _docstrings(module: str) -> Mapping[tuple[str, str], str]:
    """The docstrings of a module's fields by class and field.

    Pydantic finds them too, but whenever a class is made, for which every start would wait.
    """
    found: dict[tuple[str, str], str] = {}
    for made in ast.parse(inspect.getsource(sys.modules[module])).body:
        if isinstance(made, ast.ClassDef):
            for one, other in pairwise(made.body):
                if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name) and isinstance(other, ast.Expr):
                    said = other.value.value if isinstance(other.value, ast.Constant) else None
                    found[made.name, one.target.id] = said if isinstance(said, str) else ""
    return found


def plain(annotation: object) -> object:
    """A type without None and without what annotates it; `str` for one of several types."""
    kinds = [a for a in _alternatives(annotation) if a is not NoneType]
    kind = kinds[0] if len(kinds) == 1 else str
    return plain(get_args(kind)[0]) if get_origin(kind) is Annotated else kind


def _alternatives(annotation: object) -> tuple[object, ...]:
    return get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)


def _metadata(annotation: object) -> tuple[object, ...]:
    return get_args(annotation)[1:] if get_origin(annotation) is Annotated else ()


def _marked(info: FieldInfo, mark: type) -> bool:
    marks = [*info.metadata, *(m for a in _alternatives(info.annotation) for m in _metadata(a))]
    return any(isinstance(m, mark) for m in marks)


def _record_of(annotation: object) -> type[BaseModel] | None:
    kind = plain(annotation)
    return kind if isinstance(kind, type) and issubclass(kind, Settings) else None


def _nested(command: type[Settings], options: Mapping[str, object]) -> dict[str, object]:
    """Options by name as the nested values that the record is validated from."""
    by_key = {leaf.key: leaf for leaf in leaves(command)}
    fields = command.model_fields
    whole = {n for n, v in options.items() if n in fields and (n not in by_key or isinstance(v, BaseModel | Mapping))}
    out = {name: _whole(fields[name], options[name]) for name in whole}
    single = {name: value for name, value in options.items() if name not in whole}
    if unknown := sorted(single.keys() - by_key.keys()):
        near = get_close_matches(unknown[0], by_key, n=1)
        meant = f"do you mean {near[0]}? There" if near else "there"
        raise SettingsError(f"{unknown[0]}: no such option; {meant} is {', '.join(by_key)}")
    given = [(by_key[name], value) for name, value in single.items()]
    made = {p.within for leaf, value in given for p in leaf.targets if p.switch and value not in (None, False)}
    for leaf, value in given:
        places = [p for p in leaf.targets if p.within is None or p.within in made or _at(command, out, p.within)]
        if not places:
            _refuse_idle(by_key, leaf)
        for place in places:
            _put(command, out, place.path, value)
    # A record that is required is looked into, so that the error names the option and not the record.
    for name, info in fields.items():
        if _record_of(info.annotation) is not None and info.is_required():
            out.setdefault(name, {})
    return out


def _whole(info: FieldInfo, value: object) -> object:
    """A record that is given as text as the record that reads it, so that options can be put into it."""
    record = _record_of(info.annotation)
    return record.model_validate(value) if record is not None and isinstance(value, str) else value


def _refuse_idle(by_key: Mapping[str, Leaf], leaf: Leaf) -> None:
    within = leaf.targets[0].within
    others = [o.name for o in by_key.values() if any(p.switch and p.within == within for p in o.targets)]
    if leaf.name not in others:
        raise SettingsError(f"{leaf.name}: it means nothing alone; add {' or '.join(others)}")


def _fields(value: object) -> dict[str, object]:
    """The fields that were given for a record; of the others its class knows the defaults."""
    if isinstance(value, Settings):
        return {name: getattr(value, name) for name in value.model_fields_set}
    return dict(value) if isinstance(value, Mapping) else {}


def _at(record: type[BaseModel], out: Mapping[str, object], path: Steps) -> object:
    """What stands at a path: what was given, else what stands there by default."""
    value: object = out
    for step in path:
        info = record.model_fields[step]
        value = value.get(step, info.default) if isinstance(value, Mapping) else getattr(value, step, None)
        record = _record_of(info.annotation) or record
    return value


def _put(record: type[BaseModel], out: dict[str, object], path: Steps, value: object) -> None:
    """Puts a value at a path, into a copy of the records on the way."""
    for step in path[:-1]:
        info = record.model_fields[step]
        inner = out[step] = _fields(out.get(step, info.default))
        out, record = inner, _record_of(info.annotation) or record
    out[path[-1]] = value


def said(command: type[Settings], error: ValidationError) -> str:
    """What is wrong with the options, in one line that names the one to change."""
    first = error.errors(include_url=False)[0]
    place = tuple(part for part in first["loc"] if isinstance(part, str))
    leaf = next((o for o in leaves(command) if any(p.path == place[: len(p.path)] for p in o.targets)), None)
    reason = str(first["msg"]).removeprefix("Value error, ")
    if "options" in (context := first.get("ctx", {})):
        return str(context["options"])
    if leaf is None:
        # A check of a whole record names the options itself.
        return f"{'.'.join(place)}: no such setting" if first["type"] == "extra_forbidden" else reason
    if first["type"] == "missing":
        return leaf.option.missing or f"{leaf.name}: it is required and not given"
    value = first["input"]
    value = value[0] if isinstance(value, list) and len(value) == 1 else value
    return f"{leaf.name} {value!r}: {reason[0].lower()}{reason[1:]}"


_OPTION = re.compile(r"(`[^`]*`)|(?<![\w-])(--[a-z][a-z-]*)")
"""A command between backticks, or an option."""


def mentioned(command: type[Settings], text: str) -> list[Leaf]:
    """The options of a command that a message names, in their order there."""
    by_name = {written: leaf for leaf in leaves(command) for written in leaf.names}
    found = (by_name.get(match[2] or "") for match in _OPTION.finditer(text))
    return list({leaf.key: leaf for leaf in found if leaf is not None}.values())


def _keywords(command: type[Settings]) -> dict[str, Keyword]:
    """The options of a command as Python has them, by all their names."""
    found = {
        name: Keyword(leaf.key, leaf.choices) for leaf in leaves(command) for name in (*leaf.option.was, *leaf.names)
    }
    turned = (leaf for leaf in leaves(command) if leaf.option.negative is not None)
    return found | {str(leaf.option.negative): Keyword(leaf.key, value="False") for leaf in turned}


class Work(Generic[R]):
    """The function that does the work of a command; its module is loaded when it is first called.

    Called with a command's arguments by place, its options as keywords, and whole records by field. In a notebook it
    shows how far it is, unless `progress=False` is given.

    Args:
        record: the settings of the command.
        where: the module and the function, as `package.module:function`. The function takes the record and, as
            keywords, who shows how far it is (`progress`), where questions go that a batch job is to answer (`outbox`;
            see docs/batch.md), or who asks it to end (`stop`). It raises AutointerpError for what a user can mend.
        needs: what the work is called, the modules it needs, and the extra that brings them.
        shown_by: the module that prints the result, where it is not named as the command's.
    """

    def __init__(
        self,
        record: type[Command],
        where: str,
        needs: tuple[str, Sequence[str], str] | None = None,
        shown_by: str | None = None,
    ) -> None:
        self.record = record
        self.shown_by = shown_by
        self._where = where
        self._needs = needs
        self.__name__ = self.__qualname__ = _snake(record.__name__)
        self.__module__ = record.__module__
        self.__doc__ = _documented(record)
        self.__signature__ = _signature(record)

    def run(self, settings: Command, **handed_on: object) -> R:
        """Does the work of a record.

        Raises:
            ExtraError: a module that it needs is not installed.
        """
        return self.load()(settings, **handed_on)

    def load(self) -> Callable[..., R]:
        """Loads the function that does the work.

        Raises:
            ExtraError: a module that it needs is not installed.
        """
        if self._needs is not None:
            need(*self._needs)
        module, _, name = self._where.partition(":")
        return getattr(importlib.import_module(module), name)

    def __call__(self, *args: object, **keywords: object) -> R:
        """Does the work of the options."""
        by_place = [leaf.key for leaf in leaves(self.record) if leaf.by_place]
        if len(args) > len(by_place):
            raise TypeError(f"{self.__name__}() takes {len(by_place)} arguments by place, not {len(args)}")
        given = dict(zip(by_place, args, strict=False))
        if twice := given.keys() & keywords.keys():
            raise TypeError(f"{self.__name__}() got {sorted(twice)[0]} twice")
        apart = {name: keywords.pop(name, None) for name in HANDED_ON}
        handed_on = {name: value for name, value in apart.items() if value is not None}
        with progressing(handed_on), speaking_python(partial(_keywords, self.record)):
            return self.run(self.record.given(given | keywords), **handed_on)


def _signature(record: type[Command]) -> inspect.Signature:
    options = sorted(leaves(record), key=lambda leaf: not leaf.by_place)
    more = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None) for name in HANDED_ON]
    return inspect.Signature([*map(_parameter, options), *more])


def _parameter(leaf: Leaf) -> inspect.Parameter:
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD if leaf.by_place else inspect.Parameter.KEYWORD_ONLY
    default = inspect.Parameter.empty if leaf.required else leaf.default
    return inspect.Parameter(leaf.key, kind, default=default, annotation=leaf.annotation)


def _documented(record: type[Command]) -> str:
    lines = "\n".join(f"    {leaf.key}: {leaf.help}" for leaf in leaves(record))
    return f"{inspect.getdoc(record)}\n\nArgs:\n{lines}\n\nRaises:\n    AutointerpError: says how to mend it."


def _snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() and i else c.lower() for i, c in enumerate(name))
