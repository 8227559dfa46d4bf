"""What the GPU workloads share: where PyTorch computes, what it takes, and that training trains.

Functions import torch, which takes seconds: they are called from `work()`, when signals are heard.
"""

from __future__ import annotations

import math
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    import torch

    from .run import Run


def device_for(run: Run) -> torch.device:
    """The first CUDA or ROCm device, within the lease's share of its memory; without one the CPU.
    Seeds torch, and notes the device in the statistics.
    """
    # Optimisers make torch's compiler ready, which makes its folder wherever temporary files go.
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(run.scratch / "torch"))
    import torch

    torch.manual_seed(run.seed)
    run.value("torch_threads", torch.get_num_threads())
    if not torch.cuda.is_available():
        run.note = f"torch {torch.__version__} finds no GPU: computed on the CPU"
        return torch.device("cpu")
    share = float(os.environ.get("CUMULUS_GPU_MEMORY_FRACTION") or 1)
    if 0 < share < 1:
        torch.cuda.set_per_process_memory_fraction(share, 0)
    run.device = f"cuda: {torch.cuda.get_device_name(0)}"
    return torch.device("cuda", 0)


def note_memory(run: Run) -> None:
    """The most that tensors took of the device's memory, in bytes."""
    import torch

    if torch.cuda.is_initialized():
        run.value("peak_device_bytes", torch.cuda.max_memory_allocated(0))


class Losses:
    """What a network lost at each training step. guessing: what one loses that only guesses."""

    ENOUGH = 120
    """Steps after which it has to have learnt something."""

    def __init__(self, run: Run, guessing: float) -> None:
        self._run = run
        self._guessing = guessing
        self._seen: list[float] = []

    def add(self, loss: float) -> None:
        """One step more. The run fails where it is no number."""
        self._run.check(math.isfinite(loss), f"the loss is {loss}")
        self._seen.append(loss)
        self._run.count("training_steps")
        self._run.value("first_loss", self._seen[0])
        self._run.value("last_loss", loss)

    def check(self) -> None:
        """After the last step: the last quarter lost less than the first, and less than guessing."""
        if len(self._seen) < self.ENOUGH:
            return
        quarter = len(self._seen) // 4
        first = sum(self._seen[:quarter]) / quarter
        last = sum(self._seen[-quarter:]) / quarter
        self._run.check(last < first, f"the loss rose from {first:.3f} to {last:.3f}")
        self._run.check(last < self._guessing, f"a loss of {last:.3f} is no better than guessing")
