"""How datasets are shown. PURE; times are spelled out by the caller."""

from __future__ import annotations

from ...crd_like_specs.dataset import Dataset
from ...crd_like_specs.units import show_bytes

HEADER = ["NAME", "SIZE", "FORMAT", "FILES", "PINNED", "USED", "AGE"]
WIDE = ["OWNER", "EXTRACTED", "JOBS", "DIGEST"]


def row(dataset: Dataset, used: str, age: str, *, wide: bool) -> list[str]:
    """The cells of one. used, age: how long ago."""
    spec, status, meta = dataset.spec, dataset.status, dataset.metadata
    cells = [
        meta.name,
        show_bytes(spec.size),
        spec.format.value,
        str(status.files),
        "yes" if spec.pinned else "no",
        used,
        age,
    ]
    if wide:
        extracted = show_bytes(status.extracted_bytes)
        cells += [meta.owner or "-", extracted, ",".join(status.used_by) or "-", spec.digest]
    return cells


def described(dataset: Dataset, used: str, made: str) -> list[tuple[str, str]]:
    """What there is to say of one. used, made: how long ago."""
    spec, status = dataset.spec, dataset.status
    files = f"{status.files} in {show_bytes(status.extracted_bytes)}"
    return [
        ("Owner", dataset.metadata.owner),
        ("Digest", spec.digest),
        ("Size", f"{show_bytes(spec.size)} ({spec.size} bytes)"),
        ("Format", spec.format.value),
        ("File name", spec.filename),
        ("Files", files),
        ("Pinned", "yes" if spec.pinned else "no: it goes when no job has used it for long"),
        ("Made", made),
        ("Last used", used),
        ("Used by", ", ".join(status.used_by)),
    ]
