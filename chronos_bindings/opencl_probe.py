"""Prints every OpenCL device as JSON; run as a file by `opencl.py`, in a process of its own.

Does I/O. A driver may crash or abort while it is asked, and must take nobody with it. Output: one
line, `{"platforms": [{"name": "…", "devices": [{"name", "vendor", "kind", "memory", "uuid", "pci",
"platform"}]}]}` or `{"error": "…"}`; memory in bytes, kind is cpu, gpu or other, pci such as
`0000:65:00.0`; uuid and pci are "" where the driver does not tell.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
from typing import Any

UUID_KHR = 0x106A  # cl_khr_device_uuid: 16 bytes
PCI_BUS_INFO_KHR = 0x410F  # cl_khr_pci_bus_info: domain, bus, device, function


def uuid_text(raw: bytes) -> str:
    """The 16 bytes of cl_khr_device_uuid in the vendors' notation, without a prefix."""
    text = raw.hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:32]))


def pci_text(domain: int, bus: int, device: int, function: int) -> str:
    """As the kernel writes it."""
    return f"{domain:04x}:{bus:02x}:{device:02x}.{function:x}"


def pci_of(cl: Any, device: Any, extensions: list[str]) -> str:
    """Where the device is plugged in, by whichever extension tells; "" where none does."""
    if "cl_khr_pci_bus_info" in extensions:
        raw = _raw(device, PCI_BUS_INFO_KHR, 16)
        if raw is not None:
            words = memoryview(raw).cast("I")
            return pci_text(words[0], words[1], words[2], words[3])
    if "cl_nv_device_attribute_query" in extensions:
        slot = device.pci_slot_id_nv  # five bits of device, three of function
        try:
            domain = device.pci_domain_id_nv
        except cl.LogicError:
            domain = 0  # drivers before 4xx do not tell it
        return pci_text(domain, device.pci_bus_id_nv & 0xFF, slot >> 3 & 0x1F, slot & 7)
    if "cl_amd_device_attribute_query" in extensions:
        place = device.topology_amd  # of domain 0: the extension knows no other
        return pci_text(0, place.bus & 0xFF, place.device & 0x1F, place.function & 7)
    return ""


def _raw(device: Any, what: int, size: int) -> bytes | None:
    """What clGetDeviceInfo answers; None where it refuses. pyopencl knows fewer questions than
    drivers do, so that its own loader is asked directly.
    """
    with open("/proc/self/maps", encoding="utf-8") as maps:  # noqa: PTH123 (one line of it)
        loaded = [line.split()[-1] for line in maps if "libOpenCL" in line]
    if not loaded:
        return None
    function = ctypes.CDLL(loaded[0]).clGetDeviceInfo
    function.argtypes = (
        ctypes.c_void_p,
        ctypes.c_uint32,
        ctypes.c_size_t,
        ctypes.c_void_p,
        ctypes.c_void_p,
    )
    function.restype = ctypes.c_int32
    answer = ctypes.create_string_buffer(size)
    failed = function(device.int_ptr, what, size, answer, None)
    return None if failed else answer.raw


def _device(cl: Any, device: Any, platform: str) -> dict[str, object]:
    kinds = cl.device_type
    kind = "gpu" if device.type & kinds.GPU else "cpu" if device.type & kinds.CPU else "other"
    extensions = device.extensions.split()
    uuid = _raw(device, UUID_KHR, 16) if "cl_khr_device_uuid" in extensions else None
    return {
        "name": device.name.strip(),
        "vendor": device.vendor.strip(),
        "kind": kind,
        "memory": device.global_mem_size,
        "uuid": uuid_text(uuid) if uuid else "",
        "pci": pci_of(cl, device, extensions),
        "platform": platform,
    }


def survey() -> dict[str, object]:
    """See the module docstring."""
    try:
        import pyopencl as cl  # noqa: PLC0415 (only this process may load drivers)

        return {
            "platforms": [
                {
                    "name": platform.name.strip(),
                    "devices": [
                        _device(cl, device, platform.name) for device in _devices(platform)
                    ],
                }
                for platform in cl.get_platforms()
            ]
        }
    except Exception as e:  # noqa: BLE001 (missing library, no driver, broken driver: all are news)
        return {"error": f"{type(e).__name__}: {e}"}


def _devices(platform: Any) -> list[Any]:
    try:
        return list(platform.get_devices())
    except Exception:  # noqa: BLE001 (a platform without devices raises in some loaders)
        return []


def main() -> int:
    """Print the survey on the stdout we were given; drivers get /dev/null to print on."""
    with os.fdopen(os.dup(1), "w") as out:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        del sys.path[0]  # the script's own folder: its modules must not shadow anyone's
        out.write(json.dumps(survey()) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
