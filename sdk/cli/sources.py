"""Sources as tables and text. PURE; `now` is an argument.

Texts in a source come from files that many people write: what a terminal would act on is shown as
a plain character.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...crd_like_specs.source import FileState, Source, SourceFile, SourceStatus
from ...crd_like_specs.units import format_seconds

Row = list[str]

HEADER = ["NAME", "STATUS", "FILES", "SYNCED", "OUT-OF-SYNC", "INVALID", "COMMIT", "SYNCED-AGO"]
WIDE = ["JOBS", "PRUNED", "TYPE", "OWNER", "PATH", "MESSAGE"]


def row(source: Source, ago: str, *, wide: bool) -> Row:
    """The cells of one source. ago: how long ago it was looked at last."""
    status = source.status
    files = sum(file.state is not FileState.PRUNED for file in status.files)
    cells = [
        source.metadata.name,
        state(source),
        str(files),
        str(status.synced),
        str(status.out_of_sync),
        str(status.invalid),
        status.commit[:12] or "-",
        ago,
    ]
    if wide:
        cells += [
            str(status.jobs),
            str(status.pruned),
            source.spec.type,
            source.metadata.owner or "-",
            clean(source.spec.path),
            clean(status.message) or "-",
        ]
    return cells


def state(source: Source) -> str:
    """One word for all of it, the worst first."""
    status = source.status
    ready = status.condition("Ready")
    if ready is None:
        return "Unknown"
    if not ready.status:
        return "Waiting" if ready.reason == "Waiting" else "Failed"
    if source.spec.suspend:
        return "Suspended"
    if status.invalid:
        return FileState.INVALID.value
    return FileState.OUT_OF_SYNC.value if status.out_of_sync else FileState.SYNCED.value


def file_rows(sources: Sequence[Source], *, everything: bool) -> list[Row]:
    """A row for each file that is not merely as it should be, or for each; [] for none."""
    rows = [
        [source.metadata.name, *_file(file)]
        for source in sources
        for file in source.status.files
        if everything or file.state in (FileState.INVALID, FileState.OUT_OF_SYNC)
    ]
    return [["SOURCE", "FILE", "STATE", "JOBS", "MESSAGE"], *rows] if rows else []


def described(source: Source, ago: str) -> list[tuple[str, str]]:
    """Fields of `describe`."""
    spec, status = source.spec, source.status
    yes = [
        word
        for word, on in (
            ("prune", spec.prune),
            ("allowEmpty", spec.allow_empty),
            ("suspend", spec.suspend),
        )
        if on
    ]
    return [
        ("Status", state(source)),
        ("Message", clean(status.message)),
        ("Path", clean(spec.path)),
        ("Type", spec.type),
        ("Ref", clean(spec.ref)),
        ("Commit", status.commit),
        ("Last sync", ago),
        ("Looks", f"every {format_seconds(spec.interval)}"),
        ("Pulls", f"every {format_seconds(spec.pull)}" if spec.pull else ""),
        ("Options", ", ".join(yes)),
        ("Substitutes", ", ".join(spec.substitute)),
        ("Owner", source.metadata.owner),
        ("Jobs", str(status.jobs)),
        ("Files", _counts(status)),
    ]


def _counts(status: SourceStatus) -> str:
    return (
        f"{status.synced} synced, {status.out_of_sync} out of sync, "
        f"{status.invalid} invalid, {status.pruned} pruned"
    )


def files(source: Source) -> list[Row]:
    """The table of its files; [] for none."""
    rows = [_file(file) for file in source.status.files]
    return [["FILE", "STATE", "JOBS", "MESSAGE"], *rows] if rows else []


def clean(text: str) -> str:
    """Without characters that a terminal would act on."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else "\ufffd" for char in text)


def _file(file: SourceFile) -> Row:
    return [
        clean(file.path),
        file.state.value,
        ",".join(file.jobs) or "-",
        clean(file.message) or "-",
    ]
