"""Outputs on the wire: what one side says is what the other understands; and ids are never twice."""

from __future__ import annotations

from cumulus.api.convert_outputs import set_from_proto, set_to_proto
from cumulus.api.outputs import Output, OutputRole, OutputSet
from cumulus.controller.runtime.output_index import build
from cumulus.controller.runtime.output_tar import Member
from cumulus.crd_like_specs.outputs import is_name, is_plain
from hypothesis import given
from hypothesis import strategies as st

TEXTS = st.text(st.characters(codec="utf-8"), max_size=12)
SIZES, SMALL = st.integers(0, (1 << 63) - 1), st.integers(0, (1 << 31) - 1)
OUTPUTS = st.builds(
    Output,
    *(TEXTS, TEXTS, SIZES, TEXTS, st.sampled_from(OutputRole), TEXTS, TEXTS, SMALL, TEXTS),
    st.floats(0, 1e11),
)
SETS = st.builds(
    OutputSet,
    *(TEXTS, TEXTS, SMALL, TEXTS, TEXTS, SIZES),
    st.lists(OUTPUTS, max_size=3).map(tuple),
    TEXTS,
    st.booleans(),
)
PATHS = st.lists(
    st.lists(st.text("ab.-é_ 1", min_size=1, max_size=6), min_size=1, max_size=3)
    .map("/".join)
    .filter(is_plain)
    .flatmap(lambda path: st.sampled_from([path, f"{path}.pt", f"{path}.json"])),
    unique=True,
    max_size=12,
)


@given(SETS)
def test_a_listing_comes_back_as_it_was(found: OutputSet) -> None:
    assert set_from_proto(set_to_proto(found)) == found


@given(PATHS, st.data())
def test_ids_are_names_each_once_and_the_same_again(paths: list[str], data: st.DataObject) -> None:
    members = [Member(path, 512, 1, "", 0.0) for path in paths]
    found = build(members, None)
    ids = [file.id for file in found.files]
    assert len(set(ids)) == len(ids) == len(paths)
    assert all(map(is_name, ids))
    shuffled = data.draw(st.permutations(members))
    assert build(shuffled, None) == found


@given(st.text(max_size=30))
def test_a_plain_path_stays_where_it_is(path: str) -> None:
    if is_plain(path):
        parts = path.split("/")
        assert not {"", ".", ".."} & set(parts)
        assert not path.startswith("/")
