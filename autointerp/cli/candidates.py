"""The options of explaining by several candidates."""

from typing import TYPE_CHECKING

from autointerp.cli.build import build_settings
from autointerp.errors import SettingsError

if TYPE_CHECKING:
    from autointerp.settings import CandidateSettings

NONE = "none"
"""As an embedder: nobody."""


def candidate_settings(
    candidates: int | None,
    *,
    diverse: bool,
    subset: int,
    temperature: float,
    n_active: int,
    n_silent: int,
    judge: str | None,
    embedder: str,
    embedder_base_url: str | None,
) -> "CandidateSettings | None":
    """How candidates are sampled; None where one explanation is asked for.

    Raises:
        SettingsError: an option that says nothing without others.
    """
    from autointerp.settings import CandidateSettings, ModelSettings

    if candidates is None and not diverse:
        if judge is not None:
            raise SettingsError("--candidate-judge: there is one explanation only; add --candidates or --diverse")
        return None
    if embedder == NONE and embedder_base_url is not None:
        raise SettingsError("--embedder none with --embedder-base-url: leave one of them out")
    who = None if embedder == NONE else build_settings(ModelSettings, model=embedder, base_url=embedder_base_url)
    sampled = {} if candidates is None else {"n": candidates}
    return build_settings(
        CandidateSettings,
        **sampled,
        diverse=diverse,
        subset=subset,
        temperature=temperature,
        n_active=n_active,
        n_silent=n_silent,
        judge=judge,
        embedder=who,
    )


def counted_candidates(candidates: int | None, *, diverse: bool) -> "CandidateSettings | None":
    """The same as far as an estimate asks for it: the rest has its defaults.

    Raises:
        SettingsError: too few or too many.
    """
    from autointerp.settings import CandidateSettings

    if candidates is None and not diverse:
        return None
    return build_settings(CandidateSettings, **({} if candidates is None else {"n": candidates}), diverse=diverse)
