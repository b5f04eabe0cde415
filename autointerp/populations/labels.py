"""From what columns and folders say to labels: class names, a boolean attribute, and groups."""

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from autointerp.errors import SettingsError, one_line
from autointerp.images.formats import left_out
from autointerp.populations.listing import Columns, Entry, Found, Item, Listing

ERROR_NAMES = frozenset({"implausible", "error", "errors", "violation", "violations"})
PLAUSIBLE_NAMES = frozenset({"plausible", "no-error", "no-errors", "ok"})
"""Folders that label their images where nothing else does; upper and lower case are the same."""
YES = frozenset({"1", "true", "yes", "implausible", "error"})
NO = frozenset({"0", "false", "no", "plausible"})
"""Words for having the attribute or not, in any case; numbers are compared as such."""
EMPTY = frozenset({"", "nan", "<na>"})
"""What pandas writes where there is nothing; `none` may be a class."""
NOTHING = frozenset({"none", "null", "nat", "na", "n/a", "#n/a", "-nan"})
"""What stands for nothing as well where others are 0 or 1; elsewhere it may be a class."""
NUMBERS = frozenset({"0", "1", "0.0", "1.0", "true", "false"})
"""Of these, what can hardly be the name of a class."""
LABEL = "label"
"""In `LABEL=VALUE`, whatever the labels are: a column of this or another name, or the folder."""
LABEL_COLUMNS = (LABEL, "cls", "class", "label_name")
GROUP_COLUMNS = ("group",)
"""Columns that are taken where none is named, the first that is there."""
N_SHOWN = 5


class LabelOptions(TypedDict, total=False):
    """What one may say about labels; all may be left out."""

    labels: Path | None
    label_column: str | None
    attribute: str | None
    group_column: str | None
    error_folders: Collection[str]


@dataclass(frozen=True, slots=True)
class Labelling:
    """How labels are read."""

    label_column: str | None = None
    """The column of the labels."""
    attribute: str | None = None
    """`COLUMN=VALUE`: images with this value have the attribute, those with another have not; text without `=` is only
    the attribute's name."""
    group_column: str | None = None
    """The column of the groups."""
    error_folders: Collection[str] = ()
    """Names of folders whose images have the attribute, all others not; empty for the usual names."""
    words: bool = False
    """Whether the labels are class names whatever they are."""

    @property
    def condition(self) -> tuple[str, str] | None:
        """The column and the value of the attribute; None where it is decided otherwise."""
        column, equals, value = (self.attribute or "").partition("=")
        return (column.strip(), value.strip()) if equals else None

    def columns(self, there: Sequence[str], where: str) -> Columns:
        """Chooses among the columns that there are.

        Raises:
            SettingsError: one that was asked for is not there.
        """
        asked = self.condition[0] if self.condition else None
        label = self.label_column or _first(LABEL_COLUMNS, there)
        if asked == LABEL and asked not in there:
            asked = label or LABEL
        of_label = "" if self.words else "--label-column"
        for option, name in ((of_label, self.label_column), ("--group-column", self.group_column)):
            _check(option, name, there, where)
        if asked != LABEL or label is not None:
            _check("--attribute", asked, there, where)
        return Columns(label, asked, self.group_column or _first(GROUP_COLUMNS, there))


def _check(option: str, name: str | None, there: Sequence[str], where: str) -> None:
    if name is not None and name not in there:
        asked = f"{option} {name}: " if option else ""
        raise SettingsError(f"{asked}{where}: has no column {name!r}; it has {', '.join(there) or 'none'}")


def _first(names: Sequence[str], there: Sequence[str]) -> str | None:
    return next((name for name in names if name in there), None)


def text_of(value: object) -> str | None:
    """A value of a table as text; None for nothing in every spelling of it."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    text = value.decode(errors="replace") if isinstance(value, bytes) else str(value)
    return None if text.strip().lower() in EMPTY else text


def flag_of(text: str) -> bool | None:
    """Whether a text says yes or no; None if it says neither."""
    plain = text.strip().lower()
    if plain in YES | NO:
        return plain in YES
    return {1.0: True, 0.0: False}.get(_number(plain, math.nan))


def _number(text: str, otherwise: float) -> float:
    try:
        return float(text)
    except ValueError:
        return otherwise


def same(text: str, value: str) -> bool:
    """Whether a table's text is the value asked for; `1`, `1.0` and `True` are the same."""
    if text.strip() == value:
        return True
    one, other = (_number(t.strip(), math.nan) for t in (text, value))
    flags = {text.strip().lower(), value.lower()} <= NUMBERS
    return one == other or (flags and flag_of(text) == flag_of(value))


def labelled(found: Found, how: Labelling) -> Listing:
    """Makes labels of what is said of the images.

    A column whose labels are all 0 or 1 says which images have the attribute; any other names classes, and then only
    `COLUMN=VALUE` says so. Without a column, folders decide, the innermost with a telling name.

    Raises:
        SettingsError: a label is neither 0 nor 1 among others that are, or nothing has what was asked for.
    """
    flags = _are_flags(found, how)
    entries = [_entry(item, how, found.columns, flags=flags) for item in found.items]
    if how.condition and not any(e.attribute for e in entries):
        _refuse_value(found, how.condition)
    _check_folders(found, how)
    return Listing(found.root, entries, left_out(found.others), tuple(_notes(found, how, entries, flags=flags)))


def _are_flags(found: Found, how: Labelling) -> bool:
    """Whether the labels say yes or no."""
    if found.columns.label is None or how.words:
        return False
    said = [(number, text_of(item.said.label)) for number, item in enumerate(found.items, start=1)]
    texts = [(number, text) for number, text in said if text is not None]
    strange = [(number, text) for number, text in texts if flag_of(text) is None]
    if strange and how.condition is None and any(_is_0_or_1(text) for _, text in texts):
        strange = [(number, text) for number, text in strange if text.strip().lower() not in NOTHING]
        _refuse_words(found, strange)
    return not strange


def _is_0_or_1(text: str) -> bool:
    """Whether a text can hardly be the name of a class; `error` and `ok` may be."""
    return text.strip().lower() in NUMBERS


def _refuse_words(found: Found, strange: Sequence[tuple[int, str]]) -> None:
    """Stops at a word among zeros and ones, which nobody means; other numbers are of classes."""
    odd = next(((number, text) for number, text in strange if math.isnan(_number(text, math.nan))), None)
    if odd is not None:
        number, text = odd
        column = found.columns.label
        raise SettingsError(
            f"{found.table}: row {number}: {column} {text[:80]!r}: others are 0 or 1, so expected 1 (has the "
            "attribute), 0, or nothing; mend it, or say which value has the attribute, such as "
            f"--attribute '{column}={one_line(text)}'"
        )


def _entry(item: Item, how: Labelling, columns: Columns, *, flags: bool) -> Entry:
    folders = item.name.split("/")[:-1]
    said, place = text_of(item.said.label), "/".join(folders) or None
    label = said if columns.label is not None and not flags else place
    if how.condition is not None:
        text = label if columns.attribute == LABEL and columns.label is None else text_of(item.said.attribute)
        attribute = None if text is None else same(text, how.condition[1])
    elif columns.label is not None:
        attribute = flag_of(said) if flags and said is not None else None
    else:
        attribute = by_folder(folders, how.error_folders)
    return Entry(item.name, item.content, attribute, text_of(item.said.group), label)


def by_folder(folders: Sequence[str], error_folders: Collection[str]) -> bool | None:
    """Whether an image in these folders, from outside to inside, has the attribute."""
    names = [f.lower() for f in reversed(folders)]
    if error_folders:
        wanted = _plain(error_folders)
        return any(n in wanted for n in names)
    return next((n in ERROR_NAMES for n in names if n in ERROR_NAMES | PLAUSIBLE_NAMES), None)


def _plain(error_folders: Collection[str]) -> set[str]:
    return {name.strip("/").lower() for name in error_folders}


def _check_folders(found: Found, how: Labelling) -> None:
    seen = {part.lower() for item in found.items for part in item.name.split("/")[:-1]} if how.error_folders else set()
    if absent := sorted(_plain(how.error_folders) - seen):
        raise SettingsError(f"--error-folders {absent[0]}: {found.root} has no folder of that name with images in it")


def _refuse_value(found: Found, condition: tuple[str, str]) -> None:
    column, value = condition
    values = sorted({text for item in found.items if (text := text_of(_deciding(item, found.columns))) is not None})
    there = ", ".join(one_line(v)[:40] for v in values[:N_SHOWN]) + (", …" if len(values) > N_SHOWN else "")
    where = found.table or found.root
    raise SettingsError(f"--attribute {column}={value}: no image of {where} has that value; there is {there or 'none'}")


def _deciding(item: Item, columns: Columns) -> object:
    if columns.attribute == LABEL and columns.label is None:
        return item.name.rpartition("/")[0]
    return item.said.attribute


def _notes(found: Found, how: Labelling, entries: Sequence[Entry], *, flags: bool) -> Iterator[str]:
    column = found.columns.label
    if column is None and how.condition is None:
        return
    if column is not None and not flags and how.condition is None and not how.words:
        yield (
            f"{found.table}: the column {column} names classes, so that no image has an attribute; "
            f"--attribute '{column}=VALUE' says which class has it"
        )
        return
    unlabelled = [e for e in entries if e.attribute is None]
    if unlabelled and not how.words:
        yield f"images without a label: {len(unlabelled):,} of {len(entries):,} (e.g. {one_line(unlabelled[0].name)})"
