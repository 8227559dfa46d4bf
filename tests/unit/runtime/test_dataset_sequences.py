"""Whatever owners do with datasets, in whatever order: names and bytes stay together."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import pytest
from cumulus.api.datasets import DatasetsPort, DatasetWanted
from cumulus.crd_like_specs.errors import ConflictError, NotFoundError
from dataset_kit import DatasetKit, content, digest, put
from hypothesis import given
from hypothesis import strategies as st

STEPS = st.tuples(
    st.sampled_from(["put", "replace", "part", "delete", "pin", "sweep", "restart"]),
    st.sampled_from("abc"),
    st.sampled_from([b"", b"1", b"22", b"333"]),
    st.booleans(),
)


class Model:
    """Datasets, and what they ought to be."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.kit = DatasetKit(folder)
        self.known: dict[str, bytes] = {}

    async def step(self, what: str, name: str, data: bytes, *, ann: bool) -> None:
        user = self.kit.ann if ann else self.kit.all
        if what in ("put", "replace"):
            await put(user, data, name, replace=what == "replace")
            self.known[name] = data
        elif what == "part":
            await self.part(user, name, data)
        elif what == "delete":
            await user.delete(name)
            del self.known[name]
        elif what == "pin":
            await user.pin(name, pinned=bool(data))
        elif what == "sweep":
            await self.kit.upkeep.sweep()
        else:
            self.kit = DatasetKit(self.folder, records=self.kit.records)

    async def part(self, user: DatasetsPort, name: str, data: bytes) -> None:
        begun = await user.begin(DatasetWanted(name, digest(data), len(data)))
        if begun.dataset is not None:
            self.known[name] = data
        elif not begun.received:
            writer = await user.receive(begun.id, 0)
            await writer.write(data[:1])
            await writer.abort()

    async def check(self) -> None:
        assert {one.metadata.name for one in await self.kit.all.list()} == set(self.known)
        for name, data in self.known.items():
            assert await content(self.kit.all, name) == data
        await self.kit.upkeep.sweep()
        assert self.kit.store.total == sum(map(len, set(self.known.values())))
        await self.kit.store.settle()


@given(steps=st.lists(STEPS, max_size=20))
def test_names_and_bytes_stay_together(
    steps: list[tuple[str, str, bytes, bool]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    async def live() -> None:
        model = Model(tmp_path_factory.mktemp("datasets"))
        for what, name, data, ann in steps:
            with contextlib.suppress(ConflictError, NotFoundError):
                await model.step(what, name, data, ann=ann)
        await model.check()

    asyncio.run(live())
