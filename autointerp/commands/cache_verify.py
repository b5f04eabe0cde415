"""`autointerp cache verify`: whether every row of the cache can be read."""

from autointerp.commands.cache_info import OfCache
from autointerp.options import Work


class CacheVerify(OfCache):
    """Read every row of the cache, and list those that are broken; nothing is changed.

    A broken row counts as no answer: the question is asked again where it is needed. Exit code 2 if there is one.

    Example: `autointerp cache verify`
    """


cache_verify = Work(CacheVerify, "autointerp.jobs.cache:verify")
