"""Answers each line on stdin with what NVML tells, as a line of JSON; run as a file by `nvml.py`.

A process of its own, kept: a driver that hangs or crashes takes nobody with it, and asking again
costs a millisecond or two. Answer: `{"driver": "570.86.10", "gpus": [{"uuid", "name", "memory",
"pci", "used", "busy_milli", "capability", "mig", "processes": {pid: bytes or null}}]}` or
`{"error": "…"}`, after which it ends. Bytes and thousandths; null where NVML does not tell.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import Any


def snapshot(nvml: Any) -> dict[str, object]:
    """nvml: the module `pynvml`, initialised. Raises its NVMLError where not even devices can be
    listed; what single devices do not tell is null.
    """
    count = nvml.nvmlDeviceGetCount()
    return {
        "driver": _text(_told(nvml, nvml.nvmlSystemGetDriverVersion) or ""),
        "gpus": [_gpu(nvml, nvml.nvmlDeviceGetHandleByIndex(index)) for index in range(count)],
    }


def _gpu(nvml: Any, handle: Any) -> dict[str, object]:
    memory = _told(nvml, nvml.nvmlDeviceGetMemoryInfo, handle)
    busy = _told(nvml, nvml.nvmlDeviceGetUtilizationRates, handle)
    capability = _told(nvml, nvml.nvmlDeviceGetCudaComputeCapability, handle)
    mig = _told(nvml, nvml.nvmlDeviceGetMigMode, handle)  # (now, after the next reset)
    return {
        "uuid": _text(nvml.nvmlDeviceGetUUID(handle)),
        "name": _text(nvml.nvmlDeviceGetName(handle)),
        "memory": None if memory is None else int(memory.total),
        "pci": _text(nvml.nvmlDeviceGetPciInfo(handle).busId),
        "used": None if memory is None else int(memory.used),
        "busy_milli": None if busy is None else int(busy.gpu) * 10,
        "capability": None if capability is None else list(capability),
        "mig": mig is not None and mig[0] == nvml.NVML_DEVICE_MIG_ENABLE,
        "processes": _processes(nvml, handle),
    }


def _processes(nvml: Any, handle: Any) -> dict[str, int | None] | None:
    """Bytes by pid, null where NVML knows the process but not its memory; null where no list can
    be had. MPS clients are in a list of their own.
    """
    found: dict[str, int | None] = {}
    told = False
    for ask in (
        nvml.nvmlDeviceGetComputeRunningProcesses,
        nvml.nvmlDeviceGetGraphicsRunningProcesses,
        nvml.nvmlDeviceGetMPSComputeRunningProcesses,
    ):
        listed = _told(nvml, ask, handle)
        told = told or listed is not None
        for process in listed or ():
            before, now = found.get(str(process.pid)), process.usedGpuMemory
            found[str(process.pid)] = before if now is None else max(before or 0, int(now))
    return found if told else None


def _told(nvml: Any, ask: Callable[..., Any], *arguments: Any) -> Any:
    """The answer; None where this device or driver has none."""
    try:
        return ask(*arguments)
    except nvml.NVMLError:
        return None


def _text(given: str | bytes) -> str:
    return given.decode(errors="replace") if isinstance(given, bytes) else given


def answers(write: Callable[[str], object], lines: Any) -> int:
    """One answer per line. 1 where NVML cannot be asked at all."""
    try:
        import pynvml  # noqa: PLC0415 (only this process may load the driver)
    except ImportError as e:
        write(json.dumps({"error": f"nvidia-ml-py is not installed: {e}"}))
        return 1
    try:
        pynvml.nvmlInit()
        for _ in lines:
            write(json.dumps(snapshot(pynvml)))
    except pynvml.NVMLError as e:
        write(json.dumps({"error": f"NVML: {e}"}))
        return 1
    return 0


def main() -> int:
    """Answer on the stdout we were given; the driver gets /dev/null to print on."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    del sys.path[0]  # the script's own folder: its modules must not shadow anyone's

    def write(text: str) -> None:
        out.write(text + "\n")
        out.flush()

    return answers(write, sys.stdin)


if __name__ == "__main__":
    sys.exit(main())
