"""Data builds: their status, their paths and tags; start, stop, archive and restore them.

    from lit.sdk.data.build import Build, get_builds

    build = Build("contoso", 19)
    build.get_status()       # BuildStatus('2024-06-08 16:40:31', 'complete', None)
    build.archive()          # PosixPath('/data/contoso/logs/archive/19')
    build.restore()          # PosixPath('/data/contoso/logs/19')
    build.stop()             # 'Build id 19 has been stopped'
    get_builds("contoso")[0].path

The root is ``/data``, the environment's ``LITBUILD_ROOT``, or what :func:`configure` says. Every function may be called from
any thread, runs without the interpreter's lock, raises :class:`Error`, and answers Ctrl-C.
"""

from __future__ import annotations

from ._build import (
    Build, examine, get_builds, get_plugins, get_teams, launch, list_builds, prune, watch,
)
from ._engine import version as __version__
from ._errors import (
    CancelledError, CorruptError, DeniedError, Error, ExistsError, InternalError, InvalidError, NoSpaceError, NotFoundError,
    NotStoppedError, RefusedError, TimeoutError, UnavailableError, UnsupportedError,
)
from ._settings import configure
from ._types import (
    BuildChange, BuildEvent, BuildStatus, BuildStep, BuildSummary, Finding, PluginInfo, ProcessInfo, PruneResult, StopResult,
)

__all__ = [
    "Build", "BuildChange", "BuildEvent", "BuildStatus", "BuildStep", "BuildSummary", "CancelledError", "CorruptError",
    "DeniedError", "Error", "ExistsError", "Finding", "InternalError", "InvalidError", "NoSpaceError", "NotFoundError",
    "NotStoppedError", "PluginInfo", "ProcessInfo", "PruneResult", "RefusedError", "StopResult", "TimeoutError",
    "UnavailableError", "UnsupportedError", "__version__", "configure", "examine", "get_builds", "get_plugins", "get_teams",
    "launch", "list_builds", "prune", "watch",
]

# What users see of where these come from.
for _name in __all__:
    if getattr(globals()[_name], "__module__", "").startswith(__name__ + "."):
        globals()[_name].__module__ = __name__
del _name
