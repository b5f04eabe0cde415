"""TRL's options of GRPO, and those of inverse probability scaling beside them."""

from dataclasses import dataclass, field

from autointerp.extras import RL, need
from autointerp.ips.weights import ips_weights

need("IPSGRPOConfig", RL, "rl")  # before the import below, which would name one module and no remedy

from trl.trainer.grpo_config import GRPOConfig  # noqa: E402


@dataclass
class IPSGRPOConfig(GRPOConfig):
    """Holds what `GRPOConfig` holds, and how the rewards are scaled. TRL's `epsilon` stays its clipping range.

    Raises:
        ValueError: a value is out of its range.
    """

    ips_alpha: float = field(
        default=1.0,
        metadata={"help": "0 or more. Rewards are multiplied by max(p̂, ips_epsilon)^(-ips_alpha): 0 is plain GRPO."},
    )
    ips_epsilon: float = field(
        default=0.0,
        metadata={"help": "0 to 1: the least share that is divided by. 0 sets no bound but one over the group's size."},
    )

    def __post_init__(self) -> None:
        """Checks the two values, and the others as TRL does."""
        ips_weights([], group_size=1, epsilon=self.ips_epsilon, alpha=self.ips_alpha)
        super().__post_init__()
