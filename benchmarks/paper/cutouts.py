"""Photographs of single things with transparent surroundings, from Debian's tuxpaint-stamps-default (GPL-2)."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

PACKAGE = "tuxpaint-stamps-default"
STAMPS = "usr/share/tuxpaint/stamps"
KINDS = ("animals", "food", "hobbies", "household", "military", "people", "plants", "sports", "vehicles")
"""Folders of things that can stand on a floor."""
DRAWN = frozenset({"cartoon", "toys", "body_parts", "plastic"})
"""Folders below them that are no photographs."""
SIDE = 160
"""Longest side of a cut-out, pixels; smaller pictures than half of it are left out."""
SLIMMEST = 0.4
"""Least ratio of the shorter side to the longer one."""
COVERED = (0.3, 0.95)
"""Share of its rectangle that a thing covers: neither a thread nor a picture with a background."""


@dataclass(frozen=True, slots=True)
class Cutout:
    """One thing."""

    name: str
    """Its file's path below the package's folder, without the ending."""
    image: Image.Image
    """RGBA, cut to what is opaque."""


def cutouts(work: Path, stamps: Path | None) -> list[Cutout]:
    """All usable ones, in the order of their names.

    Args:
        work: where the package is unpacked.
        stamps: the package's folder of stamps where it is installed; None downloads it with apt-get.
    """
    root = stamps or _unpacked(work / "stamps")
    found = [
        Cutout(str(p.relative_to(root).with_suffix("")), _cut(p)) for p in sorted(root.rglob("*.png")) if _is(p, root)
    ]
    return [c for c in found if _usable(c.image)]


def _is(path: Path, root: Path) -> bool:
    parts = path.relative_to(root).parts
    mirrored = any(word in path.stem for word in ("_mirror", "_flip"))
    return parts[0] in KINDS and not DRAWN & set(parts) and not mirrored


def _unpacked(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    if not list(folder.glob(f"{PACKAGE}_*.deb")):
        try:
            subprocess.run(["apt-get", "download", "-q", PACKAGE], cwd=folder, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError) as e:
            raise SystemExit(
                f"{PACKAGE} cannot be downloaded with apt-get ({e}); unpack it yourself and give --stamps FOLDER"
            ) from e
    if not (folder / STAMPS).exists():
        deb = next(folder.glob(f"{PACKAGE}_*.deb"))
        subprocess.run(["dpkg-deb", "-x", deb.name, "."], cwd=folder, check=True)
    return folder / STAMPS


def _cut(path: Path) -> Image.Image:
    with Image.open(path) as image:
        rgba = image.convert("RGBA")
    rgba = rgba.crop(rgba.getchannel("A").getbbox())
    rgba.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    return rgba


def _usable(image: Image.Image) -> bool:
    short, long = sorted(image.size)
    opaque = sum(image.getchannel("A").histogram()[128:]) / (short * long)
    return long >= SIDE / 2 and short >= SLIMMEST * long and COVERED[0] <= opaque <= COVERED[1]
