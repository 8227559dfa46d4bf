"""Trains an LSTM to tell the sign of sums that it reads number by number.

Its first step is compared with the equations of an LSTM, written out; what it loses has to fall.
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

HIDDEN = 48
STEPS = 4
"""Training steps of a round."""


def work(run: Run) -> None:
    """A round: some steps with sequences of one random length."""
    import torch

    device = device_for(run)
    network = torch.nn.LSTM(1, HIDDEN, batch_first=True).to(device)
    head = torch.nn.Linear(HIDDEN, 1).to(device)
    optimiser = torch.optim.Adam([*network.parameters(), *head.parameters()], lr=5e-3)
    lost = Losses(run, math.log(2))
    for _ in run.rounds():
        length = run.size("sequence_length", 8, 32, power=0.25, least=4)
        batch = run.size("batch_sequences", 64, 256, least=16)
        for _ in range(STEPS):
            generator = torch.Generator().manual_seed(run.rng.getrandbits(32))
            numbers = torch.randn(batch, length, 1, generator=generator).to(device)
            positive = (numbers.sum(dim=1) > 0).float()
            output = head(network(numbers)[0][:, -1])
            loss = torch.nn.functional.binary_cross_entropy_with_logits(output, positive)
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
            lost.add(loss.item())
            run.count("sequences", batch)
        run.value("accuracy", ((output > 0) == (positive > 0.5)).float().mean().item())
        _compare(run, network, numbers)
        run.result(length, batch, int(positive.sum()))
    lost.check()
    note_memory(run)


def _compare(run: Run, network: torch.nn.LSTM, numbers: torch.Tensor) -> None:
    """The library's first two steps beside: i, f, o = sigmoid, g = tanh, c = f c + i g."""
    import torch

    with torch.no_grad():
        weights = {name: value.cpu().double() for name, value in network.named_parameters()}
        given = numbers[:4].cpu().double()
        hidden = torch.zeros(len(given), HIDDEN, dtype=torch.float64)
        cell = torch.zeros_like(hidden)
        for step in range(2):
            gates = (
                given[:, step] @ weights["weight_ih_l0"].T
                + hidden @ weights["weight_hh_l0"].T
                + weights["bias_ih_l0"]
                + weights["bias_hh_l0"]
            )
            i, f, g, o = gates.chunk(4, dim=1)
            cell = torch.sigmoid(f) * cell + torch.sigmoid(i) * torch.tanh(g)
            hidden = torch.sigmoid(o) * torch.tanh(cell)
        found = network(numbers[:4, :2])[0][:, 1].cpu()
        error = (found - hidden).abs().max().item()
    run.check(error < 0.01, f"the LSTM is {error:.1e} off its equations")
    run.value("cell_error", error)


if __name__ == "__main__":
    sys.exit(main(work, __file__, __doc__))
