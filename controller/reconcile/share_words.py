"""What an attempt that ran into the limit of its share is told. Pure; called by `rules_run`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ...crd_like_specs.identity import ENV_RLIMIT_DATA
from ...crd_like_specs.lease import Lease
from ...crd_like_specs.worker import Device
from .observed import ResultSeen

EXCEEDED: Final = "ShareExceeded"

_CRASHES: Final = {128 + 6: "SIGABRT", 128 + 11: "SIGSEGV"}
_REFUSALS: Final = ("MEM_OBJECT_ALLOCATION_FAILURE", "OUT_OF_HOST_MEMORY", "out of memory")


def refused(lease: Lease | None, devices: Sequence[Device], result: ResultSeen) -> str:
    """What to say where the job was refused memory and said so itself, "" where it failed of
    something else, or has no share.
    """
    of_memory = result.error_type.endswith(("MemoryError", "OutOfMemoryError")) or any(
        word in result.error for word in _REFUSALS
    )
    said = share(lease, devices) if of_memory else ""
    return f"{result.error or result.error_type}; {said}" if said else ""


def crashed(lease: Lease | None, devices: Sequence[Device], code: int | None) -> str:
    """What to say where it may have died for want of memory, "" where that can't be: OpenCL's
    driver for CPUs asserts that it gets what it asks for, and nothing tells that from a fault.
    """
    name = _CRASHES.get(code or 0)
    if name is None or lease is None or ENV_RLIMIT_DATA not in lease.status.env:
        return ""
    said = share(lease, devices)
    return f"killed by {name}, as by a driver that gets no more memory; {said}"


def share(lease: Lease | None, devices: Sequence[Device]) -> str:
    """`its share of device 0 is 5118 MiB (RLIMIT_DATA: each process may have 5268 MiB of data)`;
    "" where it has none.
    """
    if lease is None or not lease.spec.devices:
        return ""
    own = [device for device in devices if device.index in lease.spec.devices]
    size = sum(device.memory * lease.spec.memory_milli // 1000 for device in own) >> 20
    which = f"device{'s' if len(lease.spec.devices) > 1 else ''} "
    which += ", ".join(str(index) for index in lease.spec.devices)
    text = f"its share of {which} is "
    text += f"{size} MiB" if size else f"{lease.spec.memory_milli / 1000:g} of the memory"
    limit = lease.status.env.get(ENV_RLIMIT_DATA, "")
    if limit.isdecimal():
        text += f" (RLIMIT_DATA: each process may have {int(limit) >> 20} MiB of data)"
    return text
