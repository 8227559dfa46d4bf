"""Training that is paused, goes on where it was, and would so after its worker died as well.

    python training.py

The function saves its state now and then, and looks whether it is to pause: that is all it takes.
"""

import os
import time
from typing import Any

from cumulus.sdk import CumulusClient, Options
from cumulus.sdk.runtime import load_checkpoint, save_checkpoint, should_pause

client = CumulusClient(os.environ.get("CUMULUS_SERVER", "127.0.0.1:50051"))


def train(steps: int, pause: float) -> dict[str, Any]:
    """Logistic regression by gradient descent; pause: seconds after each step, as if it were hard."""
    import numpy as np

    x = np.random.default_rng(0).normal(size=(500, 20))
    y = (x @ np.linspace(-1, 1, 20) > 0).astype(float)
    state = load_checkpoint(default={"step": 0, "weights": np.zeros(20), "began_at": []})
    state["began_at"].append(state["step"])
    while state["step"] < steps:
        error = 1 / (1 + np.exp(-(x @ state["weights"]))) - y
        state["weights"] -= 0.5 * x.T @ error / len(y)
        state["step"] += 1
        if state["step"] % 10 == 0 or should_pause():
            save_checkpoint(state)
        if should_pause():
            return {}  # not a result: it goes on from here
        time.sleep(pause)
    right = ((x @ state["weights"] > 0) == y).mean()
    return {"began_at": state["began_at"], "right": float(right)}


def main() -> None:
    small = Options(gpu_memory=None, duration="5m", cpus="100m", ram="256Mi", retries=3)
    with client:
        job = client.spawn(train, [150, 0.05], options=small)
        while job.status() != "running":
            time.sleep(0.1)
        time.sleep(2)  # it learns for a while
        job.pause()
        while job.status() != "paused":
            time.sleep(0.1)
        print("paused, and kept:", len(job.get_checkpoints()) > 0)
        job.resume()
        found = job.result(timeout=120)
        print("went on where it was:", 0 < found["began_at"][1] < 150)
        print("learned:", found["right"] > 0.9)


if __name__ == "__main__":
    main()
