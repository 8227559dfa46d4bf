"""For every test: Ctrl-C reaches the programs that tests start, and no run that was killed leaves
a disk mounted where pytest is to remove folders.

A shell starts what it puts in the background with SIGINT ignored, and every child inherits that.
What hypothesis draws is judged by what it shows, and not by how long a busy machine took for it.
"""

from __future__ import annotations

import signal

from disks import sweep_disks
from hypothesis import HealthCheck, settings

signal.signal(signal.SIGINT, signal.default_int_handler)
sweep_disks()
settings.register_profile(
    "untimed", settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("untimed")
