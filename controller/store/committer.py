"""One writer: waiting transactions are grouped, written at once, applied, published, acknowledged.

With a journal a thread of its own does this (group commit: while one write is being synced, the
next batch gathers). Without one it happens in the caller's thread, at once: no threads, no I/O.
Called by `JournalStorage` only.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Final, NamedTuple

from loguru import logger

from ...crd_like_specs.errors import StoreError
from .codec import LoggedOp, transaction_line
from .records import Change
from .ring import Unsubscribe
from .state import State
from .transaction import Batch, Transaction, Work

BATCH: Final = 512
RETRY_AFTER: Final = 5.0
"""Seconds from a write that failed to the first try to go on, and between two tries."""
CommitCallback = Callable[[Sequence[Change]], None]
WakeCallback = Callable[[int], None]


class _Waiting(NamedTuple):
    work: Work
    future: Future[int]


class _Failure(NamedTuple):
    """retry_at: when to try to go on; None where only a restart helps."""

    error: BaseException
    retry_at: float | None

    def words(self) -> str:
        if self.retry_at is None:
            return f"the store is read-only until a restart: {self.error!r}"
        return (
            f"the store is read-only, since it could not be written: {self.error}; "
            "it goes on by itself once it can be written again"
        )

    def refusal(self) -> StoreError:
        refused = StoreError(self.words())
        refused.__cause__ = self.error
        return refused


class Committer:
    """See the module docstring.

    write: makes bytes durable or raises OSError; None to keep nothing on disk.
    between: called on the committing thread before each batch, with nothing half done; may raise
    OSError.
    repair: makes what was acknowledged durable without relying on anything that a failed write or
    sync may have spoiled, so that `write` can go on, or raises OSError.
    clock: monotonic seconds.
    """

    def __init__(
        self,
        state: State,
        write: Callable[[bytes], None] | None,
        between: Callable[[], None] = lambda: None,
        repair: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._state = state
        self._write = write
        self._between = between
        self._repair = repair
        self._clock = clock
        self._queue: deque[_Waiting] = deque()
        self._wake = threading.Condition()
        self._turn = threading.Lock()
        self._committing: int | None = None
        self._closed = False
        self._failure: _Failure | None = None
        # By a key of their own, since the same callback may be added twice. Replaced as a whole
        # under the lock, so that the committing thread goes through one of them undisturbed.
        self._on_commit: dict[object, CommitCallback] = {}
        self._on_wake: dict[object, WakeCallback] = {}
        self._thread: threading.Thread | None = None
        if write is not None:
            self._thread = threading.Thread(target=self._run, name="store-commit", daemon=True)
            self._thread.start()

    @property
    def healthy(self) -> bool:
        """False from a write that failed until one succeeds again."""
        return self._failure is None

    def trouble(self) -> str:
        """Why nothing can be written, in words; empty if it can. Begins a try that is due.

        So that whoever asks sees the store go on, even where nobody wants to write anything.
        """
        with self._wake:
            failure = self._failure
            if failure is None:
                return ""
            if self._due(failure) and not self._queue and not self._closed:
                self._queue.append(_Waiting(lambda _: None, Future()))
                self._wake.notify()
            return failure.words()

    def submit(self, work: Work) -> Future[int]:
        """Queue a transaction; the future has the version it left, or what went wrong.

        StoreError at once where nothing can be written, and no try to go on is due.
        """
        waiting = _Waiting(work, Future())
        with self._wake:
            self._refuse()
            self._queue.append(waiting)
            self._wake.notify()
        # A write from inside a commit is taken up by the loop that is at it already.
        if self._thread is None and self._committing != threading.get_ident():
            with self._turn:
                self._committing = threading.get_ident()
                try:
                    while self._queue:
                        self._commit(self._next())
                finally:
                    self._committing = None
        return waiting.future

    def wait(self, work: Work) -> int:
        """Commit and return the version; StoreError instead of waiting for oneself."""
        if self._committing == threading.get_ident():
            raise StoreError("a transaction or a callback of the store cannot wait for a write")
        return self.submit(work).result()

    def add_commit(self, callback: CommitCallback) -> Unsubscribe:
        """Call with the changes of each batch before its writers are acknowledged."""
        key = object()
        with self._wake:
            self._on_commit = {**self._on_commit, key: callback}

        def remove() -> None:
            with self._wake:
                self._on_commit = {k: c for k, c in self._on_commit.items() if k is not key}

        return remove

    def add_wake(self, callback: WakeCallback) -> Unsubscribe:
        """Call with the version of each batch before its writers are acknowledged."""
        key = object()
        with self._wake:
            self._on_wake = {**self._on_wake, key: callback}
        return lambda: self._drop_wake(key)

    def _drop_wake(self, key: object) -> None:
        with self._wake:
            self._on_wake = {k: c for k, c in self._on_wake.items() if k is not key}

    def close(self) -> bool:
        """Commit what is waiting, then refuse writes. False if it was closed before."""
        with self._wake:
            first = not self._closed
            self._closed = True
            self._wake.notify()
        if self._thread is not None:
            self._thread.join()
        return first

    def _fail(self, error: BaseException, *, for_good: bool) -> _Failure:
        """Refuse writes from now on, until a try to go on succeeds or, `for_good`, a restart."""
        first = self._failure is None
        failure = _Failure(error, None if for_good else self._clock() + RETRY_AFTER)
        self._failure = failure
        if first or for_good:
            logger.error("{}", failure.words())
        return failure

    def _due(self, failure: _Failure) -> bool:
        return failure.retry_at is not None and self._clock() >= failure.retry_at

    def _refuse(self) -> None:
        if self._closed:
            raise StoreError("the store is closed")
        failure = self._failure
        if failure is not None and not self._due(failure):
            raise failure.refusal()

    def _run(self) -> None:
        self._committing = threading.get_ident()
        while True:
            with self._wake:
                while not self._queue and not self._closed:
                    self._wake.wait()
                if not self._queue:
                    return
                waiting = self._next()
            self._commit(waiting)

    def _next(self) -> list[_Waiting]:
        return [self._queue.popleft() for _ in range(min(BATCH, len(self._queue)))]

    def _commit(self, waiting: list[_Waiting]) -> None:
        # A cancelled future is left alone; from here on the others cannot be cancelled.
        waiting = [one for one in waiting if one.future.set_running_or_notify_cancel()]
        outcomes: list[int | BaseException]
        failure = self._failure
        if failure is not None and not self._due(failure):
            outcomes = [failure.refusal() for _ in waiting]
        else:
            try:
                self._go_on()
                self._between()
                outcomes = self._make_durable(waiting)
            except BaseException as error:  # noqa: BLE001 (every writer must get an answer, and the thread must live to give it)
                # What is no error of the disk is one of this program: then nothing is sure to hold.
                failure = self._fail(error, for_good=not isinstance(error, OSError))
                outcomes = [failure.refusal() for _ in waiting]
        for one, outcome in zip(waiting, outcomes, strict=True):
            if isinstance(outcome, BaseException):
                one.future.set_exception(outcome)
            else:
                one.future.set_result(outcome)

    def _go_on(self) -> None:
        """After a failure: repair what it may have spoiled. OSError as long as that fails too."""
        if self._failure is None:
            return
        self._repair()
        logger.warning("the store can be written again, after: {}", self._failure.error)
        self._failure = None

    def _make_durable(self, waiting: list[_Waiting]) -> list[int | BaseException]:
        batch = Batch(self._state)
        outcomes: list[int | BaseException] = []
        changes: list[Change] = []
        lines: list[bytes] = []
        for one in waiting:
            transaction = Transaction(batch)
            try:
                one.work(transaction)
                made, version = transaction.seal()
            except BaseException as error:  # noqa: BLE001 (the work is the caller's, and so is its error)
                outcomes.append(error)
                continue
            outcomes.append(version)
            if made:
                if self._write is not None:
                    ops = (LoggedOp(c.kind, c.table, c.id, c.raw) for c in made)
                    lines.append(transaction_line(self._state.rv, made[0].rv, ops))
                batch.take(made)
                changes += made
        if lines and self._write is not None:
            self._write(b"".join(lines))
        if changes:
            self._state.apply(changes)
            self._publish(changes)
        return outcomes

    def _publish(self, changes: list[Change]) -> None:
        for callback in self._on_commit.values():
            try:
                callback(changes)
            except Exception as error:  # noqa: BLE001 (what is written is durable: its writer must be told so, but a cache that missed it must not be built on)
                self._fail(error, for_good=True)
        for key, wake in self._on_wake.items():
            try:
                wake(changes[-1].rv)
            except Exception as error:  # noqa: BLE001 (a subscriber that is gone, such as a closed event loop, harms only itself)
                logger.warning("a subscriber of the store failed and is dropped: {!r}", error)
                self._drop_wake(key)
