"""Whose jobs a caller sees. Pure.

Made of a token's holder by `auth.py`, bound to the jobs by `JobsPort.seen_by`, and asked by whoever
finds a job: who may see it may also change it, and for everybody else there is no such job.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ..crd_like_specs.meta import ObjectMeta


@dataclass(frozen=True, slots=True)
class Viewer:
    """owner: what jobs that it submits are marked with, "" for nobody's; own_only: it sees no
    others than those; who: as events name it, "" where nobody knows who calls.
    """

    owner: str = ""
    own_only: bool = False
    who: str = ""

    def sees(self, meta: ObjectMeta) -> bool:
        """Whether this job or lease is one for its eyes; what is nobody's is for those of all."""
        return self.sees_owner(meta.owner)

    def sees_owner(self, owner: str) -> bool:
        """The same, where only the owner is known."""
        return not self.own_only or (owner == self.owner != "")


EVERYTHING: Final = Viewer()
"""Of whoever may see all: admins, and everybody where no tokens are configured."""
