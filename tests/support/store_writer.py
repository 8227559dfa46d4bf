"""A program that writes to a store from eight threads and says what was acknowledged, until killed.

Arguments: folder, first sequence number. It prints `ready`, then `<key> <number>` for each write
that the store acknowledged. Each thread has keys of its own and numbers that only rise; a number
that is divisible by five deletes the record instead.
"""

from __future__ import annotations

import itertools
import os
import sys
import threading
from pathlib import Path

from cumulus.controller.store import Store

WRITERS = 8
KEYS = 5
PAD = "x" * 700
COMPACT_BYTES = 256 * 1024


def deletes(number: int) -> bool:
    return number % 5 == 0


def write(store: Store, writer: int, first: int) -> None:
    for number in itertools.count(first):
        key = f"w{writer}-{number % KEYS if not deletes(number) else (number - 1) % KEYS}"
        if deletes(number):
            store.delete("jobs", key)
        else:
            store.put("jobs", key, {"number": number, "writer": str(writer), "pad": PAD})
        os.write(1, f"{key} {number}\n".encode())


def main() -> None:
    folder, first = Path(sys.argv[1]), int(sys.argv[2])
    indexes = {"jobs": {"writer": lambda doc: (doc["writer"],)}}
    store = Store.open(folder, indexes, compact_bytes=COMPACT_BYTES)
    threads = [
        threading.Thread(target=write, args=(store, writer, first)) for writer in range(WRITERS)
    ]
    os.write(1, b"ready\n")
    for thread in threads:
        thread.start()


if __name__ == "__main__":
    main()
