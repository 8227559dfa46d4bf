"""The job that test-container.sh runs: prints while it works and returns what it found."""

import os
import sys

import numpy as np


def main(size: int = 5) -> dict[str, object]:
    """Sums 1 to `size` with numpy; says where it runs."""
    print(f"summing 1 to {size}")
    print("a line on stderr", file=sys.stderr)
    return {
        "message": "Computation completed",
        "result": np.arange(1, size + 1).sum(),
        "uid": os.getuid(),
    }
