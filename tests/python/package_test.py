"""The package lit.sdk.data.build, as its users meet it."""

import copy
import dataclasses
import os
import pathlib
import pickle
import signal
import tempfile
import threading
import unittest
from datetime import datetime, timedelta

import lit.sdk.data.build as builds
from lit.sdk.data.build import Build


def sleeper(team="contoso"):
    return builds.launch(team, {"steps": [{"name": "load", "command": ["sh", "-c", "echo begun; exec sleep 600"]}]})


class Interrupts:
    """Sends this process SIGINT until one has come while a function of the package was at work; that one `answer` is given."""

    def __init__(self, answer):
        self._answer = answer
        self._handled = threading.Event()
        self._over = False
        self._thread = threading.Thread(target=self._send)

    def _send(self):
        while not self._over:
            self._handled.clear()
            os.kill(os.getpid(), signal.SIGINT)
            self._handled.wait()

    def _handle(self, _, frame):
        at_work = "lit/sdk/data/build" in frame.f_code.co_filename and not self._over
        self._over = self._over or at_work
        self._handled.set()
        if at_work:
            self._answer()

    def __enter__(self):
        self._before = signal.signal(signal.SIGINT, self._handle)
        self._thread.start()

    def __exit__(self, *_):
        self._over = True
        self._handled.set()
        self._thread.join()
        signal.signal(signal.SIGINT, self._before)


def interrupt():
    raise KeyboardInterrupt


class PackageTest(unittest.TestCase):
    def setUp(self):
        self._folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self.root = pathlib.Path(self._folder.name)
        builds.configure(self.root)
        self.started = []

    def tearDown(self):
        for build in self.started:
            build.stop(grace=0)
        self._folder.cleanup()

    def launch(self):
        self.started.append(sleeper())
        return self.started[-1]

    def test_ctrl_c_ends_what_waits(self):
        build = self.launch()
        for wait in (build.wait, lambda: list(build.follow(offset=6)), lambda: list(build.events()),
                     lambda: list(builds.watch("contoso"))):
            with self.assertRaises(KeyboardInterrupt), Interrupts(interrupt):
                wait()
        self.assertIn(build.get_status().state, ("queued", "running"))

    def test_a_handler_that_returns_ends_nothing(self):
        build = self.launch()
        seen = []
        with Interrupts(lambda: seen.append(build.stop(grace=0))):
            self.assertEqual(build.wait().state, "stopped")
        self.assertEqual(seen, ["Build id 1 has been stopped"])

    def test_other_threads_run_while_one_waits(self):
        build = self.launch()
        status = []
        waiting = threading.Thread(target=lambda: status.append(build.wait()))
        waiting.start()
        build.stop(reason="enough")
        waiting.join()
        self.assertEqual((status[0].state, status[0].reason), ("stopped", "enough"))

    def test_errors_are_classes_of_the_package(self):
        cases = [
            (lambda: Build("../contoso", 1), builds.InvalidError, ValueError),
            (lambda: Build("contoso", 0), builds.InvalidError, ValueError),
            (lambda: Build("contoso", 77).path, builds.NotFoundError, LookupError),
            (lambda: self.launch().wait(timeout=0), builds.TimeoutError, TimeoutError),
            (lambda: self.launch().archive(), builds.RefusedError, builds.Error),
            (lambda: self.launch().edit_tags("word"), builds.InvalidError, builds.Error),
            (lambda: builds.launch("contoso", {"steps": [{"command": ["no-such"]}]}), builds.InvalidError, builds.Error),
            (lambda: builds.launch("contoso", {"steps": {1, 2}}), builds.InvalidError, builds.Error),
            (lambda: builds.configure(self.root, config={"stores": {}}), builds.InvalidError, builds.Error),
            (lambda: builds.configure(self.root / "nowhere"), builds.NotFoundError, builds.Error),
            (lambda: builds.configure(config=self.root / "nowhere.json"), builds.NotFoundError, builds.Error),
        ]
        for call, kind, also in cases:
            with self.assertRaises(kind) as caught:
                call()
            self.assertIsInstance(caught.exception, builds.Error)
            self.assertIsInstance(caught.exception, also)
            self.assertNotEqual(str(caught.exception), "")
        # A configuration that makes no sense leaves the last good one.
        self.assertEqual(builds.get_teams(), ["contoso"])

    def test_a_build_from_beginning_to_removal(self):
        build = builds.launch("contoso", {"tags": ["a"], "steps": [{"command": ["sh", "-c", "echo one; echo two >asset"]}]})
        watched = builds.watch("contoso", timeout=60)
        self.assertEqual(next(watched).kind, "watching")
        self.assertEqual(build.wait().state, "complete")
        self.assertEqual(b"".join(build.follow()), b"one\n")
        self.assertEqual(build.read("asset", offset=1), b"wo\n")
        self.assertEqual(build.edit_tags(add=["b"], remove=["a"]), ["b"])
        self.assertEqual([event.type for event in build.events()][-1], "complete")
        summary = builds.list_builds("contoso", tag="b")[0]
        self.assertEqual((summary.runid, summary.path, summary.tags), (1, build.path, ("b",)))
        # Before anything was asked of it, too.
        self.assertEqual(pickle.loads(pickle.dumps(builds.list_builds("contoso")[0])), summary)
        self.assertEqual(copy.deepcopy(builds.list_builds("contoso")[0]), summary)
        self.assertEqual(builds.get_builds("contoso", since=datetime.max), [])
        self.assertEqual(len(builds.get_builds("contoso", since=datetime.min)), 1)
        self.assertEqual(dataclasses.replace(summary.status, step="x").step, "x")
        self.assertEqual([step.state for step in summary.status.steps], ["complete"])
        self.assertEqual(builds.BuildStatus("t", "complete", None).steps, ())
        self.assertIn("BuildStatus(", repr(summary))
        with self.assertRaises(AttributeError):
            summary.status.nothing
        with self.assertRaises(AttributeError):
            summary.runid = 2
        started = build.get_status().started
        self.assertEqual(len(builds.list_builds("contoso", since=started)), 1)
        self.assertEqual(builds.get_builds("contoso", since=started + timedelta(seconds=1)), [])
        self.assertEqual(build.archive(), self.root / "contoso/logs/archive/1")
        for change in watched:
            if change.kind == "archived":
                break
        self.assertEqual(change.runid, 1)
        build.remove()
        with self.assertRaises(builds.NotFoundError):
            build.get_status()
        self.assertEqual(builds.examine(), [])

    def test_prune_tells_what_goes(self):
        for _ in range(3):
            builds.launch("contoso", {"steps": [{"command": ["true"]}]}).wait()
        self.assertEqual([each.runid for each in builds.prune("contoso", keep_last=1, dry_run=True)], [2, 1])
        self.assertEqual([each.path.name for each in builds.prune("contoso", keep_last=2)], ["1"])
        with self.assertRaises(builds.InvalidError):
            builds.prune("contoso")

    def test_a_fork_has_an_engine_of_its_own(self):
        build = self.launch()
        build.get_status()
        child = os.fork()
        if child == 0:
            os._exit(0 if build.get_status().state in ("queued", "running") else 1)
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 0)

    def test_names_that_are_not_utf8_are_names_of_files(self):
        build = self.launch()
        with open(os.path.join(os.fsencode(build.path), b"caf\xe9"), "wb") as file:
            file.write(b"open")
        self.assertEqual(build.read(os.fsdecode(b"caf\xe9")), b"open")
        with self.assertRaises(builds.NotFoundError) as caught:
            build.read(os.fsdecode(b"caf\xe8"))
        self.assertIn("1: no such file", str(caught.exception))

    def test_a_build_is_a_value(self):
        self.assertEqual(Build("contoso", 3), Build("contoso", 3))
        self.assertEqual(len({Build("contoso", 3), Build("contoso", 3), Build("contoso", 4)}), 2)
        self.assertEqual(pickle.loads(pickle.dumps(Build("contoso", 3))), Build("contoso", 3))


if __name__ == "__main__":
    unittest.main()
