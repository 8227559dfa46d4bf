"""Which devices this machine has, as OpenCL tells. I/O (subprocesses), reading of it pure.

Called by `hardware.find`. The indexes are Chronos's: it always takes the first platform of
the loader, so that a machine with a CPU driver before its GPU driver would lease the wrong
devices. `survey` then finds the loader settings that bring the GPUs first; give `Survey.env` to
`NativePartitioner`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ..crd_like_specs.worker import Device
from .gpu_env import HostGpu, enforcement

_PROBE: Final = Path(__file__).with_name("opencl_probe.py")
_TIMEOUT: Final = 60.0  # seconds; a GPU driver's first start is slow
_VENDORS: Final = Path("/etc/OpenCL/vendors")

Probe = Callable[[Mapping[str, str]], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Survey:
    """What was found. devices: those of the platform in use, in Chronos's order.

    env: what to add to a process's environment so that this platform is its first. notes: what
    an operator should know (a driver that crashed, platforms that are not used). places: where
    each device is plugged in, such as `0000:65:00.0`, "" where the driver does not tell.
    """

    devices: tuple[Device, ...] = ()
    places: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def survey(
    host: HostGpu | None = None,
    *,
    probe: Probe | None = None,
    vendors: Path = _VENDORS,
) -> Survey:
    """Ask the loader, and each driver alone where the first platform is the wrong one.

    host: what is known of GPU sharing here (for `Device.enforcement`). vendors: folder of the
    loader's `*.icd` files. Never raises for what drivers do: it is in `notes`.
    """
    host = host or HostGpu()
    probe = probe or _probe
    seen = probe({})
    if "error" in seen:
        return Survey(notes=(f"OpenCL cannot be asked: {seen['error']}",))
    platforms = [p for p in seen["platforms"] if p["devices"]]
    if not platforms:
        return Survey(notes=("OpenCL has no device: no driver (ICD) is installed",))
    best = max(platforms, key=_worth)  # the first of the best
    env: dict[str, str] = {}
    notes = [f"OpenCL platform {p['name']!r} is not used" for p in platforms if p is not best]
    if seen["platforms"][0] is not best:
        found = _alone(best["name"], probe, vendors)
        if found is None:
            best = seen["platforms"][0]
            notes = ["the loader's first OpenCL platform is used, others cannot be brought first"]
        else:
            env = {"OCL_ICD_VENDORS": str(found)}
    devices = tuple(_read(index, raw, host) for index, raw in enumerate(best["devices"]))
    places = tuple(str(raw["pci"]) for raw in best["devices"])
    return Survey(devices, places, env, tuple(notes))


def _worth(platform: Mapping[str, Any]) -> int:
    return sum(device["kind"] == "gpu" for device in platform["devices"])


def _alone(name: str, probe: Probe, vendors: Path) -> Path | None:
    """The driver file with which the named platform is the loader's first."""
    for icd in sorted(vendors.glob("*.icd")):
        seen = probe({"OCL_ICD_VENDORS": str(icd)})
        if [p["name"] for p in seen.get("platforms", ())][:1] == [name]:
            return icd
    return None


def _read(index: int, raw: Mapping[str, Any], host: HostGpu) -> Device:
    kind = _type(raw)
    prefix = "GPU-" if kind == "nvidia" and raw["uuid"] else ""
    device = Device(
        index=index,
        uuid=prefix + raw["uuid"],
        name=raw["name"],
        type=kind,
        memory=raw["memory"],
    )
    how, reason = enforcement(device, host)
    return device.model_copy(update={"enforcement": how, "reason": reason})


def _type(raw: Mapping[str, Any]) -> str:
    """nvidia, amd, intel, cpu or other; a CPU is a CPU whoever made it."""
    if raw["kind"] == "cpu":
        return "cpu"
    vendor = str(raw["vendor"]).lower()
    for word, kind in (("nvidia", "nvidia"), ("advanced micro", "amd"), ("amd", "amd")):
        if word in vendor:
            return kind
    return "intel" if "intel" in vendor else "other"


def _probe(env: Mapping[str, str]) -> dict[str, Any]:
    """Run `opencl_probe.py`; a crash or a hang of a driver becomes an `error`."""
    try:
        done = subprocess.run(
            [sys.executable, str(_PROBE)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIMEOUT,
            env=os.environ | dict(env),
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {"error": f"a driver did not answer within {_TIMEOUT:g} s"}
    except OSError as e:
        return {"error": f"cannot start {sys.executable}: {e.strerror or e}"}
    if done.returncode or not done.stdout:
        words = done.stderr.decode(errors="replace").strip()[-500:]
        return {"error": f"a driver ended the process with {done.returncode}: {words}"}
    result: dict[str, Any] = json.loads(done.stdout)
    return result
