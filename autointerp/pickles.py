"""Reads pickles as plain data: what is not on the list of names is refused, and nothing that a file names is run.

A file's names are never imported. Each stands for a function or a class that the reader hands in, or for an empty class
that takes a foreign object's attributes (`Plain`).
"""

import io
import pickle
import pickletools
from collections.abc import Callable, Mapping, Sequence
from typing import cast

MOST_OF_A_SET = 100


class RefusedError(Exception):
    """Says why a pickle is not read, in a few words."""


class Plain:
    """A foreign object: its attributes, and in `kind` what it was called; it has none of its methods."""

    kind: str

    def __new__(cls, *_: object, **__: object) -> "Plain":
        """Makes it empty, whatever it was made of."""
        return super().__new__(cls)

    def __init__(self, *_: object, **__: object) -> None:
        self.attributes: dict[str, object] = {}

    def __setstate__(self, state: object) -> None:
        """Keeps the attributes."""
        parts = state if isinstance(state, tuple) else (state,)
        self.attributes = {str(k): v for part in parts if isinstance(part, Mapping) for k, v in part.items()}


def attributes_of(value: object) -> dict[str, object]:
    """Returns a dictionary, or the attributes of a foreign object; empty for anything else."""
    if isinstance(value, Plain):
        return vars(value).get("attributes", {})
    return {str(k): v for k, v in value.items()} if isinstance(value, Mapping) else {}


class Call:
    """A function that a pickle may call and cannot change."""

    __slots__ = ("_make",)

    def __init__(self, make: Callable[..., object]) -> None:
        self._make = make

    def __call__(self, *values: object) -> object:
        """Calls it."""
        return self._make(*values)

    def __setstate__(self, state: object) -> None:
        """Refuses to be changed."""
        raise RefusedError("changes a function")


class Unpickler(pickle.Unpickler):
    """Builds what the names on a list make.

    Args:
        file: of one or several pickles.
        names: what stands for `module.name`.
        numbers: from a persistent id to the numbers that it means.
        foreign: packages whose objects are kept as their attributes, each with a dot at its end.
    """

    def __init__(
        self,
        file: io.BufferedIOBase,
        names: Mapping[str, object],
        numbers: Callable[[object], object],
        foreign: Sequence[str] = (),
    ) -> None:
        super().__init__(file, encoding="latin1")
        self._names, self._numbers, self._foreign = names, numbers, tuple(foreign)
        self._classes: dict[str, type[Plain]] = {}

    def find_class(self, module_name: str, global_name: str) -> object:
        """Returns what stands for a name."""
        name = f"{module_name}.{global_name}"
        if name in self._names:
            return self._names[name]
        if name in COMMON:
            return COMMON[name]
        if f"{module_name}.".startswith(self._foreign):
            if name not in self._classes:
                self._classes[name] = type(global_name.rpartition(".")[2], (Plain,), {"kind": name})
            return self._classes[name]
        raise RefusedError(f"wants to run {name}, which is not plain data")

    def persistent_load(self, pid: object) -> object:
        """Returns the numbers that a storage holds."""
        return self._numbers(pid)


Make = Callable[[io.BufferedIOBase], pickle.Unpickler]


def loaded(file: io.BytesIO, make: Make) -> object:
    """Reads the next pickle of a file, and leaves the file behind it.

    Args:
        file: of one or several pickles.
        make: the unpickler for it.

    Raises:
        RefusedError: it wants what is not plain data, or it is broken.
    """
    start = file.tell()
    _look(file)
    file.seek(start)
    try:
        return make(file).load()
    except RefusedError:
        raise
    except (
        pickle.UnpicklingError,
        EOFError,
        AttributeError,
        ImportError,
        IndexError,
        KeyError,
        MemoryError,
        OverflowError,
        RuntimeError,
        TypeError,
        ValueError,
    ) as error:
        # What the unpickler raises on bytes that are no pickle; whatever of these it is, the file is broken.
        raise RefusedError(f"is a broken pickle ({type(error).__name__})") from error


def _look(file: io.BytesIO) -> None:
    """Refuses, before anything is built, operations that no tool here writes and that can do harm."""
    n, put = 0, {"PUT", "BINPUT", "LONG_BINPUT"}
    try:
        for operation, argument, _ in pickletools.genops(file):
            n += 1
            if operation.name in {"EXT1", "EXT2", "EXT4"}:
                raise RefusedError("uses registered extensions of pickle, which may be anything")
            # A high place makes the unpickler reserve all places below it.
            if operation.name in put and cast("int", argument) > n:
                raise RefusedError("states more memory than it fills")
    except (ValueError, EOFError, OverflowError, MemoryError) as error:
        raise RefusedError("is a broken pickle") from error


def sizes(value: object) -> tuple[int, ...]:
    """Returns the sizes of an array.

    Raises:
        RefusedError: the value is none.
    """
    if not isinstance(value, tuple | list) or not all(isinstance(n, int) for n in value):
        raise RefusedError("states a tensor without a size")
    return tuple(cast("tuple[int, ...]", value))


def _parameter(data: object, *_: object) -> object:
    return data


def _set(values: object = ()) -> tuple[object, ...]:
    if not isinstance(values, list) or len(values) > MOST_OF_A_SET:
        raise RefusedError("makes a set in a way that torch does not")
    return tuple(values)


def _device(*parts: object) -> str:
    return ":".join(str(part) for part in parts[:2])


def _new(cls: object, *_: object) -> Plain:
    if not (isinstance(cls, type) and issubclass(cls, Plain)):
        raise RefusedError("makes an object of something that is not a foreign class")
    return cls()


class _Ordered(dict[object, object]):
    """An ordered dictionary as torch pickles it, without the version numbers that it carries."""

    __slots__ = ()

    def __init__(self, *values: object) -> None:
        if any(values):
            raise RefusedError("makes a dictionary in a way that torch does not")
        super().__init__()

    def __setstate__(self, state: object) -> None:
        """Keeps nothing."""


COMMON: Mapping[str, object] = {
    "torch._utils._rebuild_parameter": Call(_parameter),
    "torch._utils._rebuild_parameter_with_state": Call(_parameter),
    "torch.device": Call(_device),
    "torch.Size": Call(sizes),
    "copy_reg._reconstructor": Call(_new),
    "copyreg._reconstructor": Call(_new),
    "builtins.set": Call(_set),
    "__builtin__.set": Call(_set),
    "collections.OrderedDict": _Ordered,
    "builtins.object": Plain,
    "__builtin__.object": Plain,
}
"""Names that every reader knows."""
