"""Pictures on disk, each once, by the SHA-256 of its bytes."""

import hashlib
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from autointerp.errors import SettingsError

FOLDER = "pictures"
"""The folder of pictures, inside that of the cache and of a run."""
ENDINGS = {"PNG": ".png", "JPEG": ".jpg", "WEBP": ".webp"}
"""The formats that are kept, and how their files end."""


def picture_file(folder: Path, sha256: str) -> Path | None:
    """Finds a picture in a folder of them; None where it is not there.

    Args:
        folder: a cache's or a run's `FOLDER`.
        sha256: of its bytes, hex.
    """
    places = (folder / sha256[:2] / f"{sha256}{ending}" for ending in ENDINGS.values())
    return next((place for place in places if place.is_file()), None)


class PictureStore:
    """Keeps pictures by their content; a file is written in one step, so that several processes may share the folder.

    Args:
        folder: made when the first picture comes.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, data: bytes, kind: str) -> str:
        """Keeps a picture, and gives its digest.

        Args:
            data: the bytes of its file.
            kind: its format, one of `ENDINGS`.

        Raises:
            SettingsError: it cannot be written.
        """
        sha256 = hashlib.sha256(data).hexdigest()
        place = self.folder / sha256[:2] / f"{sha256}{ENDINGS[kind]}"
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=place.parent, suffix=".part", delete=False) as draft:
                draft.write(data)
            Path(draft.name).replace(place)
        except OSError as e:
            raise SettingsError(
                f"{self.folder}: a picture cannot be written ({e.strerror}); free space, or use --cache"
            ) from e
        return sha256

    def read(self, sha256: str) -> bytes | None:
        """Gives the bytes of a picture; None where it is not there or is damaged."""
        place = picture_file(self.folder, sha256)
        with suppress(OSError):
            data = place.read_bytes() if place is not None else b""
            return data if hashlib.sha256(data).hexdigest() == sha256 else None
        return None

    def copy_to(self, folder: Path, sha256: str) -> None:
        """Puts a picture into another folder of pictures, as a second name of the file where the disk allows it.

        Raises:
            SettingsError: it cannot be written there.
        """
        place = picture_file(self.folder, sha256)
        if place is None or picture_file(folder, sha256) is not None:
            return
        there = folder / sha256[:2] / place.name
        try:
            there.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileExistsError):
                try:
                    os.link(place, there)
                except OSError:
                    shutil.copyfile(place, there)
        except OSError as e:
            raise SettingsError(f"{folder}: a picture cannot be written ({e.strerror}); free space") from e
