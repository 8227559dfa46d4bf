"""Results beyond JSON: arrays bit by bit, and any object of a job that you trust.

    python arrays.py

By default a result is JSON, and an array becomes a list. `result="arrays"` brings arrays as arrays,
safely. `trust_result=True` unpickles what the job returned, which can run code here: for your own
code only. Both are for up to 47 MiB; what is larger, write to storage of yours.
"""

import os
from dataclasses import dataclass
from typing import Any

from cumulus.sdk import CumulusClient, Options

SERVER = os.environ.get("CUMULUS_SERVER", "127.0.0.1:50051")


@dataclass
class Fit:
    slope: float
    kinds: set[str]


def grid(side: int) -> dict[str, Any]:
    import numpy as np

    return {"grid": np.arange(side * side, dtype=np.float32).reshape(side, side), "side": side}


def fit() -> Fit:
    return Fit(slope=0.5, kinds={"linear"})


def main() -> None:
    with CumulusClient(SERVER) as client:
        plain = client.call(grid, [2], options=Options(gpu_memory=None))
        print("as JSON:", plain)
        exact = client.call(grid, [2], options=Options(gpu_memory=None, result="arrays"))
        print("as arrays:", exact["grid"].dtype, exact["grid"].shape)
        trusted = Options(gpu_memory=None, trust_result=True)
        print("as it was:", client.call(fit, options=trusted))


if __name__ == "__main__":
    main()
