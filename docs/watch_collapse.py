"""Draws how many outcomes a training run still gives: `python docs/watch_collapse.py FOLDER [PICTURE]`.

FOLDER is a checkpoint of `IPSGRPOTrainer`, or the output folder that holds its checkpoints; PICTURE is `collapse.png`
by default. Needs matplotlib.
"""

import json
import sys
from pathlib import Path

from matplotlib.figure import Figure


def log_of(folder: Path) -> list[dict[str, float]]:
    """The logged lines that tell of outcomes, from the newest checkpoint."""
    states = [folder / "trainer_state.json", *folder.glob("checkpoint-*/trainer_state.json")]
    there = [path for path in states if path.exists()]
    if not there:
        sys.exit(f"{folder} holds no trainer_state.json and no checkpoint with one: train with save_steps set")
    newest = max(there, key=lambda path: json.loads(path.read_text())["global_step"])
    lines = [line for line in json.loads(newest.read_text())["log_history"] if "ips/largest" in line]
    if not lines:
        sys.exit(f"{newest} logs no ips/largest: train with IPSGRPOTrainer, and set logging_steps")
    return lines


def draw(lines: list[dict[str, float]]) -> Figure:
    """The largest share, the effective number of outcomes and the reward, step by step."""
    figure = Figure(figsize=(9, 2.8), layout="constrained")
    panels = (
        ("share of the largest outcome", [line["ips/largest"] for line in lines]),
        ("effective number of outcomes", [1 / max(line["ips/collapse"], 1e-3) for line in lines]),
        ("reward", [line["reward"] for line in lines]),
    )
    for axis, (title, values) in zip(figure.subplots(1, 3), panels, strict=True):
        axis.plot([line["step"] for line in lines], values, color="#c8102e")
        axis.set(title=title, xlabel="step", ylim=(0, None))
    return figure


def main(folder: str, picture: str = "collapse.png") -> None:
    """Reads, draws, says how it began and ended."""
    lines = log_of(Path(folder))
    draw(lines).savefig(picture)
    for line in (lines[0], lines[-1]):
        number = 1 / max(line["ips/collapse"], 1e-3)
        print(f"step {line['step']}: largest share {line['ips/largest']:.2f}, effective number {number:.1f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
