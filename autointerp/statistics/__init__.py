"""The arithmetic of scores: rates with intervals, exact tests, resampling. It knows no scorer and no model."""
