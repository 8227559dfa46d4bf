"""Writes files, keeps ever more of them in memory, and reads them back.

A file that comes back other than it was written, from disk or from memory, fails the run.
"""

from __future__ import annotations

import hashlib
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..harness import Run, main
else:
    from harness import Run, main

KEPT = 64 << 20
"""Bytes held in memory at most, before all of it is given back and growth begins anew."""


def work(run: Run) -> None:
    """A round: some files are written and synced, then read in another order."""
    kept: dict[str, bytes] = {}
    for index in run.rounds():
        if sum(map(len, kept.values())) > KEPT * run.scale:
            kept.clear()
            run.count("memory_released")
        written = {}
        for number in range(run.size("files", 4, 12, power=0.5)):
            name = f"{index}-{number}.bin"
            data = run.rng.randbytes(run.size("file_bytes", 256 << 10, 4 << 20))
            with open(run.scratch / name, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            written[name] = hashlib.sha256(data).digest()
            kept[name] = data if run.rng.random() < 0.5 else b""
            run.count("bytes_written", len(data))
        names = sorted(written)
        run.rng.shuffle(names)
        for name in names:
            found = (run.scratch / name).read_bytes()
            run.check(hashlib.sha256(found).digest() == written[name], f"{name} was read changed")
            run.check(not kept[name] or kept[name] == found, f"{name} changed in memory")
            run.count("bytes_read", len(found))
            run.result(name, written[name])
            os.unlink(run.scratch / name)
        run.value("kept_bytes", sum(map(len, kept.values())))


if __name__ == "__main__":
    sys.exit(main(work, __file__, __doc__))
