"""The engine of this process, opened at first use."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any, Callable, Dict, Mapping, Optional, Union

from . import _engine
from ._errors import InvalidError, NotFoundError

Log = Callable[[int, str], None]
Config = Union[str, "os.PathLike[str]", Mapping[str, Any]]

_usual_config = Path("/etc/litbuild/config.json")
_lock = threading.Lock()
_root: Optional[str] = None
_config: Optional[Config] = None
_log: Optional[Log] = None
_opened: Optional[_engine.Engine] = None


def configure(
    root: Union[str, "os.PathLike[str]", None] = None, *, config: Optional[Config] = None, log: Optional[Log] = None
) -> None:
    """Says which builds this process works on; builds that were made before follow.

    Args:
        root: folder of the teams. Default: ``LITBUILD_ROOT``, else the configuration's, else ``/data``.
        config: a file, or what would stand in it: which plugins serve, and how. Default: the file ``LITBUILD_CONFIG``, else
            ``/etc/litbuild/config.json`` where there is one.
        log: receives a level (0 debug, 1 info, 2 warning, 3 error) and a line for the operator, in any thread.

    Raises:
        InvalidError: the configuration makes no sense. What was configured before stays.
        NotFoundError: the root, the runner, a plugin or the file is not there.
    """
    global _root, _config, _log, _opened
    new_root = None if root is None else os.fspath(root)
    opened = _open(new_root, config, log)
    with _lock:
        _root, _config, _log, _opened = new_root, config, log, opened


def engine() -> _engine.Engine:
    """The engine that was configured."""
    global _opened
    with _lock:
        if _opened is not None:
            return _opened
        root, config, log = _root, _config, _log
    # Not under the lock: opening looks after signals, and a handler may come here.
    opened = _open(root, config, log)
    with _lock:
        if _opened is None:
            _opened = opened
        return _opened


def _read(file: Path, required: bool) -> Dict[str, Any]:
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        if required:
            raise NotFoundError(f"{file}: no such file (configuration)") from None
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidError(f"{file}: the configuration cannot be read: {error}") from error
    try:
        return _object(json.loads(text), str(file))
    except ValueError as error:
        raise InvalidError(f"{file}: is not JSON: {error}") from error


def _object(value: Any, where: str) -> Dict[str, Any]:
    if not isinstance(value, Mapping):
        raise InvalidError(f"{where}: is not a JSON object")
    return dict(value)


def _open(root: Optional[str], config: Optional[Config], log: Optional[Log]) -> _engine.Engine:
    if isinstance(config, Mapping):
        settings = dict(config)
    elif config is not None:
        settings = _read(Path(config), required=True)
    elif named := os.environ.get("LITBUILD_CONFIG"):
        settings = _read(Path(named), required=True)
    else:
        settings = _read(_usual_config, required=False)
    if root is None:
        root = os.environ.get("LITBUILD_ROOT") or None
    if root is not None:
        if not root:
            raise InvalidError("root: is empty")
        settings["root"] = os.path.join(os.getcwd(), root) if not os.path.isabs(root) else root
        store = settings.get("store")
        if isinstance(store, Mapping) and "root" in store:
            # A store that has a root of its own is given the one that was asked for.
            settings["store"] = {**store, "root": settings["root"]}
    return _engine.Engine(json.dumps(settings), log)


def _after_fork() -> None:
    # The threads of the parent's engine are not here.
    global _opened, _lock
    _forgotten.append(_opened)
    _opened = None
    _lock = threading.Lock()


# Not destroyed in the child, for its end would wait for those threads.
_forgotten: "list[Optional[_engine.Engine]]" = []
os.register_at_fork(after_in_child=_after_fork)
