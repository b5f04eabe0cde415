import pytest
import torch
from torch import nn

from autointerp.errors import SettingsError
from autointerp.transcoder.precision import cast_to, products_in, used_precision


@pytest.mark.parametrize(
    ("asked", "device", "used"),
    [
        ("auto", "cpu", "float32"),
        ("auto", "mps", "float32"),
        ("auto", "cuda", "tf32"),
        ("auto", "cuda:1", "tf32"),
        ("tf32", "cuda:1", "tf32"),
        ("bfloat16", "cpu", "bfloat16"),
        ("float32", "cuda", "float32"),
    ],
)
def test_automatic_precision_is_exact_but_on_cuda(asked: str, device: str, used: str):
    assert used_precision(asked, device) == used  # pyright: ignore[reportArgumentType]


def test_a_precision_that_the_device_does_not_have_is_refused():
    with pytest.raises(SettingsError, match="--precision tf32: CUDA devices have it, and --device is cpu; leave it"):
        used_precision("tf32", "cpu")


def set_now() -> tuple[str, bool]:
    return torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32


def fail_inside() -> None:
    with products_in("tf32"):
        assert set_now() == ("high", True)
        with products_in("float32"):
            assert set_now() == ("highest", False)
        assert set_now() == ("high", True)
        raise KeyError


def test_products_are_as_before_once_the_block_has_ended():
    before = set_now()

    with pytest.raises(KeyError):
        fail_inside()

    assert set_now() == before


@torch.no_grad()
def test_only_bfloat16_casts_a_layer_to_three_digits():
    torch.manual_seed(0)
    layer, x = nn.Linear(64, 64), torch.randn(8, 64)
    exact = layer(x)

    for precision in ("float32", "tf32"):
        with cast_to(precision, "cpu"):  # pyright: ignore[reportArgumentType]
            assert torch.equal(layer(x), exact)
    with cast_to("bfloat16", "cpu"):
        cast = layer(x)

    assert cast.dtype == torch.bfloat16
    # Eight bits of mantissa: 2^-8 of relative error at most in each number.
    assert 0 < float((cast.float() - exact).abs().max()) < 0.02 * float(exact.abs().max())
