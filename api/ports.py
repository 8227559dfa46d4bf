"""What the servicers need of the controller. Protocols only, no I/O here.

Implemented by `controller/runtime` and given to `GrpcServer` by `controller.listeners`; tests use
the in-memory ones of `tests/unit/api/fakes.py`. Every method raises errors of
`crd_like_specs.errors` only. Where a job is named, its name or its uid is accepted.

Rules for implementations: no call is ever cancelled half-way to the store's harm (a caller that
goes away cancels the awaiting task only); iterators end by themselves where their docstring says
so, and free what they hold when they are closed (`aclose`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from ..crd_like_specs.job import Job
from ..crd_like_specs.worker import Worker
from .frames import (
    Applied,
    ControllerFrame,
    Heartbeat,
    ImageArchive,
    JobEvent,
    LogBatch,
    LogRecord,
    LookNow,
    NodeReport,
    NodeUsage,
    Page,
    Received,
    Resource,
    ServerInfo,
    WatchItem,
    Why,
    WorkerUse,
)
from .happened import EventQuery, Happened
from .joining import Joined, NewToken
from .outputs import ArtifactKind
from .previews import Preview
from .viewer import Viewer


class JobsPort(Protocol):
    """Desired state in, observed state out. Jobs and leases that its viewer does not see are not
    there: reads raise NotFoundError, a submission under such a name ConflictError, and lists,
    watches and usage leave them out. Workers are everybody's.
    """

    def seen_by(self, viewer: Viewer) -> JobsPort:
        """The same for this viewer; what it submits is marked with its owner."""

    async def apply(self, resource: Resource, *, dry_run: bool) -> Applied:
        """Create or change by `metadata.name`; an equal spec changes nothing. `status` and the
        server's part of `metadata`, the owner too, are ignored. ValidationError, ConflictError.
        """

    async def submit(self, job: Job, *, idempotency_key: str) -> Job:
        """Like `apply`, and gives the stored job (with its uid).

        The code named by `spec.code.digest` is in the blob store by then. A key seen before
        gives the job it made for the same owner, also under another name; "" is no key.
        ConflictError where the key or the name belongs to a job with another spec.
        """

    async def get(self, kind: str, name: str) -> Resource:
        """kind: Job, Lease, Worker or Source. NotFoundError."""

    async def list(
        self, kind: str, *, label_selector: str, phase: str, limit: int, continue_token: str
    ) -> Page:
        """phase: "" any, "Active" every one that is not terminal, or a phase of jobs; limit: at
        least 1; a page also ends before about 8 MiB. ExpiredError for a token too old.
        """

    def watch(
        self, kind: str, *, name: str, label_selector: str, since: int
    ) -> AsyncIterator[WatchItem]:
        """Since 0: everything as it is, then every change; else every change after it.
        Endless. ExpiredError where `since` is no longer kept.
        """

    async def delete(self, name: str) -> Job:
        """Mark a job for deletion; it goes when what it holds is gone."""

    async def cancel(self, name: str) -> Job:
        """Mark a job for cancelling; a finished one stays as it is."""

    def follow(
        self, name: str, *, log_offset: int, attempt: int, with_logs: bool
    ) -> AsyncIterator[JobEvent]:
        """First the current State at once, then changes and log records as they come, the
        result, Finished; ends after Finished. attempt 0: the current one from its start.
        """

    def logs(
        self,
        name: str,
        *,
        attempt: int,
        offset: int,
        tail: int,
        follow: bool,
        since: float = 0.0,
    ) -> AsyncIterator[LogRecord]:
        """Attempt 0: the current one, -1: the one before; tail: the last so many lines, 0: all;
        since: from the first record on that was written then (POSIX seconds). Ends with the
        records kept so far, or where `follow` is set when the attempt's log is complete.
        """

    def result(self, name: str) -> AsyncIterator[bytes]:
        """The result envelope in pieces of at most 1 MiB. NotFoundError while there is none."""

    async def why(self, name: str) -> Why:
        """Why a job waits, or what became of it, computed afresh."""

    async def extend(self, name: str, *, seconds: int) -> Job:
        """Let a job last so much longer than it may now; it is no new run. ConflictError with the
        reason where that cannot be promised (it has ended, the rental does, room is kept for
        others), ValidationError for more than any lease may last.
        """

    async def plan(self, resources: Sequence[Resource], *, prune: str, forecast: bool) -> Preview:
        """What applying all of these would do; nothing is written. prune: selector of jobs that
        would go where they are not among them, "" for none; forecast: say when jobs would start.
        ValidationError for a wrong selector.
        """

    def events(self, query: EventQuery) -> AsyncIterator[Happened]:
        """What happened, oldest first, as far as it is kept; endless with `watch`. NotFoundError
        for a job of which nothing is known.
        """

    async def pause(self, name: str, *, paused: bool) -> Job:
        """End the job's attempt with notice and keep its checkpoint, or let it go on from there.
        ConflictError for a job that has ended, or is being ended; done twice it is done once.
        """

    async def cordon(self, worker: str, *, cordoned: bool, drain: bool) -> Worker:
        """Sets both. NotFoundError."""

    async def fence(self, worker: str, *, fenced: bool) -> Worker:
        """An operator vouches that nothing runs there, or no longer does. NotFoundError,
        ConflictError while its agent is in contact.
        """

    async def remove_worker(self, worker: str) -> Worker:
        """Forget a drained or fenced worker; gives it as it was. NotFoundError, ConflictError
        where something is left there.
        """

    async def usage(self, worker: str) -> tuple[WorkerUse, ...]:
        """What each worker heard of lately uses, by name; worker "": all. NotFoundError."""

    async def server_info(self) -> ServerInfo:
        """Version, platform, image, counts."""


class BlobWriter(Protocol):
    """One upload. Exactly one of `commit` and `abort` is called at its end."""

    async def write(self, data: bytes) -> None:
        """Append; returns when the piece has been taken."""

    async def commit(self) -> int:
        """Check the digest, keep it for good and give the size in bytes.
        ValidationError where the digest is another one; nothing is kept then.
        """

    async def abort(self) -> None:
        """Forget what was written; done twice it is done once."""


class BlobsPort(Protocol):
    """Content-addressed files; digests read `sha256:<64 hex digits>`."""

    async def has(self, digest: str) -> int | None:
        """Size in bytes, or None where it is not there."""

    async def receive(self, digest: str) -> BlobWriter:
        """Begin an upload; two of the same digest at once don't disturb each other."""

    def read(self, digest: str, *, offset: int) -> AsyncIterator[bytes]:
        """The content from an offset in pieces of at most 1 MiB. NotFoundError."""


class GivenPort(Protocol):
    """What attempts are given to begin with. worker: who asks, "" where anyone may; unit: the
    attempt; digest: `sha256:<64 hex digits>`.
    """

    async def size(self, worker: str, unit: str, digest: str) -> int:
        """Bytes of what the attempt is to begin with. ForbiddenError where that is something
        else, or is not wanted on the worker; NotFoundError where it is gone.
        """

    def read(self, unit: str, digest: str, *, offset: int) -> AsyncIterator[bytes]:
        """The content, of which `size` was asked, from an offset in pieces of at most 1 MiB."""


class ArtifactsPort(GivenPort, Protocol):
    """What attempts leave: their checkpoints and their outputs. worker: who asks, "" where anyone
    may; unit: the attempt; digest: `sha256:<64 hex digits>` of the whole; size: its bytes.
    """

    async def find(
        self,
        worker: str,
        unit: str,
        digest: str,
        size: int,
        kind: ArtifactKind = ArtifactKind.CHECKPOINT,
    ) -> Received:
        """How much of it is here. ForbiddenError where the attempt is not on that worker,
        NotFoundError where it is over, ValidationError for more than the job may keep.
        """

    async def receive(
        self,
        worker: str,
        unit: str,
        digest: str,
        size: int,
        offset: int,
        kind: ArtifactKind = ArtifactKind.CHECKPOINT,
    ) -> BlobWriter:
        """Go on with it at `offset`; what was written before an `abort` stays. The errors of
        `find`, ConflictError where it is at another offset, StoreError where there is no room.
        """


class AgentSession(Protocol):
    """One connected agent. A newer session of the same worker ends the older one's `outgoing`."""

    async def on_state(self, report: NodeReport) -> None:
        """The worker's whole observed state; also the first message of a session."""

    async def on_heartbeat(self, beat: Heartbeat) -> None:
        """The agent lives."""

    async def on_logs(self, batch: LogBatch) -> None:
        """Keep records; repeated ones are ignored. Returns when they may be read; awaiting it
        is the agent's back-pressure.
        """

    async def on_usage(self, usage: NodeUsage) -> None:
        """What the worker uses now; only the newest is kept."""

    async def on_look_now(self, hint: LookNow) -> None:
        """Ask the platform about this unit soon."""

    def outgoing(self) -> AsyncIterator[ControllerFrame]:
        """The wanted set at once and after each change (only the newest is kept), acks and a
        heartbeat each second. Ends when a newer session took over or the controller stops.
        """

    async def close(self) -> None:
        """The stream is gone."""


class AgentsPort(Protocol):
    """Where agents report to."""

    async def session(self, worker: str, peer: str) -> AgentSession:
        """Open one. worker: name the agent gave; peer: its address, for logs only."""

    async def may_read_blob(self, worker: str, digest: str) -> bool:
        """Whether a lease wanted on this worker needs that code; worker "": on any worker."""


class IdentityPort(Protocol):
    """Whether a certificate speaks for a worker. Where agents come without certificates there is
    no such port.
    """

    async def admit(self, worker: str, certificate: bytes) -> None:
        """certificate: PEM, verified by TLS. ForbiddenError where it is another worker's,
        UnauthenticatedError where it is not on record (any more).
        """

    def admit_node(self, worker: str, node_id: str) -> None:
        """ForbiddenError where the platform's node belongs to another worker."""

    async def renew(self, certificate: bytes, csr: bytes) -> bytes:
        """A certificate (PEM) for the key of the CSR (PEM), for the worker that the one that asks
        is of; that one stays good until the new one is used. ValidationError for a wrong CSR, and the errors of `admit`.
        """


class JoinPort(Protocol):
    """How machines become workers, where TLS is on."""

    def authority(self) -> bytes:
        """Certificate of the controller's authority, PEM."""

    async def join(self, token: str, worker: str, csr: bytes) -> Joined:
        """token: its text; worker: name wished for; csr: PEM. The same token and key are answered
        the same again. UnauthenticatedError for the token, ValidationError for the rest,
        ConflictError where the name belongs to another machine.
        """

    async def create_token(self, ttl: int, worker: str) -> NewToken:
        """ttl: seconds, 0 for one hour; worker: name that it is for, "" any. ValidationError."""


class ImagesPort(Protocol):
    """Images that the controller's engine holds, for the workers that should have them."""

    async def archive(self, worker: str, image: str) -> ImageArchive:
        """The parts of the image with this id, made at the first call (seconds).

        ForbiddenError where it is not wanted on the worker, NotFoundError where the engine lost
        it, Temporary and Permanent where it cannot be exported.
        """

    async def part(self, worker: str, digest: str) -> int:
        """Size in bytes of one part. ForbiddenError where no image wanted on the worker has it."""

    def read_part(self, digest: str, *, offset: int) -> AsyncIterator[bytes]:
        """A part's content from an offset on, in pieces of at most 1 MiB."""
