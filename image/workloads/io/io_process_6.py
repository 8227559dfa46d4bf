"""Reads and writes blocks of one file, in order and at random, through calls and a memory map.

Each block carries its number, its version and a CRC; a model in memory says which version is due.
"""

from __future__ import annotations

import mmap
import os
import struct
import sys
import zlib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..harness import Run, main
else:
    from harness import Run, main

BLOCK = 4096
HEAD = struct.Struct("!QQI")  # number, version, CRC 32 of the rest
BATCH = 256


def work(run: Run) -> None:
    """A round: written in order, changed at random, read in order. Each has a file of its own."""
    for index in run.rounds():
        path = run.scratch / f"{index}.blocks"
        versions = [0] * run.size("blocks", 3_000, 9_000, least=2)
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            for start in range(0, len(versions), BATCH):
                part = range(start, min(start + BATCH, len(versions)))
                _write(run, file, start, b"".join(_block(run, number, 0) for number in part))
            os.fsync(file)
            _change(run, file, versions)
            _change_mapped(run, file, versions)
            os.fsync(file)
            for number, version in enumerate(versions):
                _check(run, os.pread(file, BLOCK, number * BLOCK), number, version)
            run.count("bytes_read", len(versions) * BLOCK)
        finally:
            os.close(file)
            path.unlink()
        run.result(len(versions), sum(versions))


def _block(run: Run, number: int, version: int) -> bytes:
    rest = run.rng.randbytes(BLOCK - HEAD.size)
    return HEAD.pack(number, version, zlib.crc32(rest)) + rest


def _check(run: Run, block: bytes, number: int, version: int) -> None:
    run.check(len(block) == BLOCK, f"block {number} is cut off")
    found, at, crc = HEAD.unpack_from(block)
    run.check((found, at) == (number, version), f"block {number} is {found}, version {at}")
    run.check(zlib.crc32(block[HEAD.size :]) == crc, f"block {number} is damaged")


def _write(run: Run, file: int, number: int, data: bytes) -> None:
    run.check(os.pwrite(file, data, number * BLOCK) == len(data), "a write was cut off")
    run.count("bytes_written", len(data))


def _change(run: Run, file: int, versions: list[int]) -> None:
    """Random blocks, read before they are written."""
    for _ in range(run.size("random_accesses", 2_000, 6_000)):
        number = run.rng.randrange(len(versions))
        _check(run, os.pread(file, BLOCK, number * BLOCK), number, versions[number])
        run.count("random_reads")
        if run.rng.random() < 0.5:
            versions[number] += 1
            _write(run, file, number, _block(run, number, versions[number]))
            run.count("random_writes")


def _change_mapped(run: Run, file: int, versions: list[int]) -> None:
    """The same through memory."""
    with mmap.mmap(file, len(versions) * BLOCK) as mapped:
        for _ in range(run.size("mapped_accesses", 1_000, 3_000)):
            number = run.rng.randrange(len(versions))
            where = slice(number * BLOCK, (number + 1) * BLOCK)
            _check(run, mapped[where], number, versions[number])
            versions[number] += 1
            mapped[where] = _block(run, number, versions[number])
            run.count("mapped_writes")
        mapped.flush()


if __name__ == "__main__":
    sys.exit(main(work, __file__, __doc__))
