"""Milliseconds a crop: new ones from 1024-px JPEGs, and ones already seen, against the plain way in the same run.

python benchmarks/images.py --sources 60
"""

import argparse
import hashlib
import time
from collections.abc import Callable, Sequence
from io import BytesIO

import numpy as np
from PIL import Image

from autointerp.images.picture import Picture, Tile
from autointerp.images.renderer import Renderer
from autointerp.schema import Box

PIXELS = 1024
SIDE = 224
QUALITY = 85


def photograph(seed: int) -> bytes:
    """A 1024-px JPEG whose spectrum falls off with frequency as that of photographs does."""
    rng = np.random.default_rng(seed)
    across = np.fft.rfftfreq(PIXELS)
    frequency = np.hypot(np.fft.fftfreq(PIXELS)[:, None], across)
    frequency[0, 0] = np.inf
    noise = rng.normal(size=(2, 3, *frequency.shape))
    values = np.fft.irfft2((noise[0] + 1j * noise[1]) / frequency**1.3)
    values = 128 + 48 * values / values.std()
    pixels = np.clip(values, 0, 255).astype(np.uint8).transpose(1, 2, 0)
    target = BytesIO()
    Image.fromarray(pixels).save(target, "JPEG", quality=QUALITY)
    return target.getvalue()


def recipes(files: Sequence[bytes]) -> list[Picture]:
    """One crop a source, 200 to 700 pixels across."""
    rng = np.random.default_rng(0)
    pictures = []
    for i, data in enumerate(files):
        side = int(rng.integers(200, 700))
        x, y = (int(v) for v in rng.integers(0, PIXELS - side, 2))
        sha256 = hashlib.sha256(data).hexdigest()
        tile = Tile(i, sha256, (PIXELS, PIXELS), "crop", Box(x, y, x + side, y + side))
        pictures.append(Picture((tile,), SIDE, QUALITY))
    return pictures


def plain(data: bytes, box: Box) -> bytes:
    """The crop as one would write it in a line."""
    target = BytesIO()
    with Image.open(BytesIO(data)) as image:
        part = image.crop((box.x0, box.y0, box.x1, box.y1)).resize((SIDE, SIDE))
        part.save(target, "JPEG", quality=QUALITY)
    return target.getvalue()


def milliseconds(jobs: Sequence[Callable[[], bytes]]) -> float:
    """CPU time a job."""
    start = time.process_time()
    for job in jobs:
        job()
    return (time.process_time() - start) * 1000 / len(jobs)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description="Milliseconds of CPU a crop.")
    parser.add_argument("--sources", type=int, default=60, help="different JPEGs, one crop of each")
    n = parser.parse_args().sources
    files = [photograph(seed) for seed in range(n)]
    pictures = recipes(files)
    renderer = Renderer(files.__getitem__, workers=1, decoded_mb=64, encoded_mb=64, max_pixels=10**8)
    boxes = [t.box or Box(0, 0, PIXELS, PIXELS) for p in pictures for t in p.tiles]

    naive = milliseconds([lambda d=d, b=b: plain(d, b) for d, b in zip(files, boxes, strict=True)])
    new = milliseconds([lambda p=p: renderer.jpeg_now(p) for p in pictures])
    seen = milliseconds([lambda p=p: renderer.jpeg_now(p) for p in pictures])
    renderer.close()

    print(f"{n} crops to {SIDE} px, sources {PIXELS} px, {sum(map(len, files)) / n / 1024:.0f} KiB on average")
    print(f"plain  {naive:8.3f} ms")
    print(f"new    {new:8.3f} ms  {naive / new:8.2f} x faster than plain")
    print(f"seen   {seen:8.3f} ms  {naive / seen:8.0f} x faster than plain")


if __name__ == "__main__":
    main()
