"""Sorts the same lists by five algorithms and times them.

Each has to give the order that Python's own sort gives.
"""

from __future__ import annotations

import hashlib
import heapq
import sys
import time
from collections.abc import Callable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..harness import Run, main
else:
    from harness import Run, main


def work(run: Run) -> None:
    """A round: one list of a random kind and size, sorted by all algorithms."""
    for _ in run.rounds():
        given = _numbers(run)
        expected = sorted(given)
        for name, algorithm in ALGORITHMS.items():
            began = time.perf_counter()
            found = algorithm(given)
            run.value(
                f"{name}_seconds",
                run.values.get(f"{name}_seconds", 0) + time.perf_counter() - began,
            )
            run.check(found == expected, f"{name} sort left {len(given)} numbers in disorder")
        run.count("numbers_sorted", len(given) * len(ALGORITHMS))
        run.result(hashlib.sha256(repr(expected).encode()).digest())


def _numbers(run: Run) -> list[int]:
    size = run.size("numbers", 10_000, 40_000)
    kind = run.choice("kind", ("random", "few values", "nearly sorted", "reversed"))
    if kind == "few values":
        return [run.rng.randrange(16) for _ in range(size)]
    numbers = [run.rng.randrange(1 << 40) for _ in range(size)]
    if kind != "random":
        numbers.sort(reverse=kind == "reversed")
    if kind == "nearly sorted":
        for _ in range(size // 50):
            i, j = run.rng.randrange(size), run.rng.randrange(size)
            numbers[i], numbers[j] = numbers[j], numbers[i]
    return numbers


def merge_sort(given: list[int]) -> list[int]:
    """From single numbers up, each pass merging neighbours."""
    runs = [[n] for n in given]
    while len(runs) > 1:
        merged = [_merge(a, b) for a, b in zip(runs[::2], runs[1::2], strict=False)]
        runs = merged + runs[len(merged) * 2 :]
    return runs[0] if runs else []


def _merge(a: list[int], b: list[int]) -> list[int]:
    out: list[int] = []
    i = j = 0
    while i < len(a) and j < len(b):
        if a[i] <= b[j]:
            out.append(a[i])
            i += 1
        else:
            out.append(b[j])
            j += 1
    return out + a[i:] + b[j:]


def quick_sort(given: list[int]) -> list[int]:
    """In three parts around the middle one of three; the stack is ours, not Python's."""
    out: list[int] = []
    parts = [(given, False)]  # numbers, and whether they are in order already
    while parts:
        part, ordered = parts.pop()
        if ordered or len(part) < 2:
            out += part
            continue
        pivot = sorted((part[0], part[len(part) // 2], part[-1]))[1]
        parts.append(([n for n in part if n > pivot], False))
        parts.append(([n for n in part if n == pivot], True))
        parts.append(([n for n in part if n < pivot], False))
    return out


def heap_sort(given: list[int]) -> list[int]:
    """By the standard library's heap."""
    heap = list(given)
    heapq.heapify(heap)
    return [heapq.heappop(heap) for _ in given]


def shell_sort(given: list[int]) -> list[int]:
    """With Knuth's gaps, 1, 4, 13, 40…"""
    out, gap = list(given), 1
    while gap < len(out) // 3:
        gap = gap * 3 + 1
    while gap:
        for i in range(gap, len(out)):
            number, j = out[i], i
            while j >= gap and out[j - gap] > number:
                out[j] = out[j - gap]
                j -= gap
            out[j] = number
        gap //= 3
    return out


def radix_sort(given: list[int]) -> list[int]:
    """By 8 bits at a time, the lowest first."""
    out = list(given)
    for shift in range(0, max(out, default=0).bit_length(), 8):
        buckets: list[list[int]] = [[] for _ in range(256)]
        for number in out:
            buckets[number >> shift & 255].append(number)
        out = [number for bucket in buckets for number in bucket]
    return out


ALGORITHMS: dict[str, Callable[[list[int]], list[int]]] = {
    "merge": merge_sort,
    "quick": quick_sort,
    "heap": heap_sort,
    "shell": shell_sort,
    "radix": radix_sort,
}


if __name__ == "__main__":
    sys.exit(main(work, __file__, __doc__))
