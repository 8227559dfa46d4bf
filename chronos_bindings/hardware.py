"""All that is known of this machine's devices, from every source, put together. I/O but `merge`.

Called by the agent at start-up. OpenCL gives the indexes, since Chronos counts as OpenCL does; what
NVIDIA's and AMD's drivers tell is added to the device that is plugged in at the same place, or
has the same UUID: never by position, which the libraries choose differently.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from ..crd_like_specs.worker import Device
from . import mps, nvml, opencl, rocm
from .gpu_env import HostGpu, enforcement


class Card(Protocol):
    """What NVIDIA's and AMD's devices have in common; "" and 0 where unknown."""

    @property
    def uuid(self) -> str:
        """As the vendor's runtime takes it."""

    @property
    def name(self) -> str:
        """For people."""

    @property
    def pci(self) -> str:
        """Such as `0000:65:00.0`."""

    @property
    def memory(self) -> int:
        """Bytes."""


@dataclass(frozen=True)
class Hardware:
    """devices: those that are leased. env: with which Chronos sees them. host: for `gpu_env`.
    unseen: why Chronos cannot hold them, "" where it can. notes: what an operator should know.
    cards: index → what the vendor's driver calls it. reader: NVML, None without NVIDIA.
    """

    devices: tuple[Device, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    host: HostGpu = field(default_factory=HostGpu)
    unseen: str = ""
    notes: tuple[str, ...] = ()
    cards: Mapping[int, Card] = field(default_factory=dict)
    reader: nvml.Nvml | None = None


def find(uid: int, environment: Mapping[str, str] = os.environ) -> Hardware:
    """Look once; a missing library, a driver that hangs or dies is a note and no error.

    uid: of the user that jobs run as.
    """
    reader = nvml.Nvml() if nvml.has_driver() else None
    told = reader.read() if reader else nvml.Snapshot()
    daemon = mps.detect(uid, environment) if reader else mps.Daemon()
    host = HostGpu(
        mps_pipe_dir=daemon.pipe_dir,
        mps_why=daemon.why,
        unfit={
            gpu.uuid: why
            for gpu in told.gpus
            if (why := mps.unfit(told.driver, gpu.capability, mig=gpu.mig))
        },
    )
    found = merge(opencl.survey(host), told.gpus, rocm.gpus(), host)
    notes = (*found.notes, *([f"no facts of NVIDIA's driver: {told.error}"] if told.error else ()))
    return replace(found, notes=notes, reader=reader)


def merge(
    survey: opencl.Survey, nvidia: Sequence[Card], amd: Sequence[Card], host: HostGpu
) -> Hardware:
    """OpenCL's devices with what the drivers know; the drivers' own where OpenCL has no GPU."""
    cards = [("nvidia", card) for card in nvidia] + [("amd", card) for card in amd]
    if cards and all(device.type == "cpu" for device in survey.devices):
        return _without_opencl(cards, survey, host)
    devices, notes, known = [], list(survey.notes), {}
    for device, place in zip(survey.devices, survey.places, strict=True):
        own = [card for kind, card in cards if kind == device.type]
        card, note = _same(device, place, own)
        if note:
            notes.append(note)
        if card is not None:
            known[device.index] = card
        elif device.type == "nvidia":  # nobody says that MPS caps it
            unfit = {**host.unfit, device.uuid: "its driver tells nothing of it"}
            host = replace(host, unfit=unfit)
        devices.append(_told(device, card, host))
    taken = {id(card) for card in known.values()}
    notes += [
        f"{_called(card)} is not leased: OpenCL does not see it"
        for _, card in cards
        if id(card) not in taken
    ]
    return Hardware(tuple(devices), survey.env, host, notes=tuple(notes), cards=known)


def _same(device: Device, place: str, cards: Sequence[Card]) -> tuple[Card | None, str]:
    """The card that is this device, and what is wrong, if anything is."""
    by_place = next((card for card in cards if place and card.pci == place), None)
    by_uuid = next((card for card in cards if device.uuid and card.uuid == device.uuid), None)
    shown = f"device {device.index} ({device.name})"
    if by_place is not None and by_uuid is not None and by_place is not by_uuid:
        return None, (
            f"{shown} is at {place} for OpenCL, where its driver has {_called(by_place)}: "
            "nothing of the driver is used for it"
        )
    found = by_place or by_uuid
    if found is None and cards:
        where = place or device.uuid or "a place it does not tell"
        return None, f"{shown} of OpenCL, at {where}, is none that its driver knows"
    return found, ""


def _told(device: Device, card: Card | None, host: HostGpu) -> Device:
    if card is not None:
        facts = {
            "uuid": card.uuid or device.uuid,
            "name": card.name or device.name,
            "memory": card.memory or device.memory,
        }
        device = device.model_copy(update=facts)
    how, reason = enforcement(device, host)
    return device.model_copy(update={"enforcement": how, "reason": reason})


def _without_opencl(
    cards: Sequence[tuple[str, Card]], survey: opencl.Survey, host: HostGpu
) -> Hardware:
    devices = [
        _told(Device(index=index, name=card.name, type=kind), card, host)
        for index, (kind, card) in enumerate(cards)
    ]
    return Hardware(
        tuple(devices),
        host=host,
        unseen="OpenCL, by which Chronos counts, has no driver for this machine's GPUs",
        notes=survey.notes,
        cards={index: card for index, (_, card) in enumerate(cards)},
    )


def _called(card: Card) -> str:
    return f"{card.name} {card.uuid} at {card.pci or 'an unknown place'}".replace("  ", " ")
