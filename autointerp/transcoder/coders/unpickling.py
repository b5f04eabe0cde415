"""Reads pickles of coders as plain data: tensors, numbers, texts and the attributes of foreign objects."""

import io
from collections.abc import Callable

import torch
from torch import Tensor

from autointerp.pickles import Call, RefusedError, Unpickler, loaded, sizes

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

    def numbers(pid: object) -> Tensor:
        match pid:
            case ("storage", torch.dtype() as dtype, str() as key, _, n, *views) if views in ([], [None]):
                return find(key, dtype, n)
            case _:
                raise RefusedError("points to something that is not a tensor's numbers")

    def load_from_bytes(data: object) -> object:
        if not isinstance(data, bytes) or storages.depth >= NESTED:
            raise RefusedError("nests files in a way that torch does not")
        storages.depth += 1
        try:
            return nested(data, storages)
        finally:
            storages.depth -= 1

    names = NAMES | {"torch.storage._load_from_bytes": Call(load_from_bytes)}
    return loaded(file, lambda one: Unpickler(one, names, numbers, FOREIGN))


def _tensor(flat: object, offset: object, size: object, stride: object, *_: object) -> Tensor:
    """Makes a tensor of a storage's numbers, of no more numbers than these."""
    if not isinstance(flat, Tensor) or flat.ndim != 1 or not isinstance(offset, int):
        raise RefusedError("makes a tensor of something that is not numbers")
    shape, steps = sizes(size), sizes(stride)
    if len(shape) != len(steps):
        raise RefusedError("states a tensor whose sizes contradict each other")
    last = offset + sum((n - 1) * step for n, step in zip(shape, steps, strict=True))
    if min((offset, *shape, *steps)) < 0 or torch.Size(shape).numel() > len(flat):
        raise RefusedError("states tensors that are larger than the file")
    if 0 not in shape and last >= len(flat):
        raise RefusedError("states tensors that are larger than the file")
    return flat.as_strided(shape, steps, offset) if 0 not in shape else flat.new_empty(shape)


NAMES: dict[str, object] = {
    "torch._utils._rebuild_tensor_v2": Call(_tensor),
    **{f"torch.{name}": dtype for name, dtype in (STORAGES | DTYPES).items()},
    **{f"torch.storage.{name}": dtype for name, dtype in STORAGES.items()},
}
"""What stands for the names of torch."""
