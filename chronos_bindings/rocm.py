"""AMD's devices as the kernel shows them: KFD's topology and the DRM files beside it. I/O.

Read by `hardware.find` and, for use, by `agent/usage.py`. Only files are read, so that nothing
of ROCm has to be installed on the host, and no driver can hang the reader.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

NODES: Final = Path("/sys/class/kfd/kfd/topology/nodes")
DRM: Final = Path("/sys/class/drm")
PROCESSES: Final = Path("/sys/class/kfd/kfd/proc")

_AMD: Final = 0x1002  # PCI vendor
_FRAME_BUFFER: Final = frozenset({1, 2})  # heap types: public, private


@dataclass(frozen=True, slots=True)
class AmdGpu:
    """uuid: as ROCR_VISIBLE_DEVICES takes it, "" where the device has none; pci: such as
    `0000:65:00.0`; memory: bytes; render: its render node's number, 0 where unknown; kfd: KFD's
    number of it.
    """

    uuid: str
    name: str
    pci: str
    memory: int
    render: int = 0
    kfd: int = 0


def gpus(nodes: Path = NODES, drm: Path = DRM) -> list[AmdGpu]:
    """Every device in KFD's order, which is ROCm's; empty where there is no KFD."""
    try:
        folders = sorted(nodes.iterdir(), key=lambda folder: int(folder.name))
    except (OSError, ValueError):
        return []
    found = (_gpu(folder, drm) for folder in folders)
    return [gpu for gpu in found if gpu is not None]


def use(render: int, drm: Path = DRM) -> tuple[int | None, int]:
    """(bytes in use, thousandths busy); None and -1 where the driver does not tell."""
    device = drm / f"renderD{render}" / "device"
    used, busy = _number(device / "mem_info_vram_used"), _number(device / "gpu_busy_percent")
    return used, -1 if busy is None else busy * 10


def processes(kfd: int, folder: Path = PROCESSES) -> dict[int, int]:
    """Bytes of this device's memory by pid, of all that have any."""
    try:
        found = [entry for entry in folder.iterdir() if entry.name.isdecimal()]
    except OSError:
        return {}
    held = {int(entry.name): _number(entry / f"vram_{kfd}") or 0 for entry in found}
    return {pid: size for pid, size in held.items() if size}


def _gpu(folder: Path, drm: Path) -> AmdGpu | None:
    told = _properties(folder / "properties")
    if not told.get("simd_count") or told.get("vendor_id") != _AMD:
        return None  # a node of CPUs
    place, unique = told.get("location_id", 0), told.get("unique_id", 0)
    pci = (
        f"{told.get('domain', 0):04x}:{place >> 8 & 0xFF:02x}:{place >> 3 & 0x1F:02x}.{place & 7:x}"
    )
    render = told.get("drm_render_minor", 0)
    device = drm / f"renderD{render}" / "device"
    name = _text(device / "product_name") or _text(folder / "name")
    return AmdGpu(
        uuid=f"GPU-{unique:016x}" if unique else "",
        name=name or "AMD GPU",
        pci=pci,
        memory=_memory(folder / "mem_banks") or _number(device / "mem_info_vram_total") or 0,
        render=render,
        kfd=_number(folder / "gpu_id") or 0,
    )


def _memory(banks: Path) -> int:
    try:
        found = [_properties(bank / "properties") for bank in banks.iterdir()]
    except OSError:
        return 0
    sizes = (b.get("size_in_bytes", 0) for b in found if b.get("heap_type") in _FRAME_BUFFER)
    return sum(sizes)


def _properties(file: Path) -> Mapping[str, int]:
    """Lines of `name number`; empty where it may not be read (devices of another container)."""
    words = (line.split() for line in _text(file).splitlines())
    return {pair[0]: int(pair[1]) for pair in words if len(pair) == 2 and pair[1].isdecimal()}


def _text(file: Path) -> str:
    try:
        return file.read_text(errors="replace").strip()
    except OSError:
        return ""


def _number(file: Path) -> int | None:
    text = _text(file)
    return int(text) if text.isdecimal() else None
