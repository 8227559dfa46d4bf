"""Projects: their limits on record, and what is used of them. I/O: the store.

Implements `api.tenancy.ProjectsPort` and `DatasetQuotaPort`. What the configuration says of a project
counts, whatever is on record, and is changed there.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from typing import Any, Final

from ...api.happened import Happened
from ...api.tenancy import NO_QUOTA, Project, Quota, Use, name_problems
from ...crd_like_specs.errors import ConflictError, QuotaExceededError, ValidationError
from ...crd_like_specs.units import show_bytes
from ..reconcile.quota import DAY, MILLI_GPU_HOUR, Limits
from ..store import Put, Store

PROJECTS: Final = "projects"


class Projects:
    """configured: project → quota, of the configuration; now: POSIX seconds; note: keeps an event;
    changed(): limits are others now.

    used(project): as `Quotas.use`; waiting(project): jobs that wait; dataset_bytes(project);
    named(): the project of each token there is. All four are set by whoever wires the parts, since
    those come later.
    """

    def __init__(
        self,
        store: Store,
        now: Callable[[], float],
        configured: Mapping[str, Quota] | None = None,
        note: Callable[[Happened], None] = lambda _: None,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._store = store
        self._now = now
        self._configured = dict(configured or {})
        self._note = note
        self._kept = {record.id: _read(record.doc) for record in store.list(PROJECTS)[0]}
        self._limits: dict[str, Limits] = {}
        self.used: Callable[[str, float], tuple[int, int]] = lambda *_: (0, 0)
        self.waiting: Callable[[str], int] = lambda _: 0
        self.dataset_bytes: Callable[[str], int] = lambda _: 0
        self.named: Callable[[], Iterable[str]] = lambda: ()
        self._changed = changed
        for name in {*self._kept, *self._configured}:
            self._reckon(name)

    def quota(self, name: str) -> Quota:
        """Its limits."""
        return self._configured.get(name) or self._kept.get(name, NO_QUOTA)

    def limits(self, name: str) -> Limits | None:
        """Those that concern jobs; None where there are none."""
        return self._limits.get(name)

    # api.tenancy

    async def get(self, name: str) -> Project:
        """See the port."""
        return self._project(name, Counter(self.named()))

    async def list(self) -> tuple[Project, ...]:
        """See the port."""
        tokens = Counter(self.named())
        limited = {name for name, quota in self._kept.items() if not quota.empty}
        names = sorted({*limited, *self._configured, *tokens} - {""})
        return tuple(self._project(name, tokens) for name in names)

    async def set_quota(self, name: str, quota: Quota, by: str) -> Project:
        """See the port."""
        problems = [*name_problems(name, "project"), *quota.problems()]
        if problems:
            raise ValidationError(problems)
        if name in self._configured:
            raise ConflictError(
                f"the limits of project {name!r} stand in the controller's configuration: change them there"
            )
        before = self.quota(name)
        if quota != before:
            await asyncio.wrap_future(self._store.submit([Put(PROJECTS, name, asdict(quota))]))
            self._kept[name] = quota
            self._reckon(name)
            self._note(Happened("QuotaChanged", "Project", name, shown(quota), by=by, owner=name))
            self._changed()
        return await self.get(name)

    def check_dataset_bytes(self, owner: str, used: int, more: int) -> None:
        """See the port."""
        limit = self.quota(owner).dataset_bytes if owner else None
        if limit is not None and used + more > limit:
            raise QuotaExceededError(
                f"project {owner} may have {show_bytes(limit)} of datasets and has {show_bytes(used)}: "
                f"{show_bytes(more)} more are too much; delete some, or ask an admin for more"
            )

    def _project(self, name: str, tokens: Mapping[str, int]) -> Project:
        now = self._now()
        running, gpu = self.used(name, now)
        use = Use(running, self.waiting(name), -(-gpu // MILLI_GPU_HOUR), self.dataset_bytes(name))
        return Project(
            name,
            self.quota(name),
            use,
            tokens.get(name, 0),
            name in self._configured,
            (now // DAY + 1) * DAY,
        )

    def _reckon(self, name: str) -> None:
        quota = self.quota(name)
        gpu = None if quota.gpu is None else quota.gpu * MILLI_GPU_HOUR
        limits = Limits(quota.running, gpu)
        self._limits.pop(name, None)
        if limits != Limits():
            self._limits[name] = limits


def shown(quota: Quota) -> str:
    """For events and logs."""
    parts = []
    if quota.running is not None:
        parts.append(f"{quota.running} jobs at once")
    if quota.gpu is not None:
        parts.append(f"{quota.gpu / 1000:g} GPU-hours a day")
    if quota.dataset_bytes is not None:
        parts.append(f"{show_bytes(quota.dataset_bytes)} of datasets")
    return ", ".join(parts) or "no limits"


def _read(doc: Any) -> Quota:
    return Quota(doc.get("running"), doc.get("gpu"), doc.get("dataset_bytes"))
