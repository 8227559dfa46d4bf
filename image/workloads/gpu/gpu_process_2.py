"""Multiplies large matrices on the GPU, in batches, and solves systems with them.

Products are of small whole numbers, which are exact in every number format that GPUs multiply in;
each is checked by random vectors with integers on the CPU.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    import torch

    from ..harness import Run, main
    from ..harness.pytorch import device_for, note_memory
else:
    from harness import Run, main
    from harness.pytorch import device_for, note_memory

ENTRY = 8


def work(run: Run) -> None:
    """A round: one large product, a batch of small ones, and a system of equations."""
    import torch

    device = device_for(run)
    for _ in run.rounds():
        generator = torch.Generator().manual_seed(run.rng.getrandbits(32))
        rows, inner, columns = (run.size("side", 400, 1600, power=1 / 3, least=2) for _ in range(3))
        _product(run, device, generator, (1, rows, inner, columns))
        small = run.size("small_side", 32, 128, power=1 / 3, least=2)
        _product(run, device, generator, (run.rng.randint(8, 64), small, small, small))
        _system(run, device, generator)
    note_memory(run)


def _product(
    run: Run, device: torch.device, generator: torch.Generator, shape: tuple[int, int, int, int]
) -> None:
    """shape: matrices in the batch, rows, what is summed over, columns."""
    import torch

    batch, rows, inner, columns = shape
    a = torch.randint(-ENTRY, ENTRY + 1, (batch, rows, inner), generator=generator)
    b = torch.randint(-ENTRY, ENTRY + 1, (batch, inner, columns), generator=generator)
    product = torch.bmm(a.float().to(device), b.float().to(device)).cpu().to(torch.int64)
    vectors = torch.randint(0, 2, (batch, columns, 32), generator=generator)
    run.check(
        torch.equal(torch.bmm(product, vectors), torch.bmm(a, torch.bmm(b, vectors))),
        f"a product of {batch} times {rows} by {inner} by {columns} is wrong",
    )
    run.count("multiply_adds", batch * rows * inner * columns)
    run.result(*(int(total) for total in product.sum(dim=(1, 2))))


def _system(run: Run, device: torch.device, generator: torch.Generator) -> None:
    import torch

    side = run.size("system_side", 100, 400, power=1 / 3, least=2)
    a = torch.randn(side, side, generator=generator, dtype=torch.float64) + side * torch.eye(side)
    expected = torch.randn(side, 4, generator=generator, dtype=torch.float64)
    found = torch.linalg.solve(a.to(device), (a @ expected).to(device)).cpu()
    error = (found - expected).abs().max().item()
    run.check(error < 1e-9, f"a system of {side} equations is solved with an error of {error:.1e}")
    run.value("solve_error", error)


if __name__ == "__main__":
    sys.exit(main(work, __file__, __doc__))
