"""Outputs: what a job leaves in its /results folder, and the words both sides agree on. Pure.

Whatever lies there when an attempt ends comes back to the controller, however it ended. A job that
knows what its files are says so in `manifest.json`:

    {"experiment_id": "night-3",
     "outputs": [{"id": "weights", "path": "weights/model.pth", "type": "weights"}]}

`path` is relative to the folder; `type` is weights, metrics, log, plot or other. Both `id` and
`type` may be left out, and further keys are nobody's concern. The words of the Slurm job runner's
API are understood too: `output_id` and `rel_path`. Files that it does not name are
listed too, with what their names say of them.
"""

from __future__ import annotations

import re
from typing import Annotated, Final

from pydantic import Field

from .identity import DIGEST_PATTERN
from .meta import Model
from .units import Bytes

OUTPUTS_DIR: Final = "/results"
"""Where a container finds the folder."""

ENV_OUTPUTS: Final = "CUMULUS_OUTPUTS"
"""Environment variable with its path, which is another one where there are no containers."""

MANIFEST: Final = "manifest.json"
"""File in the folder in which a job says what its files are."""

MOST_FILES: Final = 10_000
"""Files and folders of one attempt that are kept."""

COPIES: Final = 2
"""The folder may hold so many times the size before its job is ended."""

HISTORY: Final = 10
"""Newest attempts of a job whose outputs are kept."""

TOO_LARGE: Final = "OutputsTooLarge"
"""Why an attempt was ended whose folder held more than it may."""

NOT_KEPT: Final = "its outputs are not all kept"
"""Begins the message of a lease whose attempt left what was not kept, or only in part."""

INCOMPLETE: Final = "OutputsIncomplete"
"""Condition of a job whose last attempt left what is not all kept."""

NAME_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"
"""Of experiments, and of the outputs in them."""

PATH_BYTES: Final = 1024
"""UTF-8 of a path at most, relative to the folder."""

_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


class OutputsSpec(Model):
    """What is kept of /results. size: bytes of one attempt's files together, 0: there is no
    /results; experiment: by which its outputs are found beside the job's own name, "": by the
    name, or by what its manifest.json says. Letters, digits, dots, dashes, 128 at most.
    """

    size: Bytes = Field(default=1 << 30, le=1 << 40)
    experiment: str = Field(default="", pattern=rf"^$|{NAME_PATTERN}")


class KeptOutputs(Model):
    """What an attempt left in /results and the controller keeps. digest: `sha256:<hex>` of its
    archive, "" where nothing could be kept; size: bytes of its files; files: how many; attempt:
    whose it is; taken_at: POSIX seconds on the worker's clock; experiment: by which they are
    found; message: what of it is not kept, and why.
    """

    digest: Annotated[str, Field(pattern=rf"^$|{DIGEST_PATTERN}")] = ""
    size: int = Field(default=0, ge=0)
    files: int = Field(default=0, ge=0)
    attempt: int = Field(default=1, ge=1)
    taken_at: float = 0.0
    experiment: str = ""
    message: str = ""


def is_plain(path: str) -> bool:
    """Whether a path may be one of an output: relative, with no way out, and fit to be shown.

    `a/b.txt` is; `/a`, `../a`, `a//b`, `./a`, and what holds control characters are not.
    """
    parts = path.split("/")
    return (
        not _CONTROLS.search(path)
        and not {"", ".", ".."} & set(parts)
        and len(path.encode()) <= PATH_BYTES
    )


def is_name(text: str) -> bool:
    """Whether it may name an experiment, or an output of one."""
    return re.fullmatch(NAME_PATTERN.strip("^$"), text) is not None
