"""Where PyTorch computes, and how its statistics say it. Imports torch, which takes seconds: call
it from `work()`, when signals are heard already.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    import torch

    from .run import Run


def device_for(run: Run) -> torch.device:
    """The first CUDA or ROCm device, within the lease's share of its memory; without one the CPU.
    Seeds torch, and notes the device in the statistics.
    """
    import torch  # noqa: PLC0415 (see above)

    torch.manual_seed(run.seed)
    run.values["torch_threads"] = float(torch.get_num_threads())
    if not torch.cuda.is_available():
        run.note = f"no GPU that torch {torch.__version__} can use: computed on the CPU"
        return torch.device("cpu")
    share = float(os.environ.get("CUMULUS_GPU_MEMORY_FRACTION") or 1)
    if 0 < share < 1:
        torch.cuda.set_per_process_memory_fraction(share, 0)
    run.device = f"cuda: {torch.cuda.get_device_name(0)}"
    return torch.device("cuda", 0)


def note_memory(run: Run) -> None:
    """The most that tensors took of the device's memory, in bytes."""
    import torch  # noqa: PLC0415 (see above)

    if torch.cuda.is_initialized():
        run.value("peak_device_bytes", torch.cuda.max_memory_allocated(0))
