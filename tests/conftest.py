"""For every test: Ctrl-C reaches the programs that tests start.

A shell starts what it puts in the background with SIGINT ignored, and every child inherits that.
"""

from __future__ import annotations

import signal

signal.signal(signal.SIGINT, signal.default_int_handler)
