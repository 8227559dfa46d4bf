"""Trains a tiny network on made-up data: what a first run of PyTorch on this fleet looks like."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import torch
from torch import nn

POINTS = 512


def main(dataset: str, epochs: int, learning_rate: float, hidden: int, seed: int) -> dict[str, Any]:
    """The metrics, which are in /results/metrics.json too."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    name = torch.cuda.get_device_name() if device == "cuda" else "no GPU is here: on the CPU"
    print(f"PyTorch {torch.__version__}, {name}")
    files = sum(path.is_file() for path in Path(dataset).rglob("*")) if dataset else 0
    print(f"dataset {dataset or '(none)'}: {files} files")

    torch.manual_seed(seed)
    points = torch.rand(POINTS, 2) * 2 - 1
    inside = (points.pow(2).sum(dim=1) < 0.5).float().unsqueeze(1)
    points, inside = points.to(device), inside.to(device)
    network = nn.Sequential(nn.Linear(2, hidden), nn.Tanh(), nn.Linear(hidden, 1)).to(device)
    optimizer = torch.optim.Adam(network.parameters(), lr=learning_rate)
    loss_of = nn.BCEWithLogitsLoss()
    losses = []
    started = time.monotonic()
    for epoch in range(1, epochs + 1):
        optimizer.zero_grad()
        loss = loss_of(network(points), inside)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        if epoch == epochs or epoch % max(1, epochs // 10) == 0:
            print(f"epoch {epoch}/{epochs}: loss {losses[-1]:.4f}")
    right = ((network(points) > 0).float() == inside).float().mean().item()

    metrics = {
        "device": device,
        "epochs": epochs,
        "loss": losses[-1],
        "losses": losses,
        "accuracy": right,
        "seconds": round(time.monotonic() - started, 3),
        "dataset_files": files,
    }
    _keep(network, metrics)
    return metrics


def _keep(network: nn.Module, metrics: dict[str, Any]) -> None:
    results = Path(os.environ.get("CUMULUS_OUTPUTS", "/results"))
    (results / "weights").mkdir(exist_ok=True)
    torch.save(network.to("cpu").state_dict(), results / "weights" / "model.pth")
    (results / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
    print("saved weights/model.pth and metrics.json")
