"""What the package raises: one class for each code of the engine's closed set."""

from __future__ import annotations

import builtins
from typing import Dict, Optional, Sequence, Type

__all__ = [
    "CancelledError",
    "CorruptError",
    "DeniedError",
    "Error",
    "ExistsError",
    "InternalError",
    "InvalidError",
    "NoSpaceError",
    "NotFoundError",
    "NotStoppedError",
    "RefusedError",
    "TimeoutError",
    "UnavailableError",
    "UnsupportedError",
]


class Error(Exception):
    """What every function of this package raises. Its text is one sentence that starts with the object."""

    #: The code as it stands in JSON, such as ``"not_found"``.
    code: str = "internal"
    #: ``errno`` of the system call that failed; ``None``: none did.
    errno: Optional[int] = None


class NotFoundError(Error, LookupError):
    """There is no such team, build or file."""

    code = "not_found"


class ExistsError(Error):
    """It is there already."""

    code = "exists"


class DeniedError(Error):
    """No permission, or a read-only place."""

    code = "denied"


class InvalidError(Error, ValueError):
    """The request or the configuration makes no sense."""

    code = "invalid"


class UnsupportedError(Error):
    """A plugin cannot do that."""

    code = "unsupported"


class UnavailableError(Error):
    """Not now; try again later."""

    code = "unavailable"


class NoSpaceError(Error):
    """Disk or quota full."""

    code = "no_space"


class CorruptError(Error):
    """What was found is damaged."""

    code = "corrupt"


class CancelledError(Error):
    """The call was cancelled."""

    code = "cancelled"


class TimeoutError(Error, builtins.TimeoutError):
    """The time of the call has passed."""

    code = "timeout"
    errno = None


class InternalError(Error):
    """A fault of litbuild or of a plugin."""

    code = "internal"


class RefusedError(Error):
    """The state of the build does not allow it."""

    code = "refused"


class NotStoppedError(Error):
    """A stop that cannot say that no process of the build is alive; ``result`` tells what it knows."""

    code = "not_stopped"

    def __init__(self, message: str, result: object = None) -> None:
        super().__init__(message)
        self.result = result


_classes: Dict[str, Type[Error]] = {
    each.code: each
    for each in (
        NotFoundError, ExistsError, DeniedError, InvalidError, UnsupportedError, UnavailableError,
        NoSpaceError, CorruptError, CancelledError, TimeoutError, InternalError, RefusedError,
    )
}


def make(code: str, message: str, errno: int) -> Error:
    """The exception for an error of the engine."""
    error = _classes.get(code, InternalError)(message)
    error.errno = errno or None
    return error
