"""Builds, by name."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any, Iterable, Iterator, List, Mapping, Optional, Union

from . import _engine, _errors, _types
from ._settings import engine
from ._types import BuildChange, BuildEvent, BuildStatus, BuildSummary, Finding, PluginInfo, PruneResult, StopResult

Spec = Union[str, Mapping[str, Any]]


class Build:
    """Names a build of a team. Making one asks nothing of the disk; a build that is not there is a
    :class:`NotFoundError` at first use.

    A plain value: compare it, keep it, use it from any thread. Functions that may block take ``timeout`` in seconds; without
    one they have the configured time (30 s), or, where it says so, as long as it takes. All of them answer Ctrl-C.

    Args:
        team: owner of the build.
        runid: above 0, unique in its team.

    Raises:
        InvalidError: not a team's name or not a run id.
    """

    __slots__ = ("_team", "_runid")

    def __init__(self, team: str, runid: int) -> None:
        engine().check(team, runid)
        self._team = team
        self._runid = runid

    @property
    def team(self) -> str:
        """Owner of the build."""
        return self._team

    @property
    def runid(self) -> int:
        """Unique in its team for ever."""
        return self._runid

    @property
    def path(self) -> Path:
        """The folder of the artifacts, where it is now."""
        return Path(engine().path(self._team, self._runid, None))

    @property
    def tags(self) -> List[str]:
        """The tags, in order. The list is the caller's own; :meth:`edit_tags` changes the build's."""
        return engine().tags(self._team, self._runid, None)

    def edit_tags(
        self, add: Iterable[str] = (), remove: Iterable[str] = (), *, timeout: Optional[float] = None
    ) -> List[str]:
        """Removes tags, then adds those that are missing; returns the tags as they are then."""
        return engine().edit_tags(self._team, self._runid, _words("add", add), _words("remove", remove), timeout)

    def archive(self, *, timeout: Optional[float] = None) -> Path:
        """Hides the build from the main list; returns the new path, also when it is archived already. Takes as long as it
        takes. Interrupted, the build is where it was.

        Raises:
            RefusedError: it is running.
        """
        return Path(engine().archive(self._team, self._runid, timeout))

    def restore(self, *, timeout: Optional[float] = None) -> Path:
        """The way back; returns the path."""
        return Path(engine().restore(self._team, self._runid, timeout))

    def remove(self, *, timeout: Optional[float] = None) -> None:
        """Removes an archived build with all its files, for ever; its run id stays used.

        Raises:
            RefusedError: it is not archived, or it has processes.
        """
        engine().remove(self._team, self._runid, timeout)

    def get_status(self, *, timeout: Optional[float] = None) -> BuildStatus:
        """What is known of the build."""
        return _types.status_from(engine().status(self._team, self._runid, timeout))

    def summary(self, *, timeout: Optional[float] = None) -> BuildSummary:
        """Path, tags and status in one."""
        return _types.summary_from(engine().summary(self._team, self._runid, timeout))

    def stop(
        self, *, grace: Optional[float] = None, reason: str = "", by: str = "", timeout: Optional[float] = None
    ) -> StopResult:
        """Stops the process and all its subprocesses; returns once none is alive.

        Args:
            grace: seconds until what does not end by itself is killed; 0: at once. Default: the build's own.
            reason: why, for the status.
            by: who asks. Default: user@host of this process.
            timeout: seconds. Default: as long as the build's plan takes.

        Returns:
            ``'Build id 19 has been stopped'``, or that it had already finished.

        Raises:
            NotStoppedError: processes of it are alive, or it runs where this host cannot see.
        """
        result = _types.stop_from(engine().stop(self._team, self._runid, grace, by, reason, timeout))
        if result.outcome not in ("stopped", "already_finished"):
            raise _errors.NotStoppedError(f"{self._team}/{self._runid}: {result}", result)
        return result

    def wait(self, *, timeout: Optional[float] = None) -> BuildStatus:
        """Waits, as long as it takes, until the build has ended; returns its status.

        Raises:
            TimeoutError: it has not in that time.
        """
        return _types.status_from(engine().wait(self._team, self._runid, timeout))

    def follow(self, *, offset: int = 0, timeout: Optional[float] = None) -> Iterator[bytes]:
        """The log from ``offset`` on, piece by piece as it grows, until the build has ended; ``timeout`` ends it where
        nothing new comes for so many seconds."""
        while True:
            piece, offset = engine().follow(self._team, self._runid, offset, timeout)
            if not piece:
                return
            yield piece

    def events(self, cursor: int = 0, *, timeout: Optional[float] = None) -> Iterator[BuildEvent]:
        """The events behind ``cursor`` as they come, until the build has ended; ``timeout`` ends it where nothing new comes
        for so many seconds."""
        while True:
            found = engine().events(self._team, self._runid, cursor, timeout)
            if not found:
                return
            for raw in found:
                cursor = raw["cursor"]
                yield _types.event_from(raw)

    def read(self, file: str, *, offset: int = 0, size: int = 0, timeout: Optional[float] = None) -> bytes:
        """Bytes of a file in the build's folder from ``offset`` on, at most ``size`` of them (0: to its end).

        Raises:
            NotFoundError: there is no such file.
        """
        return engine().read(self._team, self._runid, file, offset, size, timeout)

    def __repr__(self) -> str:
        return f"Build({self._team!r}, {self._runid!r})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Build):
            return NotImplemented
        return (self._team, self._runid) == (other._team, other._runid)

    def __hash__(self) -> int:
        return hash((self._team, self._runid))


def get_builds(
    team: str, *, scope: str = "live", tag: Optional[str] = None, state: Optional[str] = None, limit: int = 0,
    before: int = 0, since: Optional[datetime] = None, timeout: Optional[float] = None
) -> List[Build]:
    """A team's builds, the newest first.

    Args:
        scope: ``live`` (the main list), ``archived`` or ``all``.
        tag: only builds that have it.
        state: only builds that are in it.
        limit: at most so many; 0: all.
        before: only run ids below this one; 0: all.
        since: only builds that were started then or later (made, where that is not known). Without a time zone: local time.

    Raises:
        NotFoundError: there is no such team.
    """
    since_ns = _types.nanoseconds(since)
    return [Build(team, runid) for runid in engine().get_builds(team, scope, tag, state, limit, before, since_ns, timeout)]


def list_builds(
    team: str, *, scope: str = "live", tag: Optional[str] = None, state: Optional[str] = None, limit: int = 0,
    before: int = 0, since: Optional[datetime] = None, timeout: Optional[float] = None
) -> List[BuildSummary]:
    """As :func:`get_builds`, with path, tags and status of each."""
    since_ns = _types.nanoseconds(since)
    return [_types.summary_from(raw) for raw in engine().list(team, scope, tag, state, limit, before, since_ns, timeout)]


def get_teams(*, timeout: Optional[float] = None) -> List[str]:
    """The names of all teams."""
    return engine().teams(timeout)


def launch(team: str, spec: Spec, *, timeout: Optional[float] = None) -> Build:
    """Starts a new build and returns it, running.

    Args:
        spec: what ``litbuild launch --spec`` takes, as JSON or as what it stands for:
            ``{"steps": [{"name": "load", "command": ["./load.sh"]}], "tags": ["demo"]}``

    Raises:
        InvalidError: the spec makes no sense, or its first program is not there; no build was made.
    """
    try:
        text = spec if isinstance(spec, str) else json.dumps(spec)
    except (TypeError, ValueError) as error:
        raise _errors.InvalidError(f"spec: is not JSON: {error}") from error
    return Build(team, engine().launch(team, text, timeout))


def prune(
    team: str, *, older_than: float = 0.0, keep_last: int = 0, keep_tags: Iterable[str] = (), action: str = "archive",
    dry_run: bool = False, timeout: Optional[float] = None
) -> List[PruneResult]:
    """Archives, or with ``action="remove"`` removes from the archive, the builds that have ended and that every criterion
    lets go; the newest first. One of ``older_than`` (seconds) and ``keep_last`` must be given."""
    if action not in ("archive", "remove"):
        raise _errors.InvalidError(f"{action!r}: not an action; it is archive or remove")
    out = []
    for raw in engine().prune(team, action, older_than, keep_last, _words("keep_tags", keep_tags), dry_run, timeout):
        error = None if raw["error"] is None else _errors.make(*raw["error"])
        out.append(PruneResult(raw["runid"], None if raw["path"] is None else Path(raw["path"]), error))
    return out


def examine(team: str = "", *, repair: bool = False, timeout: Optional[float] = None) -> List[Finding]:
    """What crashes, people and other programs have left in a team, or in all; ``repair`` puts right what can be put right
    without losing anything."""
    return [Finding(**raw) for raw in engine().examine(team, repair, timeout)]


def watch(team: str, *, timeout: Optional[float] = None) -> Iterator[BuildChange]:
    """What happens to a team's builds, as it happens: first ``watching``, from which on nothing is missed. Goes on until the
    caller has enough, or nothing comes for ``timeout`` seconds.

    Raises:
        NotFoundError: there is no such team.
    """
    watching = _engine.Watch(engine(), team)
    while True:
        raw = watching.next(_for_ever if timeout is None else timeout)
        if raw is None:
            return
        yield _types.change_from(raw)


def get_plugins() -> List[PluginInfo]:
    """The plugins that the engine knows of."""
    return [_types.plugin_from(raw) for raw in engine().plugins()]


_for_ever = 366.0 * 86400


def _words(name: str, words: Iterable[str]) -> List[str]:
    if isinstance(words, str):
        raise _errors.InvalidError(f"{name}: takes several texts, not one: [{words!r}]")
    return list(words)
