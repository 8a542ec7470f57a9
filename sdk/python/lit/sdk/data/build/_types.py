"""Plain values that the package returns. All are immutable."""

from __future__ import annotations

import operator
import time as _time
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Callable, Dict, Optional, Tuple

__all__ = [
    "BuildChange", "BuildEvent", "BuildStatus", "BuildStep", "BuildSummary", "Finding", "PluginInfo", "ProcessInfo",
    "PruneResult", "StopResult",
]


_EPOCH = datetime.fromtimestamp(0, timezone.utc)


def _moment(nanoseconds: int) -> Optional[datetime]:
    if nanoseconds == 0:
        return None
    return _EPOCH + timedelta(microseconds=nanoseconds // 1000)


def nanoseconds(moment: Optional[datetime]) -> int:
    """As the engine counts them, since 1970; 0 where none is given."""
    if moment is None:
        return 0
    try:
        since = (moment.astimezone(timezone.utc) - _EPOCH) // timedelta(microseconds=1) * 1000
    except (OverflowError, ValueError):
        # At an end of what Python counts.
        since = 0 if moment.year < 1970 else 2 ** 63
    return min(max(since, 1), 2 ** 63 - 1)


def _local(nanoseconds: int) -> Optional[str]:
    if nanoseconds == 0:
        return None
    return _time.strftime("%Y-%m-%d %H:%M:%S", _time.localtime(nanoseconds // 1_000_000_000))


@dataclass(frozen=True)
class BuildStep:
    """A step of a build, as it stands."""

    name: str
    #: As :attr:`BuildStatus.state`; ``queued`` until it starts.
    state: str
    exit_code: Optional[int] = None
    #: That ended it.
    signal: Optional[int] = None
    #: Points in time, in UTC; ``None``: not yet, or not known.
    started: Optional[datetime] = None
    ended: Optional[datetime] = None
    #: From 0 to 1.
    progress: Optional[float] = None
    #: Index of the step that this one is a part of.
    parent: Optional[int] = None


@dataclass(frozen=True, repr=False)
class BuildStatus:
    """What is known of a build.

    >>> BuildStatus("2024-06-08 16:40:31", "complete", None)
    BuildStatus('2024-06-08 16:40:31', 'complete', None)
    """

    #: When this became so, in local time; ``None``: not known. :attr:`changed` is the same moment in UTC.
    time: Optional[str]
    #: ``queued``, ``running``, ``stopping``, ``complete``, ``failed`` (its own fault), ``error`` (the platform's),
    #: ``stopped``, ``lost`` (its process is gone and left no word) or ``unknown`` (there is no status to read).
    state: str
    #: Name of the current step; ``None``: none is running.
    step: Optional[str]
    steps: Tuple[BuildStep, ...] = ()
    #: From 0 to 1; ``None``: the build does not tell.
    progress: Optional[float] = None
    #: What the build last said of its progress.
    message: Optional[str] = None
    exit_code: Optional[int] = None
    signal: Optional[int] = None
    #: One sentence; ``None``: there was no error.
    error: Optional[str] = None
    #: Who asked for its stop, and why.
    stopped_by: Optional[str] = None
    reason: Optional[str] = None
    #: Points in time, in UTC; ``None``: not yet, or not known.
    changed: Optional[datetime] = None
    created: Optional[datetime] = None
    started: Optional[datetime] = None
    ended: Optional[datetime] = None
    #: Of the last event that this includes; what :meth:`Build.events` takes.
    cursor: int = 0
    #: How old this may be, in seconds, because other hosts are seen late; 0: it is as it is.
    as_of: float = 0.0

    def __repr__(self) -> str:
        return f"BuildStatus({self.time!r}, {self.state!r}, {self.step!r})"


@dataclass(frozen=True)
class BuildSummary:
    """What a list shows of a build."""

    runid: int
    path: Path
    archived: bool
    tags: Tuple[str, ...]
    status: BuildStatus


@dataclass(frozen=True)
class BuildEvent:
    """Something that happened to a build."""

    #: Its position; grows with each event of a build.
    cursor: int
    time: Optional[datetime]
    type: str
    #: Of the build from here on.
    state: str
    #: The event as one JSON object.
    json: str = field(repr=False)


@dataclass(frozen=True)
class BuildChange:
    """Something that happened to one of a team's builds."""

    #: ``watching`` (the first one: from here on nothing is missed), ``created``, ``changed``, ``archived``, ``restored``
    #: or ``removed``.
    kind: str
    #: 0 with ``watching``.
    runid: int
    #: As it was found then; ``None`` with ``watching`` and ``removed``.
    status: Optional[BuildStatus]
    #: With ``watching``: how late a change may be told, in seconds; 0: as it happens.
    delay: float = 0.0


@dataclass(frozen=True)
class ProcessInfo:
    """A process that outlived a stop."""

    pid: int
    command: str
    #: As ``ps`` shows it.
    state: Optional[str] = None
    #: What it hangs in.
    where: Optional[str] = None
    #: Why it may be none of the build's after all.
    doubt: Optional[str] = None


class StopResult(str):
    """How a stop went: the sentence, such as ``'Build id 19 has been stopped'``, and what is behind it."""

    #: ``stopped``, ``already_finished``, ``requested`` or ``incomplete``.
    outcome: str
    #: Processes that had to be killed.
    killed: int
    #: Seconds.
    took: float
    #: With ``incomplete``: what is still alive.
    survivors: Tuple[ProcessInfo, ...]


@dataclass(frozen=True)
class PruneResult:
    """How it went with one of the builds that a policy lets go."""

    runid: int
    #: Where it is now; ``None``: nowhere.
    path: Optional[Path]
    #: Why it was not done; ``None``: it was.
    error: Optional[Exception]


@dataclass(frozen=True)
class Finding:
    """What crashes, people or other programs have left in a team."""

    team: str
    #: 0: it is about the team.
    runid: int
    #: ``repaired``, ``repairable`` or ``left``.
    state: str
    #: One word for programs, such as ``half-move``.
    kind: str
    #: A sentence that starts with the object.
    text: str
    #: What was done, would be done or may be done.
    action: str


@dataclass(frozen=True)
class PluginInfo:
    """A plugin that the engine knows of."""

    name: str
    version: str
    #: The version of the contract that it was compiled for.
    abi: str
    #: ``store``, ``status``, ``process``.
    interfaces: Tuple[str, ...]
    #: ``None``: linked in.
    file: Optional[Path]
    #: Why it cannot be used; ``None``: it can.
    problem: Optional[str]


# From what the extension gives: dictionaries, or what is asked as one is. A list has many of them, and its reader asks for
# little of each: what a value is made of waits in it until it is asked for.

def _make_lazily(cls: type, **makers: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Returns what makes a `cls` of one of them, each field by its maker, or as it stands there."""
    for each in fields(cls):
        makers.setdefault(each.name, operator.itemgetter(each.name))
        # A default in the class would be taken for the value.
        if each.name in vars(cls):
            delattr(cls, each.name)

    def get(self: Any, name: str) -> Any:
        raw = vars(self).get("_raw")
        if raw is None or name not in makers:
            raise AttributeError(f"{cls.__name__!r} object has no attribute {name!r}")
        value = vars(self)[name] = makers[name](raw)
        return value

    def get_state(self: Any) -> Dict[str, Any]:
        for each in fields(self):
            getattr(self, each.name)
        return {key: value for key, value in vars(self).items() if key != "_raw"}

    def make(raw: Any) -> Any:
        out = object.__new__(cls)
        vars(out)["_raw"] = raw
        return out

    setattr(cls, "__getattr__", get)
    setattr(cls, "__getstate__", get_state)
    return make


step_from = _make_lazily(
    BuildStep, started=lambda raw: _moment(raw["started_ns"]), ended=lambda raw: _moment(raw["ended_ns"]))
status_from = _make_lazily(
    BuildStatus, time=lambda raw: _local(raw["time_ns"]), changed=lambda raw: _moment(raw["time_ns"]),
    created=lambda raw: _moment(raw["created_ns"]), started=lambda raw: _moment(raw["started_ns"]),
    ended=lambda raw: _moment(raw["ended_ns"]), as_of=lambda raw: raw["as_of_ms"] / 1000,
    steps=lambda raw: tuple(map(step_from, raw["steps"])))
summary_from = _make_lazily(
    BuildSummary, path=lambda raw: Path(raw["path"]), tags=lambda raw: tuple(raw["tags"]),
    status=lambda raw: status_from(raw["status"]))


def event_from(raw: Dict[str, Any]) -> BuildEvent:
    return BuildEvent(raw["cursor"], _moment(raw["time_ns"]), raw["type"], raw["state"], raw["json"])


def change_from(raw: Dict[str, Any]) -> BuildChange:
    status = None if raw["status"] is None else status_from(raw["status"])
    return BuildChange(raw["kind"], raw["runid"], status, raw["delay_ms"] / 1000)


def stop_from(raw: Dict[str, Any]) -> StopResult:
    out = StopResult(raw["message"])
    out.outcome = raw["outcome"]
    out.killed = raw["killed"]
    out.took = raw["took_ns"] / 1e9
    out.survivors = tuple(ProcessInfo(**each) for each in raw["survivors"])
    return out


def plugin_from(raw: Dict[str, Any]) -> PluginInfo:
    file = None if raw["file"] is None else Path(raw["file"])
    return PluginInfo(raw["name"], raw["version"], raw["abi"], tuple(raw["interfaces"]), file, raw["problem"])
