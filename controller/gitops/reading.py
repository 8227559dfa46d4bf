"""Files of a tree to what they declare. Reads through the tree only; called in a thread.

What was read stays in a cache as long as its file, and the code it names, are the same: a look at
an unchanged folder parses nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import posixpath
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from ...crd_like_specs import packing
from ...crd_like_specs.codec import Loaded, load_bytes
from ...crd_like_specs.errors import Problem, Temporary, ValidationError
from ...crd_like_specs.job import Code, Job
from ...crd_like_specs.meta import ObjectMeta
from ...crd_like_specs.source import LABEL_SOURCE
from ...crd_like_specs.template import Template
from ...crd_like_specs.yaml_nodes import MAX_BYTES, decode
from .comparing import IDEMPOTENCY
from .declared import Declared, DeclaredTemplate, Reading
from .substitute import substitute
from .tree import MOST_SPECS, Found, Tree, UnreadableError, below, inside, specs

HELD_AT_ONCE: Final = 64 << 20
"""Bytes of files that are fetched at once."""

_WORD: Final = re.compile(rb"[a-z0-9][a-z0-9-]*")


@dataclass(slots=True)
class Reader:
    """name: of the source, a label of its jobs; values: see `substitute`; templates: they may be declared."""

    name: str
    values: Mapping[str, str | None] = field(default_factory=dict)
    templates: bool = False
    _cache: dict[str, tuple[str, Reading]] = field(default_factory=dict)
    _code: dict[str, str] = field(default_factory=dict)
    """Path of code → its stamp, in this look."""

    def readings(self, tree: Tree) -> list[Reading]:
        """One for each file of specs."""
        files = tree.files
        self._code = {}
        fresh: dict[str, tuple[str, Reading]] = {}
        found = []
        wanted = specs(files)
        if len(wanted) > MOST_SPECS:
            text = f"{len(wanted)} files of specs: expected at most {MOST_SPECS} in one source"
            raise Temporary(text, reason="TooLarge")
        with contextlib.suppress(UnreadableError):  # which one it is, each one's own reading tells
            tree.prefetch(self._stale(files, wanted))
        for one in wanted:
            stamp, reading = self._reading(tree, files, one)
            if stamp:
                fresh[one.path] = stamp, reading
            found.append(reading)
        tree.prefetch(())
        self._cache = fresh
        return found

    def code(self, tree: Tree, declared: Declared) -> bytes:
        """The zip of a job whose code is a folder or zip of the tree. UnreadableError where it is
        no longer the one that was read.
        """
        try:
            job, data = _packed(tree, tree.files, declared.job, declared.code)
        except (_UnsettledError, ValidationError) as error:
            raise UnreadableError("its code is being changed") from error
        if job != declared.job:
            raise UnreadableError("its code was changed meanwhile")
        return data

    def _stale(self, files: Sequence[Found], wanted: Sequence[Found]) -> list[str]:
        """Those that must be read, as far as they may be held at once."""
        paths, size = [], 0
        for one in wanted:
            if self._is_stale(files, one):
                size += one.size
                if size > HELD_AT_ONCE:
                    break
                paths.append(one.path)
        return paths

    def _is_stale(self, files: Sequence[Found], one: Found) -> bool:
        """Whether it must be read again."""
        if one.refused or one.size > MAX_BYTES:
            return False
        stamp, known = self._cache.get(one.path, ("", None))
        return known is None or stamp != self._stamp(files, one, known)

    def _reading(self, tree: Tree, files: Sequence[Found], one: Found) -> tuple[str, Reading]:
        """With the stamp to keep it by, "" for what must be read again."""
        if one.refused:
            return "", Reading(one.path, problems=(Problem(one.refused, file=one.path),))
        if one.size > MAX_BYTES:
            text = f"is too large: expected at most {MAX_BYTES} bytes of text"
            return "", Reading(one.path, problems=(Problem(text, file=one.path),))
        if not self._is_stale(files, one):
            return self._cache[one.path]
        try:
            data = tree.read(one.path, MAX_BYTES + 1)
        except UnreadableError as error:
            text = f"cannot be read: {error}"
            return "", Reading(one.path, problems=(Problem(text, file=one.path),), blind=True)
        if not one.settled:
            return "", Reading(one.path, settled=False, mentions=_mentions(data))
        try:
            reading = self._declared(tree, files, one.path, data)
        except _UnsettledError:
            return "", Reading(one.path, settled=False, mentions=_mentions(data))
        except UnreadableError as error:
            problem = Problem(f"its code cannot be read: {error}", "spec.code.path", one.path)
            return "", Reading(one.path, problems=(problem,), mentions=_mentions(data))
        except ValidationError as error:
            wrong = Reading(one.path, problems=error.problems, mentions=_mentions(data))
            # What is wrong with code is mended outside of the file.
            about_code = any(p.path.startswith("spec.code") for p in error.problems)
            return "" if about_code else one.stamp, wrong
        return self._stamp(files, one, reading), reading

    def _stamp(self, files: Sequence[Found], one: Found, reading: Reading) -> str:
        declared = (*reading.jobs, *(one.like for one in reading.templates))
        code = {one.code for one in declared if one.code}
        return " ".join([one.stamp, *(self._stamp_of(files, path) for path in sorted(code))])

    def _stamp_of(self, files: Sequence[Found], path: str) -> str:
        if path not in self._code:
            self._code[path] = _stamp_of(below(files, path))
        return self._code[path]

    def _declared(self, tree: Tree, files: Sequence[Found], path: str, data: bytes) -> Reading:
        text, problems = decode(data, path)
        if problems:
            raise ValidationError(problems)
        text, wrong = substitute(text, self.values, path)
        if wrong:
            raise ValidationError(wrong)
        jobs: list[Declared] = []
        templates: list[DeclaredTemplate] = []
        found: list[Problem] = []
        for loaded in load_bytes(text.encode(), path, Path("/")):
            try:
                if isinstance(loaded.resource, Template):
                    templates.append(self._template(tree, files, path, loaded))
                else:
                    jobs.append(self._job(tree, files, path, loaded))
            except ValidationError as error:
                found += [replace(p, file=path, line=p.line or loaded.line) for p in error.problems]
        if found:
            raise ValidationError(found)
        return Reading(path, tuple(jobs), templates=tuple(templates))

    def _template(
        self, tree: Tree, files: Sequence[Found], path: str, loaded: Loaded
    ) -> DeclaredTemplate:
        template = loaded.resource
        assert isinstance(template, Template)
        if not self.templates:
            text = (
                "a Template cannot be declared here: expected a Job, or templates: true in the "
                "source's configuration"
            )
            raise ValidationError([Problem(text, "kind")])
        job = Job(metadata=ObjectMeta(name="template"), spec=template.spec.job)
        code, where = job.spec.code, ""
        given = job if code is not None and code.files is not None else None
        if code is not None and code.path is not None:
            where = _inside(path, code.path)
            job, _ = _packed(tree, files, job, where)
        else:
            job, _ = packing.resolve_code(job, Path("/"))
        labels = {**template.metadata.labels, LABEL_SOURCE: self.name}
        meta = template.metadata.model_copy(update={"labels": labels})
        spec = template.spec.model_copy(update={"job": job.spec})
        template = template.model_copy(update={"metadata": meta, "spec": spec})
        return DeclaredTemplate(template, Declared(job, "", loaded.line, given, where))

    def _job(self, tree: Tree, files: Sequence[Found], path: str, loaded: Loaded) -> Declared:
        job = loaded.resource
        if not isinstance(job, Job):
            text = f"a {job.kind} cannot be declared in a folder: expected a Job"
            raise ValidationError([Problem(text, "kind")])
        labels = {**job.metadata.labels, LABEL_SOURCE: self.name}
        notes = {k: v for k, v in job.metadata.annotations.items() if k != IDEMPOTENCY}
        meta = job.metadata.model_copy(update={"labels": labels, "annotations": notes})
        job = job.model_copy(update={"metadata": meta})
        code, given = job.spec.code, None
        where = ""
        if code is not None and code.path is not None:
            where = _inside(path, code.path)
            job, _ = _packed(tree, files, job, where)
        elif code is not None and code.files is not None:
            given = job
            job, _ = packing.resolve_code(job, Path("/"))
        return Declared(job, job.spec.run_hash(), loaded.line, given, where)


class _UnsettledError(Exception):
    """The code of a job may still be being written."""


def _inside(file: str, path: str) -> str:
    where = inside(posixpath.dirname(file), path)
    if where is None:
        text = f"{path!r} leads out of the source's folder: expected a path inside it"
        raise ValidationError([Problem(text, "spec.code.path")])
    return where


def _packed(tree: Tree, files: Sequence[Found], job: Job, path: str) -> tuple[Job, bytes]:
    """The job with its code named by digest, and its zip. Through a copy, so that nothing is read
    but what the tree gives, whatever is done to the folder meanwhile.
    """
    found = below(files, path)
    refused = [Problem(one.refused, "spec.code.path", one.path) for one in found if one.refused]
    if refused:
        raise ValidationError(refused)
    if not all(one.settled for one in found):
        raise _UnsettledError
    size = sum(one.size for one in found)
    if size > packing.MAX_BYTES:
        text = f"{path!r} holds {size} bytes: expected at most {packing.MAX_BYTES}"
        raise ValidationError([Problem(text, "spec.code.path")])
    spec = job.spec.model_copy(update={"code": Code(path=path)})
    with tempfile.TemporaryDirectory(prefix="cumulus-source-") as copy:
        tree.extract([one.path for one in found], Path(copy))
        try:
            named, data = packing.resolve_code(job.model_copy(update={"spec": spec}), Path(copy))
        except ValidationError as error:
            raise ValidationError(
                [replace(p, path="spec.code.path", message=_about(p, copy)) for p in error.problems]
            ) from error
    assert data is not None
    return named, data


def _about(problem: Problem, copy: str) -> str:
    """Which file of the code, in the source's own terms, and what is wrong with it."""
    file = problem.file.removeprefix(copy).strip("/")
    inner = "" if problem.path.startswith("spec.") else problem.path
    return ": ".join(part for part in (file, inner, problem.message) if part)


def _stamp_of(found: Sequence[Found]) -> str:
    text = "\0".join(f"{one.path}\0{one.stamp}" for one in found)
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()


def _mentions(data: bytes) -> frozenset[str]:
    return frozenset(word.decode() for word in _WORD.findall(data))
