"""Inverse probability scaling: rewards divided by how often their outcome was sampled.

`from autointerp.ips import IPSGRPOConfig, IPSGRPOTrainer` needs the extra `rl`.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from autointerp.ips.config import IPSGRPOConfig
    from autointerp.ips.trainer import IPSGRPOTrainer

__all__ = ["IPSGRPOConfig", "IPSGRPOTrainer"]


def __getattr__(name: str) -> object:
    """Loads the trainer or its options, and with them torch, when one of them is first named."""
    if name == "IPSGRPOConfig":
        from autointerp.ips.config import IPSGRPOConfig

        return IPSGRPOConfig
    if name == "IPSGRPOTrainer":
        from autointerp.ips.trainer import IPSGRPOTrainer

        return IPSGRPOTrainer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
