"""A dump as a notebook shows it: what dump.json says, and the strongest images of the first features that fire."""

from itertools import islice

from autointerp.arrays import ints
from autointerp.dump.reader import Dump
from autointerp.errors import AutointerpError
from autointerp.notebook.html import escaped, facts, framed, heading, listed, strip
from autointerp.notebook.thumbnails import thumbnails

N_FEATURES = 8
"""Whose strongest image is shown."""


def of_dump(dump: Dump) -> str:
    """Makes the HTML of a dump."""
    info = dump.info
    spoken = {"complete": "", "sample": " of a sample", "unknown": "; of how many that were run is not known"}
    about = {
        "model": info.model,
        "hookpoint": info.hookpoint,
        "features": f"{dump.n_features:,} of {info.n_latents:,} latents",
        "widths": listed([f"{width:,}" for width in info.widths]),
        "images": f"{info.n_images:,}{spoken[info.population]}",
        "fires above": f"{info.active_above:.4g}",
        "heat maps": None if info.patch_grid is None else "{} x {}".format(*info.patch_grid),
        "attribute": None if info.attribute is None else info.attribute.name,
        "folder": dump.path,
    }
    return framed(heading(f"Dump {info.name}"), facts(about), _pictures(dump))


def _pictures(dump: Dump) -> str:
    try:
        table = dump.feature_parts.read_all(["feature", "n_active"])
        live = ints(table["feature"])[ints(table["n_active"]) > 0]
        features = (dump.feature(number) for number in live.tolist())
        shown = [(f.id, max(f.active, key=lambda e: e.activation)) for f in islice(features, N_FEATURES) if f.active]
        made = thumbnails(dump, [exemplar for _, exemplar in shown])
    except AutointerpError as e:
        return f"<div>{escaped(e)}</div>"
    named = (one._replace(caption=f"feature {number}") for (number, _), one in zip(shown, made, strict=False))
    return strip(named)
