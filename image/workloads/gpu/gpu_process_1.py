"""Trains a convolutional network on drawn shapes, with batches of changing size.

The network's output is compared with the same computed in double precision on the CPU, and what it
loses has to fall.
"""

from __future__ import annotations

import copy
import math
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    import torch

    from ..harness import Run, main
    from ..harness.pytorch import Losses, device_for, note_memory
else:
    from harness import Run, main
    from harness.pytorch import Losses, device_for, note_memory

CLASSES = 4
SIDE = 24
STEPS = 4
"""Training steps of a round."""


def work(run: Run) -> None:
    """A round: some steps with one batch size, and a comparison with the CPU."""
    import torch

    device = device_for(run)
    network = torch.nn.Sequential(
        torch.nn.Conv2d(1, 16, 3, padding=1),
        torch.nn.ReLU(),
        torch.nn.MaxPool2d(2),
        torch.nn.Conv2d(16, 32, 3, padding=1),
        torch.nn.ReLU(),
        torch.nn.MaxPool2d(2),
        torch.nn.Flatten(),
        torch.nn.Linear(32 * (SIDE // 4) ** 2, CLASSES),
    ).to(device)
    optimiser = torch.optim.Adam(network.parameters(), lr=2e-3)
    lost = Losses(run, math.log(CLASSES))
    for _ in run.rounds():
        batch = run.size("batch_images", 64, 512, least=8)
        for _ in range(STEPS):
            images, labels = _draw(run, batch)
            images, labels = images.to(device), labels.to(device)
            output = network(images)
            loss = torch.nn.functional.cross_entropy(output, labels)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            lost.add(loss.item())
            run.count("images", batch)
        run.value("accuracy", (output.argmax(1) == labels).float().mean().item())
        with torch.no_grad():
            exact = copy.deepcopy(network).cpu().double()(images[:4].cpu().double())
            error = (network(images[:4]).cpu() - exact).abs().max().item()
        run.check(error < 0.05 * (1 + exact.abs().max().item()), f"the CPU's is {error:.1e} off")
        run.value("output_error", error)
        run.result(batch, int(labels.sum()))
    lost.check()
    note_memory(run)


def _draw(run: Run, batch: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Images (batch, 1, side, side) of bars across, bars down, frames and discs, with noise."""
    import torch

    generator = torch.Generator().manual_seed(run.rng.getrandbits(32))
    labels = torch.randint(CLASSES, (batch,), generator=generator)
    centre = torch.randint(8, SIDE - 8, (batch, 2), generator=generator)
    rows, columns = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    down = (rows[None] - centre[:, 0, None, None]).abs()
    across = (columns[None] - centre[:, 1, None, None]).abs()
    shapes = torch.stack(
        (down < 2, across < 2, torch.maximum(down, across) == 6, down**2 + across**2 < 25), 1
    )
    images = shapes[torch.arange(batch), labels].float()
    return (images + 0.3 * torch.randn(images.shape, generator=generator))[:, None], labels


if __name__ == "__main__":
    sys.exit(main(work, __file__, __doc__))
