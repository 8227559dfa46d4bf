"""What signals do in the child: SIGTERM unwinds the job, and ends what the job forked.

Called by `child` before anything of the job's is there.
"""

from __future__ import annotations

import _thread  # `threading` is another module to wait for
import os
import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType


class Terminated(BaseException):
    """Raised in the job where SIGTERM finds it, so that its `finally` blocks run."""


def handle(owner: int) -> None:
    """owner: the pid of the process that runs the job; what it forks is not to report for it."""

    def terminate(number: int, _frame: FrameType | None) -> None:
        if os.getpid() != owner:  # forked by a library, past `_die_by_default`
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        # Sent to the whole process group it comes twice, the second time by way of the parent, and
        # must not break into the job's `finally`. SIGKILL follows anyway.
        signal.signal(number, signal.SIG_IGN)
        raise Terminated(signal.Signals(number).name)

    signal.signal(signal.SIGTERM, terminate)
    _die_by_default(signal.SIGTERM, terminate)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # The warning before the lease's end: a job that does not know of it is not to die of it.
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _die_by_default(number: int, handler: Callable[[int, FrameType | None], None]) -> None:
    """What the job forks dies of the signal as it would elsewhere, unless the job handles it itself.

    Our handler would run there between two steps of the interpreter only: a signal that comes right
    before a wait in C is not seen any more, and a pool waits for ever for a worker that it ended.
    """
    masks = _thread._local()  # noqa: SLF001 (it is `threading.local`)

    def before() -> None:
        masks.old = signal.pthread_sigmask(signal.SIG_BLOCK, (number,))

    def in_parent() -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, masks.old)

    def in_child() -> None:
        if signal.getsignal(number) is handler:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, masks.old)

    os.register_at_fork(before=before, after_in_parent=in_parent, after_in_child=in_child)
