"""Small records whose every number a test can name."""

from collections.abc import Iterable, Sequence

from autointerp.candidates import Candidate, Cluster, Sampled, disjunction
from autointerp.images.picture import Picture, Tile
from autointerp.lmm.request import ImagePart, Message, Request, TextPart
from autointerp.replies import Reply, judge_reply, reply_schema
from autointerp.schema import Exemplar, Explanation, Feature, FeatureRow, ImageRow, Usage


def picture(image: int = 0) -> Picture:
    """The whole of an image of 64x48 pixels."""
    return Picture((Tile(image, f"{image:064x}", (64, 48), "full", None),), side=64, quality=85)


def question(text: str = "Does it fit?", *, pictures: int = 0, reply: type[Reply] | None = None) -> Request:
    """One judging question about `pictures` images, asked of the model `m` for at most 50 tokens."""
    shown = [ImagePart(picture(i), "judged", (i + 1,)) for i in range(pictures)]
    return Request(
        model="m",
        task="judge",
        subject="a red square",
        messages=(Message("system", (TextPart("You judge."),)), Message("user", (TextPart(text), *shown))),
        reply_schema=reply_schema(reply or judge_reply(1)),
        temperature=0.0,
        max_tokens=50,
        seed=7,
    )


def exemplars(stratum: str, images: Iterable[int], *, activation: float = 1.0, probability: float = 1.0):
    """One exemplar an image, each a little weaker than the one before."""
    return tuple(
        Exemplar(image, activation - i / 1000, stratum, probability, None, None) for i, image in enumerate(images)
    )


def feature(rows: Sequence[Exemplar], *, n_active: int = 100, number: int = 3) -> Feature:
    """Feature 3, which fires on 100 images."""
    return Feature(FeatureRow(number, 8, n_active, 2.0, None, None), tuple(rows))


def image_rows(ids: Iterable[int], *, groups: dict[int, str] | None = None) -> dict[int, ImageRow]:
    """Images of 64x48 pixels."""
    return {i: ImageRow(i, 64, 48, f"{i:064x}", None, (groups or {}).get(i), None) for i in ids}


def explanation(
    number: int = 3, *, text: str = "a red square", images: Sequence[int] = (), contrast: Sequence[int] = ()
) -> Explanation:
    """An explanation of one call with 10 tokens in and 5 out."""
    return Explanation(
        feature=number,
        text=text,
        concepts=(text,),
        none=False,
        model="m",
        prompt="0" * 12,
        images=tuple(images),
        contrast=tuple(contrast),
        usage=Usage(input_tokens=10, output_tokens=5, calls=1),
        created="2026-01-31T12:00:00Z",
    )


def sampled(*texts: str, dropped: Sequence[str] = (), collapse: float | None = 0.5, chance: bool = True) -> Sampled:
    """One candidate a text, each a cluster of its own: those of `texts` are kept, those of `dropped` are not."""
    all_texts = (*texts, *dropped)
    return Sampled(
        asked=len(all_texts),
        candidates=tuple(Candidate(text=t, concepts=(t,), images=(0,), score=0.5, p=0.01) for t in all_texts),
        clusters=tuple(
            Cluster(
                members=(i,),
                best=i,
                score=0.5,
                p=0.02,
                kept=i < len(texts),
            )
            for i in range(len(all_texts))
        ),
        collapse=collapse,
        beats_chance=chance,
    )


def several(*texts: str, number: int = 3) -> Explanation:
    """A disjunction of several explanations that were sampled."""
    return explanation(number, text=disjunction(texts)).model_copy(update={"sampled": sampled(*texts)})
