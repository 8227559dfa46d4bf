"""Between the protos of datasets and `datasets.py`, both ways. Pure; used by servicer and SDK."""

from __future__ import annotations

from ..crd_like_specs.archives.entries import Format
from ..crd_like_specs.errors import Problem, ValidationError
from .convert import dataset_from_proto, dataset_to_proto
from .datasets import DatasetUpload, DatasetWanted, ImportProgress, ImportWanted
from .gen.cumulus.v1 import datasets_pb2 as pb


def format_of(word: str) -> Format | None:
    """None for "". ValidationError."""
    try:
        return Format(word) if word else None
    except ValueError as error:
        known = ", ".join(one.value for one in Format)
        raise ValidationError(
            [Problem(f"{word!r:.40} is given, expected one of {known}", path="format")]
        ) from error


def wanted_to_proto(wanted: DatasetWanted) -> pb.BeginDatasetRequest:
    """What is to be."""
    return pb.BeginDatasetRequest(
        name=wanted.name,
        digest=wanted.digest,
        size=wanted.size,
        filename=wanted.filename,
        format=wanted.format.value if wanted.format else "",
        pinned=wanted.pinned,
        replace=wanted.replace,
    )


def wanted_from_proto(message: pb.BeginDatasetRequest) -> DatasetWanted:
    """The inverse. ValidationError."""
    return DatasetWanted(
        name=message.name,
        digest=message.digest,
        size=message.size if message.HasField("size") else None,
        filename=message.filename,
        format=format_of(message.format),
        pinned=message.pinned,
        replace=message.replace,
    )


def upload_to_proto(upload: DatasetUpload) -> pb.DatasetUpload:
    """How far it is."""
    whole = None if upload.dataset is None else dataset_to_proto(upload.dataset)
    return pb.DatasetUpload(upload=upload.id, received=upload.received, dataset=whole)


def upload_from_proto(message: pb.DatasetUpload) -> DatasetUpload:
    """The inverse."""
    whole = dataset_from_proto(message.dataset) if message.HasField("dataset") else None
    return DatasetUpload(message.upload, message.received, whole)


def import_to_proto(wanted: ImportWanted) -> pb.ImportDatasetRequest:
    """What is to be fetched."""
    return pb.ImportDatasetRequest(
        url=wanted.url,
        name=wanted.name,
        digest=wanted.digest,
        filename=wanted.filename,
        format=wanted.format.value if wanted.format else "",
        pinned=wanted.pinned,
        replace=wanted.replace,
    )


def import_from_proto(message: pb.ImportDatasetRequest) -> ImportWanted:
    """The inverse. ValidationError."""
    return ImportWanted(
        url=message.url,
        name=message.name,
        digest=message.digest,
        filename=message.filename,
        format=format_of(message.format),
        pinned=message.pinned,
        replace=message.replace,
    )


def progress_to_proto(progress: ImportProgress) -> pb.ImportDatasetProgress:
    """How far an import is."""
    whole = None if progress.dataset is None else dataset_to_proto(progress.dataset)
    return pb.ImportDatasetProgress(received=progress.received, size=progress.size, dataset=whole)


def progress_from_proto(message: pb.ImportDatasetProgress) -> ImportProgress:
    """The inverse."""
    whole = dataset_from_proto(message.dataset) if message.HasField("dataset") else None
    size = message.size if message.HasField("size") else None
    return ImportProgress(message.received, size, whole)
