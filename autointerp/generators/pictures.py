"""Small pictures of images, which a result keeps of its strongest images and of those that a judge is shown."""

from pathlib import Path

from autointerp.errors import ImageError, SettingsError
from autointerp.images.content import source_of
from autointerp.images.decode import decoding
from autointerp.images.jpeg import encoded, pixels_of
from autointerp.populations.images import PopulationImage
from autointerp.processes import draft_of

QUALITY = 80
"""Of the JPEG."""


def put_picture(path: Path, image: PopulationImage, side: int) -> tuple[int, int]:
    """Writes a picture of an image unless it is there.

    Args:
        path: of the JPEG; its folder is made where it is missing.
        image: what is shown.
        side: pixels of its longer side, at most.

    Returns:
        Its width and height.

    Raises:
        SettingsError: it cannot be written, or the image is not there any more.
    """
    scale = min(1.0, side / max(image.width, image.height))
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    if path.exists():
        return size
    try:
        with decoding(source_of(image.content), at_most=side) as decoded:
            small = decoded.image.resize(size)
        path.parent.mkdir(exist_ok=True)
        draft = draft_of(path)
        draft.write_bytes(encoded(pixels_of(small.convert("RGB")), QUALITY))
        draft.replace(path)
    except ImageError as e:
        raise SettingsError(f"{e}; it could be read before") from e
    except OSError as e:
        raise SettingsError(f"{path}: cannot be written: {e.strerror}") from e
    return size
