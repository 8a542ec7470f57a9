"""litbuild's Python package beside pathlib_builds.py, in one run, by turns, medians of five.

    python_bench.py FOLDER HELD_TREE [BUILDS...]     default: 1000 10000 100000

With LITBUILD_FIGURES as figures.hpp has it.
"""

import json
import os
import select
import shutil
import statistics
import sys
import time
from pathlib import Path

import lit.sdk.data.build as ours

import pathlib_builds as theirs

ROUNDS = 5
NAME = "pathlib and psutil"


def took(body):
    begin = time.perf_counter()
    body()
    return (time.perf_counter() - begin) * 1000


def tell(what, our_values, their_values, line="", size=0, unit="ms"):
    figure = {"what": what, "ours": statistics.median(our_values), "other": NAME, "theirs": statistics.median(their_values),
              "unit": unit, "line": line, "size": size}
    print(f"{what:<58} {figure['ours']:10.2f} {unit:<8} {NAME:<50} {figure['theirs']:10.2f} {unit:<8} ratio "
          f"{figure['ours'] / figure['theirs']:6.2f}", flush=True)
    if os.environ.get("LITBUILD_FIGURES"):
        with open(os.environ["LITBUILD_FIGURES"], "a") as file:
            file.write(json.dumps(figure) + "\n")


def beside(what, our_body, their_body, line="", size=0):
    both = [], []
    for _ in range(ROUNDS):
        both[0].append(took(our_body))
        both[1].append(took(their_body))
    tell(what, *both, line=line, size=size)


def make_team(logs, builds):
    logs.mkdir(parents=True)
    for runid in range(1, builds + 1):
        folder = logs / str(runid)
        folder.mkdir()
        state = ["complete", "complete", "complete", "failed", "stopped"][runid % 5]
        step = {"state": state, "exit": 0, "started": "2026-01-01T00:00:00.000001Z", "ended": "2026-01-01T00:01:00.000002Z"}
        status = {"seq": 9, "offset": 900, "time": "2026-01-01T00:01:00.000002Z", "state": state, "created": "2026-01-01T00:00:00.000001Z",
                  "started": "2026-01-01T00:00:00.000001Z", "ended": "2026-01-01T00:01:00.000002Z", "exit": 0, "progress": 1.0,
                  "steps": [{"name": "load", **step}, {"name": "publish", **step}]}
        (folder / "status.json").write_text(json.dumps(status) + "\n")
        (folder / "tags").write_text(f"nightly,batch{runid % 100}\n")


def bench_lists(root, builds):
    team = f"list-{builds}"
    make_team(root / team / "logs", builds)
    time.sleep(2.5)
    what = f"Python, {builds} builds: "
    for _ in range(2):
        assert len(ours.list_builds(team, timeout=600)) == builds
        time.sleep(2.5)
    beside(what + "all, with states and tags", lambda: [(each.status.state, each.tags) for each in ours.list_builds(team)],
           lambda: [(each.get_status()["state"], each.tags) for each in theirs.get_builds(team)], "list of all, Python", builds)
    beside(what + "those with one tag of 100", lambda: ours.get_builds(team, tag="batch7"), lambda: theirs.get_builds(team, tag="batch7"))
    beside(what + "the newest 50", lambda: [each.status.state for each in ours.list_builds(team, limit=50)],
           lambda: [each.get_status()["state"] for each in theirs.get_builds(team, limit=50)])
    beside(what + "status of one", lambda: ours.Build(team, 77).get_status(), lambda: theirs.Build(team, 77).get_status())
    build, plain = ours.Build(team, 77), theirs.Build(team, 78)
    beside(what + "archive and restore of one (ours outlives a power cut)", lambda: (build.archive(), build.restore()),
           lambda: (plain.archive(), plain.restore()))
    shutil.rmtree(root / team)


class Held:
    """The end of a fifo that a tree of processes holds the other of."""

    def __init__(self, path):
        self.path = path
        path.unlink(missing_ok=True)
        os.mkfifo(path)
        self.fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        self.poll = select.poll()
        self.poll.register(self.fd, select.POLLIN)

    def until_there(self):
        self.poll.poll(60_000)
        assert os.read(self.fd, 1)

    def until_gone(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if any(event & select.POLLHUP for _, event in self.poll.poll(100)):
                return 0
        # Those that the bench has started, by the fifo that they were given.
        left = [each for each in theirs.psutil.process_iter(["cmdline"]) if str(self.path) in (each.info["cmdline"] or [])]
        for each in left:
            each.kill()
        return len(left)


def bench_processes(root, held_tree):
    launched, stopped, left = ([], []), ([], []), 0
    for _ in range(ROUNDS):
        for side, launch in enumerate([lambda command: ours.launch("processes", {"steps": [{"command": command}]}),
                                       lambda command: theirs.launch("plain", command)]):
            held = Held(root / "fifo")
            begin = time.perf_counter()
            build = launch([held_tree, "1", str(held.path)])
            held.until_there()
            launched[side].append((time.perf_counter() - begin) * 1000)
            build.stop()
            held.until_gone(8)
            held = Held(root / "fifo")
            build = launch([held_tree, "100", str(held.path)])
            held.until_there()
            begin = time.perf_counter()
            build.stop()
            alive = held.until_gone(8)
            stopped[side].append((time.perf_counter() - begin) * 1000)
            assert side == 1 or alive == 0
            left = max(left, alive)
    tell("Python: launch to the first step", *launched)
    if left == 0:
        tell("Python: stop of a hundred processes", *stopped)
    else:
        tell("Python: of a hundred processes live on after stop", [0], [left], unit="processes")


def main():
    root = Path(sys.argv[1]).absolute() / "python"
    root.mkdir(parents=True)
    theirs.ROOT = root
    ours.configure(root=str(root))
    bench_processes(root, str(Path(sys.argv[2]).absolute()))
    for builds in [int(word) for word in sys.argv[3:]] or [1000, 10_000, 100_000]:
        bench_lists(root, builds)
    shutil.rmtree(root)


main()
