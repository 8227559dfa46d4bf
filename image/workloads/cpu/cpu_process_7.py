"""Compresses and encodes data of several kinds, with library codecs and with ones written here.

Every codec has to give back exactly what it was given.
"""

from __future__ import annotations

import base64
import binascii
import bz2
import heapq
import itertools
import lzma
import sys
import zlib
from collections import Counter
from collections.abc import Callable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..harness import Run, main
else:
    from harness import Run, main

Codec = tuple[Callable[[bytes], bytes], Callable[[bytes], bytes]]
WORDS = b"lease worker device fraction queue deadline blob stream token reason".split()


def work(run: Run) -> None:
    """A round: data of one kind and random size goes through every codec."""
    for _ in run.rounds():
        data = _data(run)
        for name, (encode, decode) in CODECS.items():
            # The codecs of this file are Python, and a hundred times slower than the others.
            given = data[: len(data) // 16] if name in SLOW else data
            encoded = encode(given)
            run.check(decode(encoded) == given, f"{name} gave back something else")
            run.count(f"{name}_bytes_in", len(given))
            run.count(f"{name}_bytes_out", len(encoded))
            run.result(name, len(given), zlib.crc32(given))


def _data(run: Run) -> bytes:
    size = run.size("data_bytes", 500_000, 2_000_000, least=64)
    kind = run.choice("kind", ("text", "noise", "runs", "numbers"))
    if kind == "text":
        return b" ".join(run.rng.choices(WORDS, k=size // 6))[:size]
    if kind == "noise":
        return run.rng.randbytes(size)
    if kind == "numbers":
        return b"".join(n.to_bytes(4, "big") for n in range(size // 4))
    out = bytearray()
    while len(out) < size:
        out += bytes([run.rng.randrange(256)]) * run.rng.randint(1, 300)
    return bytes(out[:size])


def run_lengths(data: bytes) -> bytes:
    """Pairs of a length, 1 to 255, and the byte that is repeated so often."""
    out = bytearray()
    for byte, group in itertools.groupby(data):
        length = sum(1 for _ in group)
        while length:
            step = min(length, 255)
            out += bytes((step, byte))
            length -= step
    return bytes(out)


def from_run_lengths(data: bytes) -> bytes:
    """What `run_lengths` was given."""
    return b"".join(data[i + 1 : i + 2] * data[i] for i in range(0, len(data), 2))


def code_lengths(data: bytes) -> list[int]:
    """Bits of each byte's Huffman code, 0 where it does not occur."""
    counts = Counter(data)
    order = itertools.count()  # breaks ties, so that trees are never compared
    heap = [(count, next(order), [byte]) for byte, count in sorted(counts.items())]
    heapq.heapify(heap)
    lengths = [0] * 256
    if len(heap) == 1:
        lengths[heap[0][2][0]] = 1
    while len(heap) > 1:
        a, b = heapq.heappop(heap), heapq.heappop(heap)
        for byte in a[2] + b[2]:
            lengths[byte] += 1
        heapq.heappush(heap, (a[0] + b[0], next(order), a[2] + b[2]))
    return lengths


def codes_of(lengths: list[int]) -> dict[int, str]:
    """Byte → its bits, in the canonical form that lengths alone define."""
    codes, code, before = {}, 0, 0
    for length, byte in sorted((length, byte) for byte, length in enumerate(lengths) if length):
        code <<= length - before
        codes[byte] = format(code, f"0{length}b")
        code, before = code + 1, length
    return codes


def huffman(data: bytes) -> bytes:
    """256 code lengths, the data's length in 4 bytes, and its codes."""
    lengths = code_lengths(data)
    codes = codes_of(lengths)
    bits = "".join(map(codes.__getitem__, data))
    bits += "0" * (-len(bits) % 8)
    packed = int("1" + bits, 2).to_bytes(len(bits) // 8 + 1, "big")[1:]
    return bytes(lengths) + len(data).to_bytes(4, "big") + packed


def from_huffman(data: bytes) -> bytes:
    """What `huffman` was given."""
    bytes_of = {code: byte for byte, code in codes_of(list(data[:256])).items()}
    left = int.from_bytes(data[256:260], "big")
    out, bits = bytearray(), ""
    for byte in data[260:]:
        for bit in format(byte, "08b"):
            bits += bit
            if bits in bytes_of and len(out) < left:
                out.append(bytes_of[bits])
                bits = ""
    return bytes(out)


CODECS: dict[str, Codec] = {
    "zlib": (zlib.compress, zlib.decompress),
    "bz2": (bz2.compress, bz2.decompress),
    "xz": (lambda data: lzma.compress(data, preset=1), lzma.decompress),
    "base64": (base64.b64encode, base64.b64decode),
    "base85": (base64.b85encode, base64.b85decode),
    "hex": (binascii.hexlify, binascii.unhexlify),
    "run_length": (run_lengths, from_run_lengths),
    "huffman": (huffman, from_huffman),
}
SLOW = ("run_length", "huffman", "base85")


if __name__ == "__main__":
    sys.exit(main(work, __file__, __doc__))
