"""What the agent says of its worker as a whole because of the units there. Pure but for `since`."""

from __future__ import annotations

from collections.abc import Mapping

from ...crd_like_specs.meta import Condition
from ...crd_like_specs.worker import DEVICE_MEMORY_HELD, UNITS_KNOWN
from .node_facts import Conditions


def unit_conditions(
    known: Conditions, *, looked: bool, stuck: Mapping[str, int]
) -> tuple[Condition, ...]:
    """looked: the units here have been listed; stuck: unit → bytes that devices hold of it
    although it is gone.
    """
    listed = (
        known.of(UNITS_KNOWN, True, "Listed", "")
        if looked
        else known.of(UNITS_KNOWN, False, "NotListed", "the engine has not answered yet")
    )
    if not stuck:
        return (listed,)
    units = ", ".join(f"{unit} ({size >> 20} MiB)" for unit, size in sorted(stuck.items()))
    return (
        listed,
        known.of(DEVICE_MEMORY_HELD, True, "NotFreed", f"devices hold memory of ended {units}"),
    )
