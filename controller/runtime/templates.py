"""Templates in the store, and jobs made of them. I/O through store and blobs.

Implements `api.ports`' sister `api.templates.TemplatesPort`. A template is no loop's business: it is
written, read and deleted at once, and what was made of it is a job like any other.
"""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import pydantic

from ...api.frames import Applied, Outcome
from ...api.happened import Happened
from ...api.templates import TemplateRun
from ...api.viewer import EVERYTHING, Viewer
from ...api.walk import problems_of
from ...crd_like_specs import requirement_lines
from ...crd_like_specs.errors import ConflictError, NotFoundError, Problem, ValidationError
from ...crd_like_specs.job import Job
from ...crd_like_specs.meta import ObjectMeta
from ...crd_like_specs.packing import resolve_template
from ...crd_like_specs.template import ANNOTATION, Template, instantiate
from ..store import Delete, Put, Store
from .blobs import Blobs
from .clock import Clock
from .desired import Desired
from .documents import TEMPLATES, at_version, decoded, document

AllTemplates: TypeAlias = tuple[Template, ...]


class Templates:
    """See the port. note: keeps an event."""

    def __init__(
        self,
        store: Store,
        desired: Desired,
        blobs: Blobs,
        clock: Clock,
        note: Callable[[Happened], None] = lambda _: None,
        viewer: Viewer = EVERYTHING,
    ) -> None:
        self._store = store
        self._desired = desired
        self._blobs = blobs
        self._clock = clock
        self._note = note
        self._viewer = viewer

    def seen_by(self, viewer: Viewer) -> Templates:
        """See the port."""
        return Templates(self._store, self._desired, self._blobs, self._clock, self._note, viewer)

    def find(self, name: str) -> Template | None:
        """As it is now, or None."""
        record = self._store.get(TEMPLATES, name)
        return None if record is None else decoded(Template, record)

    async def list(self) -> AllTemplates:
        """See the port."""
        records, _ = self._store.list(TEMPLATES)
        return tuple(decoded(Template, record) for record in sorted(records, key=lambda r: r.id))

    async def get(self, name: str) -> Template:
        """See the port."""
        found = self.find(name)
        if found is None:
            known = ", ".join(sorted(self._store.ids(TEMPLATES))) or "none"
            raise NotFoundError(f"template {name!r:.80} not found: there is {known:.500}")
        return found

    async def put(self, template: Template, *, dry_run: bool = False) -> Applied:
        """See the port."""
        template = await self._with_code(template, keep=not dry_run)
        while True:
            old = self.find(template.metadata.name)
            wanted = self._written(old, template)
            if wanted == old:
                return Applied(Outcome.UNCHANGED, old)
            outcome = Outcome.CREATED if old is None else Outcome.CONFIGURED
            if dry_run:
                return Applied(outcome, wanted)
            expect = wanted.metadata.resource_version
            op = Put(TEMPLATES, template.metadata.name, document(wanted), expect)
            try:
                version = await asyncio.wrap_future(self._store.submit([op]))
            except ConflictError:
                continue  # somebody else was first: of the newer one
            self._tell(wanted, "TemplateChanged", outcome.value)
            return Applied(outcome, at_version(wanted, version))

    async def delete(self, name: str) -> Template:
        """See the port."""
        found = await self.get(name)
        await asyncio.wrap_future(self._store.submit([Delete(TEMPLATES, name)]))
        self._tell(found, "TemplateDeleted", "")
        return found

    async def run(self, wanted: TemplateRun) -> Job:
        """See the port."""
        template = await self.get(wanted.template)
        spec = instantiate(template, wanted.params, wanted.overrides)
        try:
            meta = ObjectMeta(
                name=wanted.name or self._name(wanted),
                labels=dict(wanted.labels),
                annotations={ANNOTATION: template.metadata.name},
            )
        except pydantic.ValidationError as error:
            raise ValidationError(problems_of(error)) from error
        return await self._desired.submit(
            Job(metadata=meta, spec=spec),
            idempotency_key=wanted.idempotency_key,
            viewer=self._viewer,
        )

    def _name(self, wanted: TemplateRun) -> str:
        """For a job that was given none; equal keys of one owner give equal names."""
        unique = uuid.uuid4().hex
        if wanted.idempotency_key:
            of_owner = f"{self._viewer.owner}\0{wanted.idempotency_key}"
            unique = hashlib.sha256(of_owner.encode()).hexdigest()
        return f"{wanted.template.replace('_', '-')[:40].rstrip('-')}-{unique[:12]}"

    def _written(self, old: Template | None, wanted: Template) -> Template:
        """The record as it should be."""
        given = wanted.metadata
        if old is None:
            fresh = {
                "uid": uuid.uuid4().hex,
                "owner": "",
                "generation": 1,
                "resource_version": 0,
                "creation_timestamp": self._clock.now(),
                "deletion_timestamp": None,
                "cancellation_timestamp": None,
                "extension": 0,
            }
            return wanted.model_copy(update={"metadata": given.model_copy(update=fresh)})
        meta = old.metadata.model_copy(
            update={"labels": given.labels, "annotations": given.annotations}
        )
        if old.spec != wanted.spec:
            meta = meta.model_copy(update={"generation": meta.generation + 1})
        return old.model_copy(update={"metadata": meta, "spec": wanted.spec})

    async def _with_code(self, template: Template, *, keep: bool) -> Template:
        """Its code packed and named by digest. keep: put code that came with it into the blob
        store; else code that is yet to be uploaded is no problem.
        """
        job = template.spec.job
        code = job.code
        problems = requirement_lines.problems(job.requirements, "spec.job.requirements")
        if code is not None and code.path is not None:
            expected = "expected spec.job.code.digest of uploaded code, or spec.job.code.files"
            text = f"a path means something on the client only: {expected}"
            problems.append(Problem(text, path="spec.job.code.path"))
        if code is not None and code.digest and keep and await self._blobs.has(code.digest) is None:
            text = f"{code.digest} was not uploaded: send it first"
            problems.append(Problem(text, path="spec.job.code.digest"))
        if problems:
            raise ValidationError(problems)
        template, packed = resolve_template(template, Path("/"))
        named = template.spec.job.code
        if packed is not None and keep and named is not None and named.digest is not None:
            await self.keep(named.digest, packed)
        return template

    async def keep(self, digest: str, packed: bytes) -> None:
        """Have this code in the blob store."""
        if await self._blobs.has(digest) is None:
            upload = await self._blobs.receive(digest)
            await upload.write(packed)
            await upload.commit()

    def _tell(self, template: Template, what: str, words: str) -> None:
        name = template.metadata.name
        event = Happened(what, "Template", name, words, uid=template.metadata.uid)
        self._note(replace(event, by=self._viewer.who))
