"""The part of the configuration for users of the Slurm job runner, and its `JR_*` variables. Pure.

    jobrunner:
      tokenFile: /etc/cumulus/jobrunner.token  # what those users send as their bearer token
      gpuType: nvidia                          # of the devices that their jobs ask for, "" any
      maxTime: 7-00:00:00
      importFrom: s3://my-bucket/              # what paths of imports are below; or mount://root/

Whoever has the token submits to the project `jobrunner`. The variables of that system override the
block, as `CUMULUS_*` does elsewhere:

    JR_AUTH_TOKEN     the token itself          JR_ROOT           dataDir, where none is given
    JR_GPU_TYPE       gpuType                   JR_MAX_TIME       maxTime
    JR_B2_ENABLE=1    with JR_B2_BUCKET, JR_B2_ENDPOINT: a bucket of `datasets`, and importFrom
    JR_B2_KEY_ID, JR_B2_APP_KEY                 what the bucket is opened with
    JR_B2_MOUNT       folder below which clients know the bucket; without JR_B2_ENABLE a root of
                      `datasets`, and importFrom

JR_NUM_GPUS, JR_NUM_CPUS, JR_REAL_MEM_MB and JR_USE_CGROUPS say nothing here: workers tell what they
have, and limits are always enforced.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field, SecretStr
from pydantic_core import PydanticCustomError

from ..api.web.jobrunner.time_limits import parse_time_limit
from ..crd_like_specs.errors import Problem, ValidationError
from ..crd_like_specs.job import LONGEST
from .config_section import Section

PROJECT: Final = "jobrunner"
MIN_TOKEN: Final = 16
ENDPOINT: Final = "https://s3.us-west-004.backblazeb2.com"
MOUNT: Final = "/mnt/b2"
ROOT: Final = "b2"
"""Name of the root that JR_B2_MOUNT is."""

UNREAD: Final = ("JR_NUM_GPUS", "JR_NUM_CPUS", "JR_REAL_MEM_MB", "JR_USE_CGROUPS")


def _time(given: Any) -> Any:
    if not isinstance(given, str):
        return given
    try:
        return parse_time_limit(given)
    except ValidationError as error:
        raise PydanticCustomError("time", "{text}", {"text": error.problems[0].message}) from error


class JobRunnerConfig(Section):
    """See the module docstring. mount: folder below which clients know what is imported; token: by
    JR_AUTH_TOKEN only.
    """

    token_file: Path | None = None
    token: SecretStr = SecretStr("")
    gpu_type: str = Field(default="", max_length=64)
    max_time: Annotated[int, BeforeValidator(_time), Field(ge=1, le=LONGEST)] = 7 * 86400
    import_from: str = Field(default="", pattern=r"^$|^(s3|mount)://[^/]+/(.+/)?$")
    mount: str = MOUNT

    @property
    def has_token(self) -> bool:
        """Whether anybody may come this way with a token of its own."""
        return bool(self.token_file or self.token.get_secret_value())

    def secret(self) -> str:
        """The token, "" where there is none. ValidationError repeats nothing of it. I/O: the file."""
        token, place = self.token.get_secret_value(), "JR_AUTH_TOKEN"
        if not token and self.token_file is not None:
            place = str(self.token_file)
            try:
                token = self.token_file.read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                raise ValidationError([Problem("cannot be read", file=place)]) from error
        if (token or self.has_token) and len(token) < MIN_TOKEN:
            text = f"the token is too short: expected at least {MIN_TOKEN} characters"
            raise ValidationError([Problem(text, file=place)])
        return token


def with_jobrunner(content: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, Any]:
    """The content of a configuration file with what `JR_*` says. ValidationError."""
    merged = dict(content)
    block = merged.get("jobrunner") or {}
    if not isinstance(block, dict):
        return merged
    if "token" in block:
        text = "is a secret: expected tokenFile, or JR_AUTH_TOKEN in the environment"
        raise ValidationError([Problem(text, "jobrunner.token")])
    given = {
        key: environ[name]
        for key, name in (
            ("token", "JR_AUTH_TOKEN"),
            ("gpuType", "JR_GPU_TYPE"),
            ("maxTime", "JR_MAX_TIME"),
            ("mount", "JR_B2_MOUNT"),
        )
        if environ.get(name)
    }
    bucket = environ.get("JR_B2_BUCKET", "")
    if environ.get("JR_B2_ENABLE") == "1":
        if not bucket:
            raise ValidationError([Problem("is missing: expected its name", "JR_B2_BUCKET")])
        endpoint = environ.get("JR_B2_ENDPOINT") or ENDPOINT
        _add(merged, "buckets", {"bucket": bucket, "endpoint": endpoint})
        given["importFrom"] = f"s3://{bucket}/"
    elif environ.get("JR_B2_MOUNT"):
        _add(merged, "roots", {"name": ROOT, "path": environ["JR_B2_MOUNT"]})
        given["importFrom"] = f"mount://{ROOT}/"
    if given:
        merged["jobrunner"] = {**block, **given}
    if environ.get("JR_ROOT") and "CUMULUS_DATA_DIR" not in environ:
        merged.setdefault("dataDir", environ["JR_ROOT"])
    return merged


def take_over(environ: MutableMapping[str, str]) -> list[str]:
    """Let S3 find that system's credentials where it looks for them; gives the variables that are
    set and say nothing here.
    """
    for ours, theirs in (
        ("AWS_ACCESS_KEY_ID", "JR_B2_KEY_ID"),
        ("AWS_SECRET_ACCESS_KEY", "JR_B2_APP_KEY"),
    ):
        if environ.get("JR_B2_ENABLE") == "1" and environ.get(theirs):
            environ.setdefault(ours, environ[theirs])
    return [name for name in UNREAD if environ.get(name)]


def _add(merged: dict[str, Any], kind: str, entry: dict[str, str]) -> None:
    datasets = merged.get("datasets")
    known = dict(datasets) if isinstance(datasets, dict) else {}
    known[kind] = [*(known.get(kind) or ()), entry]
    merged["datasets"] = known
