"""AMD's devices out of the kernel's files, in trees like the kernel's."""

from __future__ import annotations

from pathlib import Path

from cumulus.chronos_bindings.rocm import AmdGpu, gpus, processes, use

GPU = """cpu_cores_count 0
simd_count 480
gfx_target_version 90008
vendor_id 4098
device_id 29580
location_id {location}
domain {domain}
drm_render_minor {minor}
unique_id {unique}
"""
CPU = "cpu_cores_count 192\nsimd_count 0\nvendor_id 0\nlocation_id 0\n"


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_nodes_of_cpus_are_left_out_and_the_rest_is_told(tmp_path: Path) -> None:
    nodes, drm = tmp_path / "nodes", tmp_path / "drm"
    write(nodes / "0" / "properties", CPU)
    write(nodes / "0" / "mem_banks" / "0" / "properties", "heap_type 0\nsize_in_bytes 99\n")
    told = GPU.format(location=8960, domain=0, minor=128, unique=5752170827923136638)
    write(nodes / "1" / "properties", told)
    write(nodes / "1" / "gpu_id", "42700\n")
    write(nodes / "1" / "name", "arcturus\n")
    write(
        nodes / "1" / "mem_banks" / "0" / "properties", "heap_type 1\nsize_in_bytes 34342961152\n"
    )
    write(nodes / "1" / "mem_banks" / "1" / "properties", "heap_type 5\nsize_in_bytes 65536\n")
    write(nodes / "10" / "properties", GPU.format(location=49408, domain=1, minor=129, unique=0))
    write(drm / "renderD129" / "device" / "product_name", "Instinct MI300X\n")
    write(drm / "renderD129" / "device" / "mem_info_vram_total", "206158430208\n")
    assert gpus(nodes, drm) == [
        AmdGpu("GPU-4fd3d0e445b9207e", "arcturus", "0000:23:00.0", 34342961152, 128, 42700),
        AmdGpu("", "Instinct MI300X", "0001:c1:00.0", 206158430208, 129, 0),
    ]


def test_no_kfd_no_devices(tmp_path: Path) -> None:
    assert gpus(tmp_path / "nodes", tmp_path) == []


def test_use_is_read_beside_and_may_be_unknown(tmp_path: Path) -> None:
    assert use(128, tmp_path) == (None, -1)
    write(tmp_path / "renderD128" / "device" / "mem_info_vram_used", "1024\n")
    write(tmp_path / "renderD128" / "device" / "gpu_busy_percent", "7\n")
    assert use(128, tmp_path) == (1024, 70)


def test_processes_that_hold_memory(tmp_path: Path) -> None:
    assert processes(5, tmp_path / "none") == {}
    write(tmp_path / "100" / "vram_5", "4096\n")
    write(tmp_path / "100" / "vram_6", "1\n")
    write(tmp_path / "101" / "vram_5", "0\n")
    assert processes(5, tmp_path) == {100: 4096}
