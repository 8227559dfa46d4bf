"""Multiplies, solves and decomposes matrices of random size.

Products are of whole numbers, so that they are exact; each is checked by random vectors. What is
solved or decomposed is put together again.
"""

from __future__ import annotations

import sys

import numpy as np
from numpy.typing import NDArray

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..harness import Run, main
else:
    from harness import Run, main

Floats = NDArray[np.float64]
ENTRY = 100
"""Entries are -100 to 100: sums of 2000 products stay far below 2^53."""


def work(run: Run) -> None:
    """A round: a product, a linear system, eigenvalues and singular values."""
    chance = np.random.default_rng(run.seed)
    for _ in run.rounds():
        _product(run, chance)
        _system(run, chance)
        _spectrum(run, chance)


def _whole(chance: np.random.Generator, rows: int, columns: int) -> Floats:
    return chance.integers(-ENTRY, ENTRY, (rows, columns), endpoint=True).astype(np.float64)


def _product(run: Run, chance: np.random.Generator) -> None:
    """A B x = A (B x) for vectors of 0 and 1: a wrong product passes one by chance 1/2 at most."""
    rows, inner, columns = (run.size("product_side", 300, 1200, power=1 / 3) for _ in range(3))
    a, b = _whole(chance, rows, inner), _whole(chance, inner, columns)
    product = a @ b
    vectors = chance.integers(0, 2, (columns, 32)).astype(np.float64)
    run.check(np.array_equal(product @ vectors, a @ (b @ vectors)), "a product is wrong")
    run.count("multiply_adds", rows * inner * columns)
    run.result(product.astype(np.int64).tobytes())


def _system(run: Run, chance: np.random.Generator) -> None:
    side = run.size("system_side", 200, 700, power=1 / 3)
    a = _whole(chance, side, side) + np.eye(side) * ENTRY * side  # dominant: well conditioned
    expected = chance.standard_normal((side, 4))
    found = np.linalg.solve(a, a @ expected)
    error = float(np.max(np.abs(found - expected)))
    run.check(error < 1e-9, f"a system of {side} equations is solved with an error of {error:.1e}")
    run.value("solve_error", error)


def _spectrum(run: Run, chance: np.random.Generator) -> None:
    side = run.size("spectrum_side", 80, 260, power=1 / 3, least=2)
    half = chance.standard_normal((side, side))
    symmetric = half + half.T
    values, vectors = np.linalg.eigh(symmetric)
    again = (vectors * values) @ vectors.T
    run.check(np.allclose(again, symmetric, atol=1e-8), "eigenvectors do not give the matrix")
    singular = np.linalg.svd(half, compute_uv=False)
    norm = float(np.sqrt(np.sum(half**2)))
    run.check(np.isclose(np.sqrt(np.sum(singular**2)), norm), "singular values miss the norm")
    run.value("largest_singular_value", float(singular[0]))


if __name__ == "__main__":
    sys.exit(main(work, __file__, __doc__))
