"""What networks, coders and dictionaries are called, in files and in tables."""

TUNED, FROZEN, FRESH, POOLED = "tuned", "frozen", "random", "pooled"
"""Networks: the tuned classifier's, patch by patch; the frozen one; one of random weights; and the tuned one's single
vector an image, from the class token to the head's hidden units."""
MT, TT, MS, TS = "matryoshka-transcoder", "topk-transcoder", "matryoshka-sae", "topk-sae"
RAW = "raw-units"
SHOWN = {
    f"{TUNED}-{MT}": "Matryoshka transcoder",
    f"{TUNED}-{TT}": "TopK transcoder",
    f"{TUNED}-{MS}": "Matryoshka SAE",
    f"{TUNED}-{TS}": "TopK SAE",
    RAW: "raw units of the layer",
    f"{POOLED}-{MT}": "Matryoshka transcoder, one vector an image",
    f"{FROZEN}-{MT}": "Matryoshka transcoder, frozen network",
    f"{FRESH}-{MT}": "Matryoshka transcoder, random weights",
}
"""Rows of the tables, in order; without another word, of the tuned network's patches."""
