"""What NVML's child answers, with functions that give pynvml's own structures, and a parent whose
child answers late, wrongly or not at all.
"""

from __future__ import annotations

import json
import sys
import time
from ctypes import c_ulonglong
from types import SimpleNamespace
from typing import Any

import pynvml
import pytest
from cumulus.chronos_bindings.nvml import AGAIN, Gpu, Nvml, has_driver, pci_of
from cumulus.chronos_bindings.nvml_child import answers, snapshot

GIB = 1 << 30


def process(pid: int, memory: int | None) -> Any:
    """As pynvml makes it of its structure: the "not available" value becomes None."""
    raw = pynvml.c_nvmlProcessInfo_v3_t(pid=pid, usedGpuMemory=memory or 0)
    friendly = pynvml.nvmlStructToFriendlyObject(raw)
    friendly.usedGpuMemory = memory
    return friendly


class Card:
    """One device as a test wants it; an attribute that is an NVMLError code is raised."""

    uuid = "GPU-00010203-0405-0607-0809-0a0b0c0d0e0f"
    name = "NVIDIA H200"
    bus = b"00000000:65:00.0"
    memory: Any = pynvml.c_nvmlMemory_t(total=141 * GIB, free=131 * GIB, used=10 * GIB)
    busy: Any = pynvml.c_nvmlUtilization_t(gpu=37, memory=5)
    capability: Any = (9, 0)
    mig: Any = (pynvml.NVML_DEVICE_MIG_DISABLE, pynvml.NVML_DEVICE_MIG_DISABLE)
    compute: Any = ()
    graphics: Any = ()
    mps: Any = ()


class Driver:
    """The functions of pynvml that the child calls, over cards; error class and codes are its own."""

    NVMLError = pynvml.NVMLError
    NVML_DEVICE_MIG_ENABLE = pynvml.NVML_DEVICE_MIG_ENABLE

    def __init__(self, *cards: Card) -> None:
        self.cards = cards
        table = {
            "UUID": "uuid",
            "Name": "name",
            "MemoryInfo": "memory",
            "UtilizationRates": "busy",
            "CudaComputeCapability": "capability",
            "MigMode": "mig",
            "ComputeRunningProcesses": "compute",
            "GraphicsRunningProcesses": "graphics",
            "MPSComputeRunningProcesses": "mps",
        }
        for function, attribute in table.items():
            setattr(self, f"nvmlDeviceGet{function}", self._getter(attribute))

    @staticmethod
    def _getter(attribute: str) -> Any:
        def get(card: Card) -> Any:
            found = getattr(card, attribute)
            if isinstance(found, int):
                raise pynvml.NVMLError(found)
            return found

        return get

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        return len(self.cards)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> Card:  # noqa: N802
        return self.cards[index]

    def nvmlSystemGetDriverVersion(self) -> bytes:  # noqa: N802
        return b"570.86.10"  # older releases of the library give bytes, newer ones text

    def nvmlDeviceGetPciInfo(self, card: Card) -> Any:  # noqa: N802
        return pynvml.nvmlPciInfo_t(domain=0, bus=0x65, device=0, busId=card.bus)


def test_every_function_and_constant_of_the_fake_is_the_librarys_own() -> None:
    assert not [
        name for name in vars(Driver(Card())) if name != "cards" and not hasattr(pynvml, name)
    ]
    named = [name for name in dir(Driver) if name.lower().startswith("nvml")]
    assert len(named) > 5
    assert all(hasattr(pynvml, name) for name in named)


def test_a_device_is_told_whole() -> None:
    card = Card()
    card.compute = [process(100, GIB), process(101, None)]
    card.graphics = [process(100, 2 * GIB)]
    card.mps = [process(102, 3 * GIB)]
    told = json.loads(json.dumps(snapshot(Driver(card))))
    assert told["driver"] == "570.86.10"
    assert told["gpus"] == [
        {
            "uuid": card.uuid,
            "name": "NVIDIA H200",
            "memory": 141 * GIB,
            "pci": "00000000:65:00.0",
            "used": 10 * GIB,
            "busy_milli": 370,
            "capability": [9, 0],
            "mig": False,
            "processes": {"100": 2 * GIB, "101": None, "102": 3 * GIB},
        }
    ]


def test_what_a_device_does_not_support_is_null_and_no_error() -> None:
    card = Card()
    unsupported = pynvml.NVML_ERROR_NOT_SUPPORTED
    card.memory = card.busy = card.capability = card.mig = unsupported
    card.compute = card.graphics = card.mps = pynvml.NVML_ERROR_NO_PERMISSION
    (told,) = snapshot(Driver(card))["gpus"]  # type: ignore[misc]
    assert (told["memory"], told["busy_milli"], told["mig"]) == (None, None, False)  # type: ignore[index]
    assert told["processes"] is None  # type: ignore[index]


def test_one_list_of_processes_that_is_refused_does_not_hide_the_others() -> None:
    card = Card()
    card.graphics, card.compute = pynvml.NVML_ERROR_NOT_SUPPORTED, [process(7, 1)]
    (told,) = snapshot(Driver(card))["gpus"]  # type: ignore[misc]
    assert told["processes"] == {"7": 1}  # type: ignore[index]


def test_the_childs_words_where_there_is_no_driver() -> None:
    said: list[str] = []
    assert answers(said.append, ["\n"]) == 1  # this is the real library, without a driver
    assert "NVML" in json.loads(said[0])["error"]


def child(program: str) -> tuple[str, ...]:
    return (sys.executable, "-c", program)


ANSWER = {
    "driver": "570.1",
    "gpus": [
        {
            "uuid": "GPU-aa",
            "name": "H200",
            "memory": GIB,
            "pci": "00000001:0A:00.0",
            "used": 5,
            "busy_milli": None,
            "capability": [9, 0],
            "mig": False,
            "processes": {"12": None},
        }
    ],
}


def test_one_child_answers_again_and_again() -> None:
    count = f"import sys\nfor _ in sys.stdin:\n    print({json.dumps(ANSWER)!r}, flush=True)\n"
    reader = Nvml(child(count), timeout=10)
    try:
        first = reader.read()
        assert first.gpus == (
            Gpu(
                "GPU-aa",
                "H200",
                "0001:0a:00.0",
                GIB,
                5,
                -1,
                (9, 0),
                mig=False,
                processes={12: None},
            ),
        )
        assert (first.driver, first.error) == ("570.1", "")
        pid = reader._child.pid  # type: ignore[union-attr]
        assert reader.read() == first
        assert reader._child.pid == pid  # type: ignore[union-attr]
    finally:
        reader.close()


def test_a_driver_that_hangs_is_left_after_a_while_and_not_tried_again_at_once() -> None:
    clock = SimpleNamespace(now=0.0)
    reader = Nvml(child("import time; time.sleep(100)"), timeout=0.2, now=lambda: clock.now)
    begun = time.monotonic()
    assert "did not answer within 0.2 s" in reader.read().error
    assert time.monotonic() - begun < 50, "the child sleeps longer"
    assert reader._child is None
    reader.command = child(f"input(); print({json.dumps(ANSWER)!r}, flush=True); input()")
    assert "did not answer" in reader.read().error, "nothing is asked again yet"
    clock.now = AGAIN
    reader.timeout = 10
    assert reader.read().error == ""
    reader.close()


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (child("import os; os.abort()"), "ended the process"),
        (child("print('no json', flush=True); input()"), "ended the process"),
        (child('input(); print(\'{"error": "NVML: Driver Not Loaded"}\')'), "Driver Not Loaded"),
        (("/nowhere/python",), "cannot start"),
    ],
)
def test_a_child_that_fails_is_a_reason_and_no_exception(command: Any, words: str) -> None:
    reader = Nvml(command, timeout=10)
    found = reader.read()
    assert words in found.error
    assert found.gpus == ()
    assert reader._child is None


def test_the_real_child_says_why_it_can_tell_nothing_here() -> None:
    reader = Nvml()
    assert reader.read().error.startswith("NVML")


def test_no_process_is_started_where_no_driver_shows(tmp_path: Any) -> None:
    assert not has_driver([tmp_path / "version"])
    (tmp_path / "version").touch()
    assert has_driver([tmp_path / "version"])


def test_places_read_as_the_kernels() -> None:
    assert pci_of("00000000:65:00.0") == "0000:65:00.0"
    assert pci_of("0001:0A:1F.7") == "0001:0a:1f.7"
    assert pci_of("N/A") == ""


def test_the_value_for_not_available_is_the_one_the_library_turns_into_none() -> None:
    assert pynvml.NVML_VALUE_NOT_AVAILABLE_ulonglong.value == c_ulonglong(-1).value
