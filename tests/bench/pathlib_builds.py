"""The API of builds as one would write it with pathlib, subprocess and psutil: what litbuild is measured against.

It keeps the same folders and files. It locks nothing, syncs nothing, survives no crash, and knows of a build's processes only
what psutil finds below the first one.
"""

import json
import subprocess
from datetime import datetime, timezone
from pathlib import Path
from typing import List, Optional

import psutil

ROOT = Path("/data")


def _now() -> str:
    return datetime.now(timezone.utc).isoformat()


class Build:
    def __init__(self, team: str, runid: int, path: Optional[Path] = None) -> None:
        self.team, self.runid, self._path = team, runid, path

    @property
    def path(self) -> Path:
        live = self._path or ROOT / self.team / "logs" / str(self.runid)
        return live if live.exists() else ROOT / self.team / "logs" / "archive" / str(self.runid)

    @property
    def tags(self) -> List[str]:
        try:
            return [tag for tag in (self.path / "tags").read_text().strip().split(",") if tag]
        except FileNotFoundError:
            return []

    def get_status(self) -> dict:
        return json.loads((self.path / "status.json").read_text())

    def archive(self) -> None:
        target = ROOT / self.team / "logs" / "archive"
        target.mkdir(exist_ok=True)
        self.path.rename(target / str(self.runid))

    def restore(self) -> None:
        self.path.rename(ROOT / self.team / "logs" / str(self.runid))

    def stop(self) -> str:
        first = psutil.Process(self.get_status()["pid"])
        processes = first.children(recursive=True) + [first]
        for process in processes:
            process.terminate()
        _, alive = psutil.wait_procs(processes, timeout=10)
        for process in alive:
            process.kill()
        return f"Build id {self.runid} has been stopped"


def get_builds(team: str, tag: Optional[str] = None, limit: int = 0) -> List[Build]:
    paths = [path for path in (ROOT / team / "logs").iterdir() if path.name.isdigit()]
    builds = []
    for path in sorted(paths, key=lambda path: int(path.name), reverse=True):
        build = Build(team, int(path.name), path)
        if tag is None or tag in build.tags:
            builds.append(build)
        if limit and len(builds) == limit:
            break
    return builds


def launch(team: str, command: List[str]) -> Build:
    logs = ROOT / team / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    runid = max((int(path.name) for path in logs.iterdir() if path.name.isdigit()), default=0) + 1
    build = Build(team, runid)
    folder = logs / str(runid)
    folder.mkdir()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, start_new_session=True)
    (folder / "status.json").write_text(json.dumps({"state": "running", "pid": process.pid, "time": _now()}))
    return build
