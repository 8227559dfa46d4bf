"""What every resource has in common: metadata, conditions, the strict model base. Pure."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from .identity import NAME_PATTERN

API_VERSION: Final = "cumulus.dev/v1"

Name = Annotated[str, Field(pattern=NAME_PATTERN, max_length=63)]
"""Lower-case letters, digits and inner dashes; 1 to 63 characters (a DNS label)."""


class Model(BaseModel):
    """Strict base: camelCase outside, snake_case inside, unknown fields are errors, frozen."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
    )

    def to_dict(self) -> dict[str, Any]:
        """JSON-able camelCase dict without unset optional fields; quantities in canonical text."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class Condition(Model):
    """One named aspect of an object's state. type: its name; status: whether it holds; reason: why,
    in a word; message: what people read of it; `since`: POSIX seconds of the last change.
    """

    type: str
    status: bool
    reason: str = ""
    message: str = ""
    since: float = 0.0


class ObjectMeta(Model):
    """Identity and bookkeeping. Times are POSIX seconds. All but name, labels and annotations is
    the server's.

    name: unique in its kind, lower-case letters, digits and inner dashes, at most 63; uid: tells
    it from another that had the name before; owner: who submitted a job, set by the server
    alone, "" for nobody but the admins; labels: by which selectors find it; annotations: notes of
    tools; generation: rises with each change of the spec; resource_version: rises with each change
    of anything; creation_timestamp: when it was made; deletion_timestamp: since when it is to go;
    cancellation_timestamp: since when it is to end; extension: seconds by which the duration of a
    job's present run was extended.
    """

    name: Name
    uid: str = ""
    owner: str = ""
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)
    generation: int = 1
    resource_version: int = 0
    creation_timestamp: float = 0.0
    deletion_timestamp: float | None = None
    cancellation_timestamp: float | None = None
    extension: int = Field(default=0, ge=0)
