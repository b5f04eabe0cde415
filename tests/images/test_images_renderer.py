"""The renderer: each source decoded once, the same bytes in any order, failures remembered."""

import asyncio
import hashlib
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from autointerp.errors import ImageAwayError, ImageError
from autointerp.images.picture import Picture, Tile
from autointerp.images.pixel_file import PixelFile
from autointerp.images.render import picture_size, sheet_cell
from autointerp.images.renderer import Renderer
from autointerp.lmm.request import Images
from autointerp.remote.path import RemoteError, RemotePath
from autointerp.schema import Box


def photo(seed: int, size: tuple[int, int] = (320, 240), turn: int = 1) -> bytes:
    """A JPEG of coloured blots, stored with an EXIF orientation."""
    blots = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = turn
    target = BytesIO()
    Image.fromarray(blots).resize(size).save(target, "JPEG", quality=95, exif=exif)
    return target.getvalue()


class Shelf:
    """Files by image id; counts how often each is read."""

    def __init__(self, files: dict[int, bytes | Path]) -> None:
        self.files = files
        self.reads: list[int] = []

    def read(self, image: int) -> bytes | Path:
        self.reads.append(image)
        return self.files[image]


def crop(image: int, data: bytes, box: Box | None, size: tuple[int, int] = (320, 240)) -> Tile:
    return Tile(image, hashlib.sha256(data).hexdigest(), size, "crop", box)


def one(tile: Tile, side: int = 64) -> Picture:
    return Picture((tile,), side, 85)


def renderer(shelf: Shelf, decoded_mb: int = 16, encoded_mb: int = 16) -> Renderer:
    return Renderer(shelf.read, workers=4, decoded_mb=decoded_mb, encoded_mb=encoded_mb, max_pixels=10**7)


PHOTO = photo(0)
BOXES = [Box(0, 0, 64, 64), Box(50, 60, 150, 130), Box(0, 0, 320, 240), Box(100, 100, 320, 240), Box(5, 5, 45, 205)]


@pytest.fixture
def shelf() -> Shelf:
    return Shelf({i: photo(i) for i in range(4)})


@pytest.fixture
def made(shelf: Shelf) -> Iterator[Renderer]:
    it = renderer(shelf)
    yield it
    it.close()


def opened(jpeg: bytes) -> Image.Image:
    image = Image.open(BytesIO(jpeg))
    assert image.format == "JPEG"
    return image.convert("RGB")


def test_planted_square_ends_where_it_should_in_a_file_turned_by_exif():
    upright = np.zeros((100, 80, 3), dtype=np.uint8)
    upright[30:60, 10:50] = (255, 0, 0)
    exif = Image.Exif()
    exif[0x0112] = 6
    target = BytesIO()
    # Orientation 6: the stored image must be turned 90° clockwise to be seen upright.
    Image.fromarray(upright).transpose(Image.Transpose.ROTATE_90).save(target, "PNG", exif=exif)
    files = Shelf({0: target.getvalue()})
    it = renderer(files)

    square = it.tile_now(crop(0, target.getvalue(), Box(10, 30, 50, 60), (80, 100)), 64)
    wider = it.tile_now(crop(0, target.getvalue(), Box(9, 29, 51, 61), (80, 100)), 64)
    it.close()

    assert square.getcolors() == [(1200, (255, 0, 0))]
    assert sorted(wider.getcolors() or []) == [(144, (0, 0, 0)), (1200, (255, 0, 0))]


def test_pictures_have_the_sizes_foretold(made: Renderer):
    tiles = tuple(crop(0, PHOTO, b) for b in BOXES)

    for picture in [*map(one, tiles), Picture(tiles, 64, 85, 2), Picture(tiles, 30, 85, 4)]:
        assert opened(made.jpeg_now(picture)).size == picture_size(picture)


def test_same_recipe_gives_the_same_bytes_whatever_was_made_before(shelf: Shelf):
    pictures = [one(crop(0, PHOTO, b), side) for b in BOXES for side in (20, 64, 300)]
    forwards, backwards = renderer(shelf), renderer(shelf, decoded_mb=0, encoded_mb=0)

    first = [forwards.jpeg_now(p) for p in pictures]
    second = [backwards.jpeg_now(p) for p in reversed(pictures)][::-1]
    forwards.close()
    backwards.close()

    assert first == second


def test_sixteen_threads_and_five_crops_read_one_source_once(shelf: Shelf, made: Renderer):
    tiles = [crop(0, PHOTO, Box(x, 0, x + 64, 64)) for x in range(0, 50, 10)]

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda i: made.tile_now(tiles[i % 5], 64), range(64)))

    assert shelf.reads == [0]


def test_pictures_asked_together_read_each_source_once_even_with_no_memory(shelf: Shelf):
    it = renderer(shelf, decoded_mb=0, encoded_mb=0)
    files = [shelf.files[i] for i in range(4)]
    tiles = [crop(i, f, Box(x, 0, x + 64, 64)) for x in (0, 9, 99) for i, f in enumerate(files) if isinstance(f, bytes)]
    pictures = [*map(one, tiles), Picture(tuple(tiles), 64, 85, 4), one(tiles[0])]

    together = asyncio.run(it.jpegs(pictures))

    assert sorted(shelf.reads) == [0, 1, 2, 3]
    assert together == [it.jpeg_now(p) for p in pictures]
    it.close()


def test_async_and_sync_agree_through_the_protocol(made: Renderer):
    images: Images = made
    tile = crop(0, PHOTO, BOXES[1])

    async def ask() -> tuple[list[bytes], list[bytes], Image.Image]:
        return await images.jpegs([one(tile)]), await images.jpegs([one(tile)]), await images.tile(tile, 64)

    (first,), (again,), pixels = asyncio.run(ask())

    assert first == again == made.jpeg_now(one(tile))
    assert pixels.tobytes() == made.tile_now(tile, 64).tobytes()


def test_encoded_picture_is_kept_and_its_source_not_read_again(shelf: Shelf):
    it = renderer(shelf, decoded_mb=0)

    for _ in range(3):
        it.jpeg_now(one(crop(0, PHOTO, BOXES[0])))
    it.close()

    assert shelf.reads == [0]


def test_source_of_2048_pixels_is_kept_in_one_megabyte_when_an_eighth_of_it_suffices(shelf: Shelf):
    shelf.files[5] = photo(5, (2048, 2048))
    it = renderer(shelf, decoded_mb=1, encoded_mb=0)
    tile = crop(5, photo(5, (2048, 2048)), None, (2048, 2048))

    it.tile_now(tile, 256)
    it.tile_now(tile, 256)
    it.close()

    assert shelf.reads == [5]


def test_a_file_changed_since_the_dump_was_made_is_refused(shelf: Shelf):
    shelf.files[5] = photo(5)
    it = renderer(shelf, decoded_mb=1, encoded_mb=0)

    with pytest.raises(ImageError, match=r"^image 5: is another file than the dump says \(sha256\)"):
        it.tile_now(crop(5, photo(6), None), 64)
    it.close()


def test_lower_quality_takes_fewer_bytes(made: Renderer):
    tile = crop(0, PHOTO, None)

    assert len(made.jpeg_now(Picture((tile,), 300, 30))) < len(made.jpeg_now(Picture((tile,), 300, 90)))


def test_a_source_that_a_store_does_not_give_now_is_asked_for_again(monkeypatch: pytest.MonkeyPatch):
    asked: list[str] = []

    def read_bytes(path: RemotePath) -> bytes:
        asked.append(str(path))
        if len(asked) == 1:
            raise RemoteError("Service Unavailable")
        return PHOTO

    monkeypatch.setattr(RemotePath, "read_bytes", read_bytes)
    file = RemotePath("s3://bucket/0.jpg")
    it = Renderer(lambda image: file, workers=1, decoded_mb=16, encoded_mb=16, max_pixels=10**7)
    picture = one(crop(7, PHOTO, None))

    with pytest.raises(ImageAwayError) as said:
        it.jpeg_now(picture)
    jpeg = it.jpeg_now(picture)
    it.close()

    assert str(said.value) == "image 7: s3://bucket/0.jpg: Service Unavailable; the same command tries it again"
    assert (len(asked), jpeg[:2]) == (2, b"\xff\xd8")


def test_broken_source_is_read_once_and_named_by_its_image_each_time(made: Renderer, shelf: Shelf):
    shelf.files[7] = PHOTO[:600]
    broken = crop(7, PHOTO[:600], BOXES[0])

    for tile, side in ((broken, 64), (broken, 8), (replace(broken, image=8), 64)):
        with pytest.raises(ImageError, match=rf"^image {tile.image}: file of 600 bytes: "):
            made.tile_now(tile, side)
    with pytest.raises(ImageError, match=r"^image 7: "):
        asyncio.run(made.jpegs([one(crop(0, PHOTO, BOXES[0])), one(broken)]))

    assert shelf.reads.count(7) == 1


def test_bug_of_the_reader_is_not_taken_for_a_broken_image(made: Renderer):
    with pytest.raises(KeyError):
        made.tile_now(crop(99, b"?", None), 64)


def test_size_that_the_dump_has_wrong_is_an_error(made: Renderer):
    with pytest.raises(ImageError, match=r"^image 0: is 320 x 240 pixels, but the dump says 240 x 320; "):
        made.tile_now(crop(0, PHOTO, None, (240, 320)), 64)


def test_files_on_disk_are_read_too(tmp_path: Path):
    path = tmp_path / "a.jpg"
    path.write_bytes(PHOTO)
    it, of_bytes = renderer(Shelf({0: path})), renderer(Shelf({0: PHOTO}))
    picture = one(crop(0, PHOTO, BOXES[1]))

    assert it.jpeg_now(picture) == of_bytes.jpeg_now(picture)
    it.close()
    of_bytes.close()


def cells_of(sheet: Image.Image, rows: int, columns: int) -> Sequence[Image.Image]:
    """Cuts a sheet by its shape alone, as one does who sees only the JPEG."""
    width, height = sheet.width // columns, sheet.height // rows
    return [
        sheet.crop((c * width, r * height, (c + 1) * width, (r + 1) * height))
        for r in range(rows)
        for c in range(columns)
    ]


def test_cells_of_a_decoded_sheet_are_found_by_rows_and_columns_alone():
    colours = [(200, 30, 30), (30, 200, 30), (30, 30, 200), (200, 200, 30), (30, 200, 200)]
    files: dict[int, bytes | Path] = {}
    tiles = []
    for i, colour in enumerate(colours):
        target = BytesIO()
        Image.new("RGB", (120, 90), colour).save(target, "PNG")
        files[i] = target.getvalue()
        tiles.append(crop(i, target.getvalue(), None, (120, 90)))
    it = renderer(Shelf(files))

    sheet = opened(it.jpeg_now(Picture(tuple(tiles), 100, 90, 3)))
    it.close()

    frame = sheet_cell(0, 1, 100).frame
    cells = cells_of(sheet, 2, 3)
    for cell, colour in zip(cells, colours, strict=False):
        middle = cell.getpixel(((frame.x0 + frame.x1) // 2, (frame.y0 + frame.y1) // 2))
        assert isinstance(middle, tuple)
        assert all(abs(a - b) <= 6 for a, b in zip(middle, colour, strict=True))


def test_closing_does_not_wait_for_a_read_that_is_blocked(shelf: Shelf):
    begun, go_on, over = threading.Event(), threading.Event(), threading.Event()

    def read(image: int) -> bytes | Path:
        begun.set()
        go_on.wait(20)
        over.set()
        return shelf.read(image)

    shelf_that_blocks = Renderer(read, workers=4, decoded_mb=16, encoded_mb=16, max_pixels=10**7)

    async def main() -> None:
        wanted = asyncio.create_task(shelf_that_blocks.jpegs([one(crop(0, PHOTO, None))]))
        await asyncio.to_thread(begun.wait)
        wanted.cancel()

    asyncio.run(main())
    shelf_that_blocks.close()

    assert not over.is_set()
    go_on.set()


def test_a_source_that_was_decoded_before_is_neither_read_nor_decoded_again_and_looks_the_same(tmp_path: Path) -> None:
    """Of a plain JPEG, one that is turned, and a PNG; each is shown in full, at half its size and as a crop."""
    target = BytesIO()
    Image.open(BytesIO(photo(3))).save(target, "PNG")
    files = {0: PHOTO, 1: photo(2, turn=6), 2: target.getvalue()}
    sizes = {0: (320, 240), 1: (240, 320), 2: (320, 240)}
    boxes = (None, Box(20, 30, 120, 140))
    pictures = [
        one(crop(i, data, box, sizes[i]), side) for i, data in files.items() for box in boxes for side in (64, 320)
    ]
    shelf = Shelf(dict(files))

    def made(kept: PixelFile | None) -> list[bytes]:
        own = Renderer(shelf.read, workers=1, decoded_mb=16, encoded_mb=0, max_pixels=10**7, kept=kept)
        jpegs = [own.jpeg_now(picture) for picture in pictures]
        if kept is not None:
            kept.wait()
        own.close()
        return jpegs

    plain, first = made(None), made(PixelFile(tmp_path))
    shelf.reads.clear()
    assert made(PixelFile(tmp_path)) == first == plain
    assert shelf.reads == []


def test_a_source_that_fails_is_not_kept(tmp_path: Path) -> None:
    shelf = Shelf({0: photo(7)})
    wrong = one(crop(0, PHOTO, None))
    for _ in range(2):
        own = Renderer(shelf.read, workers=1, decoded_mb=1, encoded_mb=1, max_pixels=10**7, kept=PixelFile(tmp_path))
        with pytest.raises(ImageError, match="another file"):
            own.jpeg_now(wrong)
    assert shelf.reads == [0, 0]
