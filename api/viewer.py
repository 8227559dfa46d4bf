"""Whose jobs a caller sees. Pure.

Made of a token's holder by `auth.py`, bound to the jobs by `JobsPort.seen_by`, and asked by whoever
finds a job: who may see it may also change it, and for everybody else there is no such job.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ..crd_like_specs.meta import ObjectMeta

PERMISSIONS: Final = frozenset({"root"})
"""What a token may be allowed beyond its role. root: containers that run as uid 0."""


@dataclass(frozen=True, slots=True)
class Viewer:
    """owner: the project that what it submits is marked with, "" for nobody's; own_only: it sees no
    others than those; who: as events name it, "" where nobody knows who calls; permissions: of
    PERMISSIONS, see `may`.
    """

    owner: str = ""
    own_only: bool = False
    who: str = ""
    permissions: frozenset[str] = frozenset()

    def may(self, permission: str) -> bool:
        """Whether it has the permission: who sees everything has all, and whoever was given it."""
        return not self.own_only or permission in self.permissions

    def sees(self, meta: ObjectMeta) -> bool:
        """Whether this job or lease is one for its eyes; what is nobody's is for those of all."""
        return self.sees_owner(meta.owner)

    def sees_owner(self, owner: str) -> bool:
        """The same, where only the owner is known."""
        return not self.own_only or (owner == self.owner != "")


EVERYTHING: Final = Viewer()
"""Of whoever may see all: admins, and everybody where no tokens are configured."""
