"""The end of a worker's rental as its own set-up was told it (`worker.sh --available-until`). Pure.

It comes as a label of the agent's. Used by `agents`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ...crd_like_specs.instants import parse_instant
from ...crd_like_specs.worker import WorkerSpec

LABEL: Final = "available-until"


def with_rental(spec: WorkerSpec, before: Mapping[str, str], now: Mapping[str, str]) -> WorkerSpec:
    """With the end that the label tells anew. What an operator sets afterwards holds until the
    label changes; one that is no time is a label like any other.
    """
    told = now.get(LABEL)
    if told is None or told == before.get(LABEL):
        return spec
    try:
        return spec.model_copy(update={"available_until": parse_instant(told)})
    except ValueError:
        return spec
