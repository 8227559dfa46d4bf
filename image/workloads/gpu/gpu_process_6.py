"""Trains a variational autoencoder on drawn curves, and draws new ones with it.

Its divergence is compared with the library's for the same distributions; what it loses has to fall.
"""

from __future__ import annotations

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

POINTS = 64
LATENT = 4
STEPS = 4
"""Training steps of a round."""


def work(run: Run) -> None:
    """A round: some steps with batches of one random size, then new curves."""
    import torch

    device = device_for(run)
    encoder, decoder = _layers(POINTS, 2 * LATENT).to(device), _layers(LATENT, POINTS).to(device)
    optimiser = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=2e-3)
    lost = Losses(run, math.inf)
    for _ in run.rounds():
        batch = run.size("batch_curves", 128, 1024, least=32)
        for _ in range(STEPS):
            curves = _draw(run, batch).to(device)
            mean, spread = encoder(curves).chunk(2, dim=1)  # spread: logarithm of the variance
            latent = mean + torch.randn_like(mean) * (spread / 2).exp()
            missed = ((decoder(latent) - curves) ** 2).sum(dim=1)
            divergence = -0.5 * (1 + spread - mean**2 - spread.exp()).sum(dim=1)
            loss = (missed + 0.1 * divergence).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            lost.add(loss.item())
            run.count("curves", batch)
        _compare(run, mean.detach(), spread.detach(), divergence.detach())
        with torch.no_grad():
            drawn = decoder(torch.randn(16, LATENT, device=device))
        run.check(torch.isfinite(drawn).all().item(), "a new curve is not finite")
        run.value("missed", missed.mean().item())
        run.value("divergence", divergence.mean().item())
    lost.check()
    note_memory(run)


def _layers(inputs: int, outputs: int) -> torch.nn.Sequential:
    import torch

    return torch.nn.Sequential(
        torch.nn.Linear(inputs, 256),
        torch.nn.GELU(),
        torch.nn.Linear(256, 256),
        torch.nn.GELU(),
        torch.nn.Linear(256, outputs),
    )


def _draw(run: Run, batch: int) -> torch.Tensor:
    """Waves (batch, points) of random height, length and phase."""
    import torch

    generator = torch.Generator().manual_seed(run.rng.getrandbits(32))
    drawn = torch.randint(1 << 16, (3, batch, 1), generator=generator)
    run.result(batch, int(drawn.sum()))
    height, length, phase = drawn / (1 << 16)
    along = torch.linspace(0, 2 * math.pi, POINTS)[None]
    return (0.5 + height) * torch.sin(along * (1 + length) + phase * 2 * math.pi)


def _compare(run: Run, mean: torch.Tensor, spread: torch.Tensor, divergence: torch.Tensor) -> None:
    import torch

    normal = torch.distributions.Normal
    here = normal(mean.double(), (spread.double() / 2).exp())
    unit = normal(torch.zeros_like(here.mean), torch.ones_like(here.mean))
    exact = torch.distributions.kl_divergence(here, unit).sum(dim=1)
    error = ((exact - divergence) / (1 + exact)).abs().max().item()
    run.check(error < 1e-3, f"the divergence is {error:.1e} off")
    run.value("divergence_error", error)


if __name__ == "__main__":
    sys.exit(main(work, __file__, __doc__))
