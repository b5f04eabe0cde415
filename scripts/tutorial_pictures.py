"""Takes the tutorial's pictures of what its commands wrote: `python scripts/tutorial_pictures.py FOLDER`.

FOLDER is where the commands of docs/tutorial.md were run with `AUTOINTERP_MODEL=local`. It needs a Chromium and what
`make dev` installs, and writes docs/images/tutorial-*.png.
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
COLOURS = 128
LARGEST = 150_000
"""Bytes of a picture."""


def write(picture: Image.Image, name: str) -> None:
    """Writes a picture of few colours, no wider than the pages show it."""
    height = round(picture.height * min(1, WIDTH / picture.width))
    small = picture.convert("RGB").resize((min(WIDTH, picture.width), height), Image.Resampling.LANCZOS)
    out = ROOT / "docs" / "images" / f"tutorial-{name}.png"
    small.quantize(COLOURS, dither=Image.Dither.NONE).save(out, optimize=True)
    assert out.stat().st_size <= LARGEST, f"{out}: {out.stat().st_size:,} bytes"
    print(out)


async def shot(tab: Tab, **clip: float) -> Image.Image:
    """A part of the page, in pixels from its top left."""
    area = {"x": 0, "y": 0, "scale": 1} | clip
    told = await tab.call("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=area)
    return Image.open(io.BytesIO(base64.b64decode(told["data"])))


def take(folder: Path, browser: str, profile: Path) -> None:
    """Takes the picture of the contact sheet, of the report's first screen, and of a card."""
    with Image.open(folder / "sheet.png") as sheet:
        write(sheet.crop((0, 0, sheet.width, sheet.height * 2 // 3)), "sheet")

    async def visit(tab: Tab) -> None:
        await tab.open((folder / "runs" / "first" / "report.html").absolute().as_uri(), width=WIDTH, height=900)
        write(await shot(tab, width=WIDTH, height=800), "report")
        # As a reader does: by the link, after which the pictures near it load.
        await tab.run("location.hash = '#f696'")
        await tab.until("[...document.querySelectorAll('#f696 figure img')].slice(0, 8).every(i => i.naturalWidth)")
        place = await tab.run(
            "(() => { for (const more of document.querySelectorAll('#f696 details')) more.open = false;"
            " const box = document.getElementById('f696').getBoundingClientRect();"
            " return {y: box.y + scrollY, height: box.height} })()"
        )
        assert isinstance(place, dict)
        write(await shot(tab, width=WIDTH, **place), "card")

    with running(browser, profile) as address:
        in_tab(address, visit)


if __name__ == "__main__":
    found = find_browser()
    assert found is not None, "there is no Chromium on the PATH"
    with tempfile.TemporaryDirectory() as temporary:
        take(Path(sys.argv[1]), found, Path(temporary))
