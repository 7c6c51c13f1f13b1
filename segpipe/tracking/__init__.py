"""MLflow, and the only door to it: runs that survive its absence, and the model registry.

The history lies in files; the tracking store is a copy for people to look at. While it is away, training goes on,
and what it missed is uploaded at the next contact.
"""

from segpipe.tracking.files import pictures_of, scores_of, upload
from segpipe.tracking.registry import CHALLENGER, CHAMPION, register, registered_version, set_alias
from segpipe.tracking.runs import Run, begin, continued
from segpipe.tracking.store import client as _client
from segpipe.tracking.store import uri, wake

__all__ = [
    "CHALLENGER",
    "CHAMPION",
    "Run",
    "_client",
    "begin",
    "continued",
    "pictures_of",
    "register",
    "registered_version",
    "scores_of",
    "set_alias",
    "upload",
    "uri",
    "wake",
]
