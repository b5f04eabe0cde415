"""Decodes the images of a dump, wherever its files are, and pictures that lie beside it."""

from autointerp.dump.reader import Dump
from autointerp.images.alteration import Source
from autointerp.images.decode import Decoded, decode
from autointerp.images.renderer import bytes_of
from autointerp.remote.path import RemotePath


def decoded(dump: Dump, image: int, at_most: int | None) -> Decoded:
    """Decodes an image of a dump.

    Args:
        dump: its dump.
        image: its number.
        at_most: a longest side in pixels that suffices, as for `decode`; None for full size.

    Raises:
        DumpError: there is no such image, or its path leaves the dump and must not.
        ImageError: it is missing, or cannot be read or decoded.
    """
    source = dump.image_source(image)
    return decode(bytes_of(source) if isinstance(source, RemotePath) else source, at_most=at_most)


def source_pixels(dump: Dump, source: Source, at_most: int | None) -> Decoded:
    """Decodes the image of a source: one of a dump, or a picture in a file of its own.

    Raises:
        DumpError: there is no such image, or its path leaves the dump and must not.
        ImageError: it is missing, or cannot be read or decoded.
    """
    if source.file is not None:
        return decode(source.file, at_most=at_most)
    return decoded(dump, source.image, at_most)
