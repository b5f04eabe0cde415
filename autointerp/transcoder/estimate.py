"""A figure over images with its interval."""

from autointerp.record import Record


class Estimate(Record):
    """A figure with its 95 % interval: a percentile bootstrap over groups of images (Efron & Tibshirani 1993)."""

    value: float
    low: float
    high: float
