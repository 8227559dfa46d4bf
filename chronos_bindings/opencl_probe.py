"""Prints every OpenCL device as JSON; run as a file by `opencl.py`, in a process of its own.

Does I/O. A driver may crash or abort while it is asked, and must take nobody with it. Output: one
line, `{"platforms": [{"name": "…", "devices": [{"name", "vendor", "kind", "memory", "uuid",
"platform"}]}]}` or `{"error": "…"}`; memory in bytes, kind is cpu, gpu or other.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any


def uuid_text(raw: bytes) -> str:
    """The 16 bytes of cl_khr_device_uuid in the vendors' notation, without a prefix."""
    text = raw.hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:32]))


def _device(cl: Any, device: Any, platform: str) -> dict[str, object]:
    kinds = cl.device_type
    kind = "gpu" if device.type & kinds.GPU else "cpu" if device.type & kinds.CPU else "other"
    uuid = ""
    if "cl_khr_device_uuid" in device.extensions.split():
        uuid = uuid_text(bytes(device.uuid_khr))
    return {
        "name": device.name.strip(),
        "vendor": device.vendor.strip(),
        "kind": kind,
        "memory": device.global_mem_size,
        "uuid": uuid,
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
