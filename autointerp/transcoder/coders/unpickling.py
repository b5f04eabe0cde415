"""Reads pickles as plain data: what is not on the list of names is refused, and nothing that a file names is run.

A file's names are never imported. Each stands for a function of this module, for a torch type, or for an empty
class that takes a foreign object's attributes (`Plain`).
"""

import io
import pickle
import pickletools
from collections.abc import Callable, Mapping
from typing import cast

import torch
from torch import Tensor

FOREIGN = ("vit_prisma.", "sae_training.", "src.sae_training.", "overcomplete.", "torch.nn.", "sae_lens.")
"""Packages whose objects are kept as their attributes: the settings and modules that their tools pickle."""
STORAGES = {
    f"{name}Storage": dtype
    for name, dtype in {
        "Float": torch.float32,
        "Double": torch.float64,
        "Half": torch.float16,
        "BFloat16": torch.bfloat16,
        "Long": torch.int64,
        "Int": torch.int32,
        "Short": torch.int16,
        "Char": torch.int8,
        "Byte": torch.uint8,
        "Bool": torch.bool,
    }.items()
}
DTYPES = {str(dtype).removeprefix("torch."): dtype for dtype in STORAGES.values()}
NESTED = 3
"""Pickles within pickles, at most."""
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


class _Call:
    """A function that a pickle may call and cannot change."""

    __slots__ = ("_make",)

    def __init__(self, make: Callable[..., object]) -> None:
        self._make = make

    def __call__(self, *values: object) -> object:
        return self._make(*values)

    def __setstate__(self, state: object) -> None:
        """Refuses to be changed."""
        raise RefusedError("changes a function")


class Storages:
    """Hands out the memory of tensors; all together are no larger than the file that holds them.

    Args:
        most: bytes.
    """

    def __init__(self, most: int) -> None:
        self._left = most
        self.depth = 0

    def take(self, n_bytes: int) -> None:
        """Counts some bytes.

        Raises:
            RefusedError: the file is too short for them.
        """
        self._left -= n_bytes
        if n_bytes < 0 or self._left < 0:
            raise RefusedError("states tensors that are larger than the file")

    def flat(self, dtype: torch.dtype, n: object) -> Tensor:
        """Makes [n] numbers.

        Raises:
            RefusedError: the file is too short for them, or it states no number.
        """
        if not isinstance(n, int):
            raise RefusedError("states a tensor without a size")
        self.take(n * dtype.itemsize)
        return torch.empty(n, dtype=dtype)


Find = Callable[[str, torch.dtype, object], Tensor]
"""From a storage's key, type and stated length to its numbers."""
Loads = Callable[[bytes, Storages], object]
"""Reads a file of torch's within a pickle."""


def unpickled(file: io.BytesIO, storages: Storages, find: Find, nested: Loads) -> object:
    """Reads the next pickle of a file, and leaves the file behind it.

    Args:
        file: of one or several pickles.
        storages: the memory of its tensors.
        find: gives the numbers of a storage.
        nested: reads what a storage holds that was pickled by itself.

    Raises:
        RefusedError: it wants what is not plain data, or it is broken.
    """
    start = file.tell()
    _look(file)
    file.seek(start)
    try:
        return _Unpickler(file, storages, find, nested).load()
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


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, storages: Storages, find: Find, nested: Loads) -> None:
        super().__init__(file, encoding="latin1")
        self._storages, self._find, self._nested = storages, find, nested
        self._classes: dict[str, type[Plain]] = {}

    def find_class(self, module_name: str, global_name: str) -> object:
        """Returns what stands for a name."""
        name = f"{module_name}.{global_name}"
        if name in _MAKES or name in _CLASSES:
            return _MAKES.get(name) or _CLASSES[name]
        if name == "torch.storage._load_from_bytes":
            return _Call(self._load_from_bytes)
        if module_name in {"torch", "torch.storage"} and global_name in STORAGES:
            return STORAGES[global_name]
        if module_name == "torch" and global_name in DTYPES:
            return DTYPES[global_name]
        if f"{module_name}.".startswith(FOREIGN):
            if name not in self._classes:
                self._classes[name] = type(global_name.rpartition(".")[2], (Plain,), {"kind": name})
            return self._classes[name]
        raise RefusedError(f"wants to run {name}, which is not plain data")

    def persistent_load(self, pid: object) -> Tensor:
        """Returns the numbers of a storage."""
        match pid:
            case ("storage", torch.dtype() as dtype, str() as key, _, n, *views) if views in ([], [None]):
                return self._find(key, dtype, n)
            case _:
                raise RefusedError("points to something that is not a tensor's numbers")

    def _load_from_bytes(self, data: object) -> object:
        if not isinstance(data, bytes) or self._storages.depth >= NESTED:
            raise RefusedError("nests files in a way that torch does not")
        self._storages.depth += 1
        try:
            return self._nested(data, self._storages)
        finally:
            self._storages.depth -= 1


def _tensor(flat: object, offset: object, size: object, stride: object, *_: object) -> Tensor:
    """Makes a tensor of a storage's numbers, of no more numbers than these."""
    if not isinstance(flat, Tensor) or flat.ndim != 1 or not isinstance(offset, int):
        raise RefusedError("makes a tensor of something that is not numbers")
    shape, steps = _sizes(size), _sizes(stride)
    if len(shape) != len(steps):
        raise RefusedError("states a tensor whose sizes contradict each other")
    last = offset + sum((n - 1) * step for n, step in zip(shape, steps, strict=True))
    if min((offset, *shape, *steps)) < 0 or torch.Size(shape).numel() > len(flat):
        raise RefusedError("states tensors that are larger than the file")
    if 0 not in shape and last >= len(flat):
        raise RefusedError("states tensors that are larger than the file")
    return flat.as_strided(shape, steps, offset) if 0 not in shape else flat.new_empty(shape)


def _sizes(value: object) -> tuple[int, ...]:
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


_MAKES = {
    "torch._utils._rebuild_tensor_v2": _Call(_tensor),
    "torch._utils._rebuild_parameter": _Call(_parameter),
    "torch._utils._rebuild_parameter_with_state": _Call(_parameter),
    "torch.device": _Call(_device),
    "torch.Size": _Call(_sizes),
    "copy_reg._reconstructor": _Call(_new),
    "copyreg._reconstructor": _Call(_new),
    "builtins.set": _Call(_set),
    "__builtin__.set": _Call(_set),
}
_CLASSES: dict[str, type] = {
    "collections.OrderedDict": _Ordered,
    "builtins.object": Plain,
    "__builtin__.object": Plain,
}
