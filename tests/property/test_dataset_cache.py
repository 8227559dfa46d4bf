"""A worker's cache of datasets under whatever comes: units that begin and end, breaks, kills."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import tempfile
from collections.abc import Callable
from pathlib import Path

from cumulus.chronos_bindings.agent.dataset_cache import DatasetCache
from cumulus.chronos_bindings.agent.dataset_folder import DatasetFolder, key_of
from cumulus.crd_like_specs.errors import Temporary
from cumulus.crd_like_specs.job_datasets import DatasetMount
from hypothesis import given, settings
from hypothesis import strategies as st

LIMIT = 64 << 10
CONTENTS = {f"d{n}": bytes([n]) * (n + 1) * (8 << 10) for n in range(5)}
steps = st.one_of(
    st.tuples(st.just("get"), st.sampled_from("abcd"), st.sampled_from(sorted(CONTENTS))),
    st.tuples(st.just("break"), st.sampled_from("abcd"), st.sampled_from(sorted(CONTENTS))),
    st.tuples(st.just("release"), st.sampled_from("abcd"), st.just("")),
    st.tuples(st.just("restart"), st.just(""), st.just("")),
)


def mount(name: str) -> DatasetMount:
    data = CONTENTS[name]
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    known = {"size": len(data), "extracted": len(data), "filename": name}
    return DatasetMount(name=name, digest=digest, format="file", **known)


class Source:
    """Gives what there is; `broken`: half of it."""

    broken = gave = False

    async def fetch(
        self,
        unit: str,  # noqa: ARG002 (the port's)
        digest: str,
        dest: Path,
        arrived: Callable[[int], None],
    ) -> None:
        data = next(CONTENTS[name] for name in CONTENTS if mount(name).digest == digest)
        part = dest.with_name(f"{dest.name}.part")
        if self.broken:
            part.write_bytes(data[: len(data) // 2])
            raise Temporary("the line broke", reason="DatasetMissing")
        part.write_bytes(data)
        arrived(len(data))
        self.gave = True
        part.replace(dest)


async def play(root: Path, plan: list[tuple[str, str, str]]) -> None:
    used: dict[str, dict[str, Path]] = {}
    source, now = Source(), [0.0]

    def tick() -> float:
        now[0] += 1
        return now[0]

    def staged() -> set[str]:
        return {key_of(mount(n)) for names in used.values() for n in names}

    def made() -> DatasetCache:
        folder = DatasetFolder(root, tick)
        return DatasetCache(folder, source, limit=LIMIT, in_use=staged, spare=0)

    cache = made()
    for verb, unit, name in plan:
        if verb == "restart":
            (root / ".making-half").mkdir(exist_ok=True)
            cache = made()
        elif verb == "release":
            used.pop(unit, None)
            cache.release(unit)
        else:
            source.broken = verb == "break"
            source.gave = False
            with contextlib.suppress(Temporary):
                path = await cache.get(unit, mount(name))
                used.setdefault(unit, {})[name] = path
                if source.gave:
                    check(root, used)
        for names in used.values():
            for known, path in names.items():
                assert (path / known).read_bytes() == CONTENTS[known]


def check(root: Path, used: dict[str, dict[str, Path]]) -> None:
    """After room was made: above the limit only with what is in use, and nothing half there."""
    cached = DatasetFolder(root).cached()
    in_use = {path.name for names in used.values() for path in names.values()}
    assert sum(one.size for one in cached) <= LIMIT or {one.key for one in cached} <= in_use
    assert all(one.key.startswith("incoming/") or (root / one.key).is_dir() for one in cached)


@settings(max_examples=150)
@given(st.lists(steps, max_size=25))
def test_what_is_used_stays_and_the_limit_holds_for_the_rest(
    plan: list[tuple[str, str, str]],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(play(Path(folder), plan))
