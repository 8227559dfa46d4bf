"""Work that reads gigabytes, beside everything else: in threads of its own, a few at a time.

The loop's own threads are for what takes milliseconds; a few large datasets would take all of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

T = TypeVar("T")

AT_ONCE: Final = 2

_THREADS: Final = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="heavy")


def heavy(work: Callable[[], T]) -> asyncio.Future[T]:
    """Begun as soon as there is a thread for it; whoever is cancelled leaves it running."""
    return asyncio.get_running_loop().run_in_executor(_THREADS, work)
