"""In which numbers a network is computed: exact float32, TensorFloat-32, or bfloat16 where autocast takes it."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch

from autointerp.errors import SettingsError
from autointerp.transcoder.settings import Precision, UsedPrecision


def is_cuda(device: str) -> bool:
    """Says whether a device, as torch names it, is one of CUDA."""
    return device.partition(":")[0] == "cuda"


def used_precision(asked: Precision, device: str) -> UsedPrecision:
    """Returns what is computed in: `auto` is `tf32` on CUDA devices and `float32` on all others.

    Raises:
        SettingsError: the device does not have it.
    """
    if asked == "auto":
        return "tf32" if is_cuda(device) else "float32"
    if asked == "tf32" and not is_cuda(device):
        raise SettingsError(f"--precision tf32: CUDA devices have it, and --device is {device}; leave it out")
    return asked


@contextmanager
def products_in(precision: UsedPrecision) -> Iterator[None]:
    """Has CUDA devices take products of float32 numbers exactly, or with `tf32` and `bfloat16` in TensorFloat-32."""
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("highest" if precision == "float32" else "high")
    torch.backends.cudnn.allow_tf32 = precision != "float32"
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before[0])
        torch.backends.cudnn.allow_tf32 = before[1]


def cast_to(precision: UsedPrecision, device: str) -> AbstractContextManager[object]:
    """Returns a context in which a network runs: with `bfloat16`, PyTorch's autocast chooses the layers fit for it."""
    return torch.autocast(device.partition(":")[0], torch.bfloat16) if precision == "bfloat16" else nullcontext()
