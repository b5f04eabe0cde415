"""Takes the pictures of the README and of the tutorial: `python scripts/tutorial_pictures.py FOLDER`.

FOLDER is where the commands of docs/tutorial.md were run with `AUTOINTERP_MODEL=local`, and, for the README's card,

    autointerp explain autointerp/demo/dump --run runs/card --features 94,135,350,621,684,717,830,1740
    autointerp score runs/card --interval 0.3
    autointerp report runs/card

It needs a Chromium and what `make dev` installs, and writes docs/images/tutorial-*.png and docs/images/report-card.png.
"""

import base64
import io
import sys
import tempfile
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests" / "report"))

from report_browser import Tab, find_browser, in_tab, running  # noqa: E402 - the report's tests know how to ask a browser

WIDTH = 960
WIDE = 1200
"""Pixels of the README's card."""
COLOURS = 128
LARGEST = 150_000
"""Bytes of a picture."""


def write(picture: Image.Image, name: str, width: int = WIDTH) -> None:
    """Writes a picture of few colours, no wider than the pages show it."""
    height = round(picture.height * min(1, width / picture.width))
    small = picture.convert("RGB").resize((min(width, picture.width), height), Image.Resampling.LANCZOS)
    out = ROOT / "docs" / "images" / f"{name}.png"
    small.quantize(COLOURS, dither=Image.Dither.NONE).save(out, optimize=True)
    assert out.stat().st_size <= LARGEST, f"{out}: {out.stat().st_size:,} bytes"
    print(out)


async def shot(tab: Tab, **clip: float) -> Image.Image:
    """A part of the page, in pixels from its top left."""
    area = {"x": 0, "y": 0, "scale": 1} | clip
    told = await tab.call("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=area)
    return Image.open(io.BytesIO(base64.b64decode(told["data"])))


async def card(tab: Tab, report: Path, feature: int, width: int) -> Image.Image:
    """A feature's card, its folds closed."""
    await tab.open(report.absolute().as_uri(), width=width, height=900)
    # As a reader does: by the link, after which the pictures near it load.
    await tab.run(f"location.hash = '#f{feature}'")
    await tab.until(f"[...document.querySelectorAll('#f{feature} figure img')].slice(0, 8).every(i => i.naturalWidth)")
    place = await tab.run(
        f"(() => {{ for (const more of document.querySelectorAll('#f{feature} details')) more.open = false;"
        f" const box = document.getElementById('f{feature}').getBoundingClientRect();"
        " return {y: box.y + scrollY, height: box.height} })()"
    )
    assert isinstance(place, dict)
    return await shot(tab, width=width, **place)


def take(folder: Path, browser: str, profile: Path) -> None:
    """Takes the picture of the contact sheet, of the report's first screen, and of two cards."""
    with Image.open(folder / "sheet.png") as sheet:
        write(sheet.crop((0, 0, sheet.width, sheet.height * 2 // 3)), "tutorial-sheet")

    async def visit(tab: Tab) -> None:
        report = folder / "runs" / "first" / "report.html"
        await tab.open(report.absolute().as_uri(), width=WIDTH, height=900)
        write(await shot(tab, width=WIDTH, height=800), "tutorial-report")
        write(await card(tab, report, 350, WIDTH), "tutorial-card")
        write(await card(tab, folder / "runs" / "card" / "report.html", 717, WIDE), "report-card", WIDE)

    with running(browser, profile) as address:
        in_tab(address, visit)


if __name__ == "__main__":
    found = find_browser()
    assert found is not None, "there is no Chromium on the PATH"
    with tempfile.TemporaryDirectory() as temporary:
        take(Path(sys.argv[1]), found, Path(temporary))
