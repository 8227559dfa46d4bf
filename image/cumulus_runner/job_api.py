"""What a job's own code may ask and do: is it to pause, what did it keep, keep this. For jobs only.

Inside a job it is `cumulus_job`, `cumulus.sdk.runtime`, or `runtime` (the name it once had), unless
the job has a module of that name. Python 3.10, the standard library only; torch where it is used.

    from cumulus_job import load_checkpoint, save_checkpoint, should_pause

    def main():
        state = load_checkpoint(default={"step": 0})
        while state["step"] < 1000:
            state["step"] += 1
            if state["step"] % 10 == 0 or should_pause():
                save_checkpoint(state)
            if should_pause():
                return None  # it goes on from here once it is resumed
        return state

A state is written aside, renamed, and then named in the file COMMITTED, which is replaced at once:
whatever ends the job at whatever moment, the next attempt finds a whole state.
"""

from __future__ import annotations

import json
import os
import pickle
import shutil
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = [
    "CheckpointTooLargeError",
    "Checkpointer",
    "checkpoint_dir",
    "dataset_dir",
    "job_dir",
    "list_checkpoints",
    "load_checkpoint",
    "outputs_dir",
    "save_checkpoint",
    "seconds_left",
    "should_pause",
    "should_stop",
]

_MARKER = "COMMITTED"
_PAUSABLE = ".pausable"
_STATE = "state.pkl"
_STATES = 2  # that stay in the folder, so that one may be read while the next is written
_PAUSING = ("Suspended", "Drained")

saw_pause = False
"""Whether `should_pause` has said yes: then main() returning means paused, not finished."""


class CheckpointTooLargeError(RuntimeError):
    """A state is larger than the job's `checkpoint.size`; the one before it stays."""


def checkpoint_dir() -> str:
    """The folder that is kept across attempts: /checkpoint, or where the platform has it.

    Outside of a job ./checkpoint, so that the same code can be tried. RuntimeError in a job whose
    `checkpoint.size` is 0.
    """
    given = os.environ.get("CUMULUS_CHECKPOINT_DIR")
    if given:
        return given
    if os.environ.get("CUMULUS_ATTEMPT"):
        raise RuntimeError("this job keeps nothing: its checkpoint.size is 0")
    path = os.path.abspath("checkpoint")
    os.makedirs(path, exist_ok=True)
    return path


def job_dir() -> str:
    """The name that `checkpoint_dir` once had."""
    return checkpoint_dir()


def dataset_dir(name: str) -> str:
    """The folder of one of the job's datasets, read-only: the path that its spec says, or where the
    platform has it. name: as in the spec, of one without a name the first 12 digits of its digest.

    Outside of a job ./datasets/<name>, so that the same code can be tried. KeyError in a job that
    has no such dataset.
    """
    if not os.environ.get("CUMULUS_ATTEMPT"):
        return os.path.abspath(os.path.join("datasets", name))
    known = json.loads(os.environ.get("CUMULUS_DATASETS", "{}"))
    if name not in known:
        raise KeyError(f"this job has no dataset {name!r}: it has {sorted(known) or 'none'}")
    return str(known[name])


def outputs_dir() -> str:
    """The folder whose files come back when the job is over, however it ends (/results, or where
    the platform has it). Outside of a job ./results, which is made.
    """
    if "CUMULUS_OUTPUTS" in os.environ:
        return os.environ["CUMULUS_OUTPUTS"]
    if os.environ.get("CUMULUS_ATTEMPT"):
        raise RuntimeError("this job has no outputs: its outputs.size is 0")
    folder = os.path.abspath("results")
    os.makedirs(folder, exist_ok=True)
    return folder


def should_pause() -> bool:
    """Whether the job is to save its state and return, to go on later: it is being paused, or moved
    to another worker. Cheap: ask at every step.
    """
    global saw_pause  # noqa: PLW0603 (one process is one job)
    _say_pausable()
    if not saw_pause:
        saw_pause = _warning().get("reason") in _PAUSING
    return saw_pause


def should_stop() -> bool:
    """Whether the job is about to be ended for any reason, its lease's end included."""
    _say_pausable()
    return bool(_warning())


def seconds_left() -> float | None:
    """Until it is ended, as far as it was warned; None where nothing is ending it."""
    ends_at = _warning().get("ends_at")
    return None if ends_at is None else max(0.0, float(ends_at) - time.time())


def save_checkpoint(state: Any) -> str:
    """Keep any picklable object as the job's state; returns the path of its file.

    CheckpointTooLargeError, OSError.
    """
    return _commit(lambda path: _dump(state, path), _STATE)


def load_checkpoint(default: Any = None) -> Any:
    """The state that was saved last, by this attempt or one before it; `default` where none was."""
    entry = _committed()
    path = os.path.join(checkpoint_dir(), entry, _STATE) if entry else ""
    if not os.path.exists(path):
        return default
    with open(path, "rb") as file:
        return pickle.load(file)  # noqa: S301 (the job wrote it itself)


def list_checkpoints() -> list[dict[str, Any]]:
    """The states in the folder, the newest first: `filename`, `path`, `epoch`, `step`, `timestamp`."""
    folder = checkpoint_dir()
    found = []
    for entry in _states(folder):
        for name in sorted(os.listdir(os.path.join(folder, entry))):
            path = os.path.join(folder, entry, name)
            notes = _notes(os.path.join(folder, entry)) if name.endswith(".pt") else {}
            if name != "notes.json":
                one = {"filename": name, "path": path, "timestamp": os.path.getmtime(path)}
                found.append({**one, "epoch": notes.get("epoch", 0), "step": notes.get("step", 0)})
    return found[::-1]


class Checkpointer:
    """Model and optimizer of PyTorch, or any model that pickle takes, in one file. fname: its name."""

    def __init__(self, fname: str = "checkpoint.pt") -> None:
        self._name = os.path.basename(fname)
        self._saved_at = time.monotonic()
        _say_pausable()

    @property
    def path(self) -> str:
        """Of the state that was saved last; "" where none was."""
        entry = _committed()
        path = os.path.join(checkpoint_dir(), entry, self._name) if entry else ""
        return path if os.path.exists(path) else ""

    def exists(self) -> bool:
        """Whether there is a state to load."""
        return bool(self.path)

    def save(
        self,
        model: Any,
        optimizer: Any = None,
        epoch: int = 0,
        step: int = 0,
        extra: dict[str, Any] | None = None,
    ) -> str:
        """Keep the state of both, where they have a `state_dict`, else themselves; returns its path.

        CheckpointTooLargeError, OSError.
        """
        state = {
            "epoch": epoch,
            "step": step,
            "model": _state_of(model),
            "optimizer": _state_of(optimizer),
            "extra": extra or {},
            **_random_state(model),
        }
        path = _commit(
            lambda path: _write_state(state, path, torch=hasattr(model, "state_dict")),
            self._name,
            {"epoch": epoch, "step": step},
        )
        self._saved_at = time.monotonic()
        return path

    def load(self, model: Any = None, optimizer: Any = None) -> dict[str, Any]:
        """What was saved last, put into both where they have a `load_state_dict`.

        FileNotFoundError where there is none.
        """
        if not self.exists():
            raise FileNotFoundError(f"there is no {self._name} in {checkpoint_dir()}")
        state = _read_state(self.path, torch=hasattr(model, "load_state_dict"))
        for target, key in ((model, "model"), (optimizer, "optimizer")):
            if hasattr(target, "load_state_dict") and state[key] is not None:
                target.load_state_dict(state[key])
        _set_random_state(state)
        return state

    def time_to_checkpoint(
        self, step: int, every_steps: int | None = None, every_seconds: float | None = None
    ) -> bool:
        """Whether so many steps, or so many seconds since the last save, have passed."""
        by_step = bool(every_steps) and step > 0 and step % (every_steps or 1) == 0
        waited = time.monotonic() - self._saved_at
        return by_step or (every_seconds is not None and waited >= every_seconds)


# The folder


def _commit(write: Any, name: str, notes: dict[str, Any] | None = None) -> str:
    _say_pausable()
    folder = checkpoint_dir()
    before = _states(folder)
    number = 1 + max((int(entry[6:]) for entry in before), default=0)
    aside, entry = os.path.join(folder, ".new"), f"state-{number:06}"
    shutil.rmtree(aside, ignore_errors=True)
    os.mkdir(aside)
    write(os.path.join(aside, name))
    if notes is not None:
        _write_text(os.path.join(aside, "notes.json"), json.dumps(notes))
    _check_size(aside)
    os.rename(aside, os.path.join(folder, entry))
    marker = os.path.join(folder, ".marker")
    _write_text(marker, entry)
    os.replace(marker, os.path.join(folder, _MARKER))
    for old in before[: len(before) + 1 - _STATES]:
        shutil.rmtree(os.path.join(folder, old), ignore_errors=True)
    return os.path.join(folder, entry, name)


def _check_size(aside: str) -> None:
    allowed = int(os.environ.get("CUMULUS_CHECKPOINT_SIZE") or 0)
    size = sum(os.path.getsize(os.path.join(aside, name)) for name in os.listdir(aside))
    if allowed and size > allowed:
        shutil.rmtree(aside)
        raise CheckpointTooLargeError(
            f"the checkpoint has {size} bytes, the job's checkpoint.size allows {allowed}"
        )


def _states(folder: str) -> list[str]:
    """The oldest first."""
    names = (n for n in os.listdir(folder) if n.startswith("state-") and n[6:].isdecimal())
    return sorted(names, key=lambda name: int(name[6:]))


def _committed() -> str:
    try:
        with open(os.path.join(checkpoint_dir(), _MARKER), encoding="utf-8") as file:
            return file.read().strip()
    except FileNotFoundError:
        return ""


def _notes(folder: str) -> dict[str, Any]:
    try:
        with open(os.path.join(folder, "notes.json"), encoding="utf-8") as file:
            found: dict[str, Any] = json.load(file)
    except FileNotFoundError:
        return {}
    return found


def _write_text(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _dump(state: Any, path: str) -> None:
    with open(path, "wb") as file:
        pickle.dump(state, file, protocol=pickle.HIGHEST_PROTOCOL)
        file.flush()
        os.fsync(file.fileno())


# Who asks gets time


def _say_pausable() -> None:
    """Tell the agent that the job asks: then it waits before SIGTERM."""
    try:
        path = os.path.join(checkpoint_dir(), _PAUSABLE)
        if not os.path.exists(path):
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o644))
    except (RuntimeError, OSError):
        pass  # it keeps nothing: then nobody waits for it


def _warning() -> dict[str, Any]:
    """What the agent says of the end; {} while there is none."""
    folder = os.environ.get("CUMULUS_JOB_DIR") or "/job"
    try:
        with open(os.path.join(folder, "warning.json"), encoding="utf-8") as file:
            found = json.load(file)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


# PyTorch, where it is used


def _state_of(thing: Any) -> Any:
    return thing.state_dict() if hasattr(thing, "state_dict") else thing


def _random_state(model: Any) -> dict[str, Any]:
    if not hasattr(model, "state_dict"):
        return {}
    import torch  # type: ignore[import-not-found,unused-ignore]  # noqa: PLC0415

    gpus = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else None
    return {"rng_cpu": torch.random.get_rng_state(), "rng_cuda": gpus}


def _set_random_state(state: dict[str, Any]) -> None:
    if "rng_cpu" not in state:
        return
    import torch  # noqa: PLC0415 (a state of PyTorch was loaded)

    torch.random.set_rng_state(state["rng_cpu"])
    if torch.cuda.is_available() and state.get("rng_cuda") is not None:
        torch.cuda.set_rng_state_all(state["rng_cuda"])


def _write_state(state: dict[str, Any], path: str, *, torch: bool) -> None:
    if not torch:
        _dump(state, path)
        return
    import torch as library  # noqa: PLC0415 (the model is PyTorch's)

    with open(path, "wb") as file:
        library.save(state, file)
        file.flush()
        os.fsync(file.fileno())


def _read_state(path: str, *, torch: bool) -> dict[str, Any]:
    if torch:
        import torch as library  # noqa: PLC0415 (the model is PyTorch's)

        # The job wrote it itself; it holds more than tensors.
        found: dict[str, Any] = library.load(path, map_location="cpu", weights_only=False)
        return found
    with open(path, "rb") as file:
        state: dict[str, Any] = pickle.load(file)  # noqa: S301 (the job wrote it itself)
    return state
