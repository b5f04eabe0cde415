"""Writes the sample folder of the tutorial: `python docs/tutorial_images.py FOLDER`."""

import sys
from pathlib import Path

from autointerp import open_dump

FEATURES = (42, 94, 334, 350, 598, 696, 717, 1740)
"""Features that each fire on another kind of thing."""
DUMP = Path(__file__).parent.parent / "autointerp" / "demo" / "dump"


def main(folder: str) -> None:
    """Writes the strongest images of each feature, and their activations, into `FOLDER/<feature>/`."""
    with open_dump(DUMP) as dump:
        for number in FEATURES:
            place = Path(folder) / str(number)
            place.mkdir(parents=True)
            lines = ["file,activation"]
            for exemplar in (e for e in dump.feature(number).exemplars if e.stratum == "top"):
                name = f"{exemplar.image:04d}.webp"
                content = dump.image_source(exemplar.image)
                assert isinstance(content, bytes), "the demo dump holds its images"
                (place / name).write_bytes(content)
                lines.append(f"{name},{exemplar.activation:.4f}")
            (place / "activations.csv").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
