"""The synchronous `client.datasets`. Nothing is decided here: see `datasets.py`."""

from __future__ import annotations

import builtins
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, final

from .background import Background

if TYPE_CHECKING:
    from ..crd_like_specs.dataset import Dataset
    from .datasets import AsyncDatasets, Tell


@final
class Datasets:
    """Datasets: bytes that jobs read. progress: called in another thread."""

    def __init__(self, datasets: AsyncDatasets, background: Background) -> None:
        self._datasets = datasets
        self._background = background

    def upload(
        self,
        path: str | Path,
        *,
        name: str = "",
        format: str = "",  # noqa: A002 (as everywhere)
        pinned: bool = False,
        replace: bool = False,
        progress: Tell | None = None,
    ) -> Dataset:
        """See AsyncDatasets.upload."""
        return self._background.do(
            self._datasets.upload(
                path, name=name, format=format, pinned=pinned, replace=replace, progress=progress
            )
        )

    def import_(
        self,
        url: str,
        *,
        name: str = "",
        format: str = "",  # noqa: A002 (as everywhere)
        digest: str = "",
        pinned: bool = False,
        replace: bool = False,
        progress: Tell | None = None,
    ) -> Dataset:
        """See AsyncDatasets.import_."""
        return self._background.do(
            self._datasets.import_(
                url,
                name=name,
                format=format,
                digest=digest,
                pinned=pinned,
                replace=replace,
                progress=progress,
            )
        )

    def list(self) -> builtins.list[Dataset]:
        """See AsyncDatasets.list."""
        return self._background.do(self._datasets.list())

    def get(self, name: str) -> Dataset:
        """See AsyncDatasets.get."""
        return self._background.do(self._datasets.get(name))

    def pin(self, name: str, *, pinned: bool = True) -> Dataset:
        """See AsyncDatasets.pin."""
        return self._background.do(self._datasets.pin(name, pinned=pinned))

    def unpin(self, name: str) -> Dataset:
        """See AsyncDatasets.unpin."""
        return self._background.do(self._datasets.unpin(name))

    def delete(self, name: str) -> Dataset:
        """See AsyncDatasets.delete."""
        return self._background.do(self._datasets.delete(name))

    def stream(self, name: str, *, offset: int = 0) -> Iterator[bytes]:
        """See AsyncDatasets.stream."""
        return self._background.each(self._datasets.stream(name, offset=offset))

    def download(self, name: str, to: str | Path = ".", *, progress: Tell | None = None) -> Path:
        """See AsyncDatasets.download."""
        return self._background.do(self._datasets.download(name, to, progress=progress))
