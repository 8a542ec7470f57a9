"""What the package does, as a doctest: LITBUILD_ROOT names an empty folder, and the time zone is UTC.

A team's run ids start behind the highest that it has, so after a folder ``18`` the first build is 19.

>>> import os, time
>>> from pathlib import Path
>>> from lit.sdk.data.build import Build, configure, get_builds, launch
>>> root = Path(os.environ["LITBUILD_ROOT"])
>>> (root / "contoso/logs/18").mkdir(parents=True)
>>> launch("contoso", {"tags": ["nightly", "eu"], "steps": [{"name": "load", "command": ["sleep", "600"]}]})
Build('contoso', 19)

Builds, by team and run id:

>>> build = Build("contoso", 19)
>>> build.path == root / "contoso/logs/19"
True
>>> build.tags
['nightly', 'eu']
>>> build.get_status().state in ("queued", "running")
True
>>> Build("contoso", 19).archive()
Traceback (most recent call last):
    ...
lit.sdk.data.build.RefusedError: contoso/19: is running; stop it before archiving
>>> Build("contoso", 19).stop()
'Build id 19 has been stopped'
>>> Build("contoso", 19).stop(reason="to be sure")
'Build id 19 has been stopped'
>>> Build("contoso", 19).archive().relative_to(root)
PosixPath('contoso/logs/archive/19')
>>> Build("contoso", 19).restore().relative_to(root)
PosixPath('contoso/logs/19')
>>> get_builds("contoso")
[Build('contoso', 19), Build('contoso', 18)]
>>> get_builds("contoso")[0].path.relative_to(root)
PosixPath('contoso/logs/19')

Another root, with a build 19 that ended long ago:

>>> other = root / "other"
>>> old = other / "contoso/logs/19"
>>> old.mkdir(parents=True)
>>> _ = (old / "build.json").write_text('{"runid": 19, "uuid": "00000000-0000-4000-8000-000000000019"}\\n')
>>> _ = (old / "status.json").write_text('''{"seq": 4, "offset": 0, "state": "complete", "time": "2024-06-08T16:40:31Z",
...     "created": "2024-06-08T16:00:00Z", "started": "2024-06-08T16:00:01Z", "ended": "2024-06-08T16:40:31Z",
...     "current_step": null, "exit_code": 0, "steps": [{"name": "load", "state": "complete", "parent": -1}]}''')
>>> configure(other)
>>> Build("contoso", 19).get_status()
BuildStatus('2024-06-08 16:40:31', 'complete', None)
>>> Build("contoso", 19).stop()
'Build id 19 has already finished'
>>> print(Build("contoso", 19).archive().relative_to(other))
contoso/logs/archive/19
>>> get_builds("contoso"), get_builds("contoso", scope="archived")
([], [Build('contoso', 19)])
"""

if __name__ == "__main__":
    import doctest
    import sys

    sys.exit(1 if doctest.testmod().failed else 0)
