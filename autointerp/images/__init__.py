"""From a recipe (Picture) to encoded pixels: regions, crops, overlays, sheets."""
