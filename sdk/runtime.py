"""What a job's own code may ask and do: `from cumulus.sdk.runtime import should_pause, …`.

The same module that every job is given, which is in `image/cumulus_runner/job_api.py`: here so that
code which uses it can be written, checked and tried where no job runs.
"""

from __future__ import annotations

from ..image.cumulus_runner import job_api
from ..image.cumulus_runner.job_api import (
    Checkpointer,
    CheckpointTooLargeError,
    checkpoint_dir,
    dataset_dir,
    job_dir,
    list_checkpoints,
    load_checkpoint,
    outputs_dir,
    save_checkpoint,
    seconds_left,
    should_pause,
    should_stop,
)

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

for (
    _name
) in __all__:  # a function that is sent with one of these names it so, and a job knows it so
    getattr(job_api, _name).__module__ = __name__
