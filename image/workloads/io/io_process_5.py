"""Makes images, stores them as PNG and in other compressed forms, and decodes them from disk.

Each decoded image has to have exactly the pixels that were drawn.
"""

from __future__ import annotations

import bz2
import lzma
import struct
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..harness import Run, main
else:
    from harness import Run, main

Pixels = NDArray[np.uint8]
SIGNATURE = b"\x89PNG\r\n\x1a\n"
FORMS: dict[str, tuple[Callable[[bytes], bytes], Callable[[bytes], bytes]]] = {
    "bz2": (lambda data: bz2.compress(data, 3), bz2.decompress),
    "xz": (lambda data: lzma.compress(data, preset=0), lzma.decompress),
    "raw": (bytes, bytes),
}


def work(run: Run) -> None:
    """A round: some images are drawn, stored in two forms, and read back."""
    for index in run.rounds():
        for number in range(run.rng.randint(1, 4)):
            image = _draw(run)
            png = run.scratch / f"{index}-{number}.png"
            png.write_bytes(_to_png(image, run.choice("png_level", (1, 3, 6))))
            form = run.choice("form", tuple(FORMS))
            other = run.scratch / f"{index}-{number}.{form}"
            other.write_bytes(FORMS[form][0](image.tobytes()))
            for file in (png, other):
                run.count("bytes_written", file.stat().st_size)
            run.check(np.array_equal(_from_png(run, png), image), f"{png.name} came back changed")
            raw = FORMS[form][1](other.read_bytes())
            run.check(raw == image.tobytes(), f"{other.name} came back changed")
            run.count("images")
            run.count("pixel_bytes", image.size)
            run.result(zlib.crc32(image.tobytes()))
            png.unlink()
            other.unlink()


def _draw(run: Run) -> Pixels:
    """Rows, columns, 3 colours: gradients, discs and noise, so that it compresses somewhat."""
    side = run.size("side_pixels", 300, 900, power=0.5, least=4)
    rows, columns = np.mgrid[0:side, 0:side]
    image = np.empty((side, side, 3), dtype=np.int64)
    for colour in range(3):
        image[..., colour] = rows * run.rng.randint(0, 5) + columns * run.rng.randint(0, 5)
    for _ in range(run.rng.randint(1, 6)):
        row, column, radius = (run.rng.randrange(side) for _ in range(3))
        inside = (rows - row) ** 2 + (columns - column) ** 2 < radius**2
        image[inside] += run.rng.randrange(256)
    noise = np.frombuffer(run.rng.randbytes(side * side), dtype=np.uint8).reshape(side, side)
    return ((image + (noise & 7)[..., None]) & 255).astype(np.uint8)


def _to_png(image: Pixels, level: int) -> bytes:
    """8-bit RGB, each row filtered by its left neighbours (filter 1)."""
    height, width, _ = image.shape
    filtered = image.copy()
    filtered[:, 1:] -= image[:, :-1]  # modulo 256, as the format wants it
    rows = np.concatenate(
        [np.full((height, 1), 1, np.uint8), filtered.reshape(height, width * 3)], axis=1
    )
    header = struct.pack("!IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(rows.tobytes(), level)
    return SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack("!I", len(data)) + kind + data + struct.pack("!I", zlib.crc32(kind + data))


def _from_png(run: Run, file: Path) -> Pixels:
    """Of the PNGs that `_to_png` writes."""
    content = file.read_bytes()
    run.check(content.startswith(SIGNATURE), f"{file.name} is no PNG")
    chunks: dict[bytes, bytes] = {}
    at = len(SIGNATURE)
    while at < len(content):
        (length,) = struct.unpack_from("!I", content, at)
        kind, data = content[at + 4 : at + 8], content[at + 8 : at + 8 + length]
        (crc,) = struct.unpack_from("!I", content, at + 8 + length)
        run.check(crc == zlib.crc32(kind + data), f"{file.name} has a damaged chunk")
        chunks[kind] = data
        at += 12 + length
    width, height = struct.unpack_from("!II", chunks[b"IHDR"])
    rows = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, width * 3 + 1)
    pixels = rows[:, 1:].reshape(height, width, 3)
    return np.add.accumulate(pixels, axis=1, dtype=np.uint8)


if __name__ == "__main__":
    sys.exit(main(work, __file__, __doc__))
