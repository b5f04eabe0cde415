"""Writes the sample folder of the tutorial: `python docs/tutorial_images.py FOLDER`."""

import sys
from pathlib import Path

from autointerp import open_dump

FEATURES = (94, 350, 593, 598, 684, 696, 717, 1740)
"""Features that each fire on another kind of thing."""
MOST = 24
"""Images of a feature."""
DUMP = Path(__file__).parent.parent / "autointerp" / "demo" / "dump"


def main(folder: str) -> None:
    """Writes the strongest images of each feature, and their activations, into `FOLDER/<feature>/`."""
    with open_dump(DUMP) as dump:
        for number in FEATURES:
            place = Path(folder) / str(number)
            place.mkdir(parents=True)
            lines = ["file,activation"]
            strongest = sorted(dump.feature(number).active, key=lambda e: -e.activation)
            for exemplar in strongest[:MOST]:
                name = f"{exemplar.image:04d}.webp"
                content = dump.image_source(exemplar.image)
                assert isinstance(content, bytes), "the demo dump holds its images"
                (place / name).write_bytes(content)
                lines.append(f"{name},{exemplar.activation:.4f}")
            (place / "activations.csv").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
