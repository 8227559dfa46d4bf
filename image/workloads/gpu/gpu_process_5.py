"""Trains a transformer to read sequences backwards.

Its attention is compared with the formula, written out in double precision; what it loses has to
fall.
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

LETTERS = 16
WIDTH = 64
HEADS = 4
LONGEST = 64
STEPS = 4
"""Training steps of a round."""


def work(run: Run) -> None:
    """A round: some steps with sequences of one random length, and one comparison."""
    import torch

    device = device_for(run)
    letters = torch.nn.Embedding(LETTERS, WIDTH)
    places = torch.nn.Embedding(LONGEST, WIDTH)
    layer = torch.nn.TransformerEncoderLayer(
        WIDTH, HEADS, dim_feedforward=2 * WIDTH, dropout=0.0, batch_first=True, norm_first=True
    )
    encoder = torch.nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
    head = torch.nn.Linear(WIDTH, LETTERS)
    network = torch.nn.ModuleList([letters, places, encoder, head]).to(device)
    optimiser = torch.optim.Adam(network.parameters(), lr=3e-3)
    lost = Losses(run, math.log(LETTERS))
    for _ in run.rounds():
        length = run.size("sequence_length", 6, 16, power=0.25, least=3)
        batch = run.size("batch_sequences", 32, 128, least=16)
        for _ in range(STEPS):
            generator = torch.Generator().manual_seed(run.rng.getrandbits(32))
            given = torch.randint(LETTERS, (batch, length), generator=generator).to(device)
            seen = letters(given) + places(torch.arange(length, device=device))
            output = head(encoder(seen))
            loss = torch.nn.functional.cross_entropy(output.transpose(1, 2), given.flip(1))
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            lost.add(loss.item())
            run.count("letters", batch * length)
        run.value("accuracy", (output.argmax(2) == given.flip(1)).float().mean().item())
        _compare(run, device)
        run.result(length, batch, int(given.sum()))
    lost.check()
    note_memory(run)


def _compare(run: Run, device: torch.device) -> None:
    """softmax(Q K' / sqrt(d)) V beside the library's, with a mask over what is to come."""
    import torch

    generator = torch.Generator().manual_seed(run.rng.getrandbits(32))
    length = run.size("attention_length", 64, 256, power=0.5, least=4)
    q, k, v = (torch.randn(2, HEADS, length, 16, generator=generator) for _ in range(3))
    attend = torch.nn.functional.scaled_dot_product_attention
    found = attend(q.to(device), k.to(device), v.to(device), is_causal=True).cpu()
    scores = q.double() @ k.double().transpose(2, 3) / math.sqrt(16)
    later = torch.ones(length, length, dtype=torch.bool).triu(1)
    expected = scores.masked_fill(later, -math.inf).softmax(dim=3) @ v.double()
    error = (found - expected).abs().max().item()
    run.check(error < 0.02, f"attention is {error:.1e} off its formula")
    run.value("attention_error", error)


if __name__ == "__main__":
    sys.exit(main(work, __file__, __doc__))
