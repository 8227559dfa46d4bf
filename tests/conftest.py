"""For every test: Ctrl-C reaches the programs that tests start, and no run that was killed leaves
a disk mounted where pytest is to remove folders.

A shell starts what it puts in the background with SIGINT ignored, and every child inherits that.
"""

from __future__ import annotations

import signal

from disks import sweep_disks

signal.signal(signal.SIGINT, signal.default_int_handler)
sweep_disks()
