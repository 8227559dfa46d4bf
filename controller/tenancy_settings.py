"""Projects and rate limits as they stand in the configuration. Pure; a part of `config.py`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from pydantic import AfterValidator, Field

from ..api.rates import RateLimits
from ..api.tenancy import MOST_BYTES, MOST_GPU, MOST_RUNNING, Quota
from ..crd_like_specs.identity import NAME_PATTERN
from ..crd_like_specs.units import Bytes
from .config_section import Section, check_once


class ProjectConfig(Section):
    """A project's limits; what is not given is not limited. max_running: jobs at once; gpu_hours: in
    a UTC day, to the thousandth; dataset_bytes: of its datasets.
    """

    name: Annotated[str, Field(pattern=NAME_PATTERN)]
    max_running: int | None = Field(default=None, ge=0, le=MOST_RUNNING)
    gpu_hours: float | None = Field(default=None, ge=0, le=MOST_GPU / 1000)
    dataset_bytes: Bytes | None = Field(default=None, ge=0, le=MOST_BYTES)

    @property
    def quota(self) -> Quota:
        """As it is reckoned with."""
        gpu = None if self.gpu_hours is None else round(self.gpu_hours * 1000)
        return Quota(self.max_running, gpu, self.dataset_bytes)


def _each_once(entries: tuple[ProjectConfig, ...]) -> tuple[ProjectConfig, ...]:
    check_once((entry.name for entry in entries), "projects", "project")
    return entries


ProjectConfigs = Annotated[tuple[ProjectConfig, ...], AfterValidator(_each_once)]


class RateConfig(Section):
    """How often callers may ask; 0: any number. requests: a second, of one token, or of one address
    without tokens; burst: at once, after a pause; wrong_tokens: a minute, from one address.
    """

    requests: float = Field(default=500.0, ge=0, le=1e6)
    burst: int = Field(default=2000, ge=1, le=1_000_000)
    wrong_tokens: float = Field(default=30.0, ge=0, le=1e6)

    @property
    def limits(self) -> RateLimits:
        """As the gate takes them."""
        return RateLimits(self.requests, self.burst, self.wrong_tokens)


def quotas_of(entries: Iterable[ProjectConfig]) -> dict[str, Quota]:
    """By project."""
    return {entry.name: entry.quota for entry in entries}
