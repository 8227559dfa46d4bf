"""Ctrl-C before and while a command is at work. Main thread only.

While modules are loaded there is nothing to detach from, and an exception may be lost in whatever
runs then: the process just ends, as the shell expects. Once a command speaks to the controller it is
a KeyboardInterrupt, which detaches.
"""

from __future__ import annotations

import signal


def end_at_once() -> None:
    """From now on it ends the process; not where somebody ignores or handles it already."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def detach() -> None:
    """From now on it is a KeyboardInterrupt, where `end_at_once` was in force."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)
