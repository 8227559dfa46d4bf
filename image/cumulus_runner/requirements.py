"""Puts the packages a job requires on `sys.path`. I/O; called by the child before main.py.

On a worker the agent has prepared them with network access and mounted them at /env, either as a
folder of packages (`pip install --target`) or as a virtual environment. Where nobody has (a manual
`docker run`), they are installed into the work folder, which needs network.
"""

from __future__ import annotations

import os
import sys

from .report import JobError

_TAIL = 20  # of pip's lines, in the error


def provide(job_dir: str, env_dir: str, work_dir: str, code_dir: str) -> None:
    """Makes the requirements importable, here and in Python processes the job starts.

    Raises JobError RequirementsFailed with pip's last lines.
    """
    prepared = _prepared(env_dir)
    if prepared:
        _activate(prepared, os.path.join(env_dir, "bin"))
        return
    lists = [
        path
        for path in (os.path.join(d, "requirements.txt") for d in (job_dir, code_dir))
        if _asks(path)
    ]
    if lists:
        target = os.path.join(work_dir, "env")
        _install(lists, target)
        _activate(target, os.path.join(target, "bin"))


def _prepared(env_dir: str) -> str:
    """The folder of packages of a prepared environment, "" where there is none."""
    try:
        names = os.listdir(env_dir)
    except OSError:
        return ""
    lib = os.path.join(env_dir, "lib")
    if "pyvenv.cfg" in names and os.path.isdir(lib):
        for name in sorted(os.listdir(lib)):
            packages = os.path.join(lib, name, "site-packages")
            if os.path.isdir(packages):
                return packages
    return env_dir if names else ""


def _asks(path: str) -> bool:
    """Whether the file names anything at all."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return any(line.strip() and not line.lstrip().startswith("#") for line in file)
    except FileNotFoundError:
        return False
    except OSError as e:
        raise JobError("RequirementsFailed", f"cannot read {path}: {e.strerror}") from e


def _activate(packages: str, programs: str) -> None:
    """Before the image's own packages, behind the job's code; with what its .pth files add."""
    import site  # noqa: PLC0415 (already there, unless Python was started with -S)

    before = list(sys.path)
    site.addsitedir(packages)
    known = set(before)
    added = [packages, *(path for path in sys.path if path not in known and path != packages)]
    sys.path[:] = before[:1] + added + before[1:]
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [*added, os.environ.get("PYTHONPATH")]))
    if os.path.isdir(programs):
        os.environ["PATH"] = programs + os.pathsep + os.environ.get("PATH", os.defpath)


def _install(lists: list[str], target: str) -> None:
    import subprocess  # noqa: PLC0415 (rarely needed, and a job waits for each import)

    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-input"]
    command += ["--disable-pip-version-check", "--no-cache-dir", "--target", target]
    for path in lists:
        command += ["--requirement", path]
    # Without network each retry is time lost, and the answer is the same.
    env = {"PIP_RETRIES": "2", "PIP_TIMEOUT": "15", **os.environ}
    print("cumulus: installing requirements", file=sys.stderr, flush=True)
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=env,
        check=False,
    )
    output = done.stdout.decode("utf-8", "replace")
    sys.stderr.write(output)
    if done.returncode != 0:
        last = "\n".join(output.strip().splitlines()[-_TAIL:])
        raise JobError("RequirementsFailed", f"pip ended with exit code {done.returncode}:\n{last}")
