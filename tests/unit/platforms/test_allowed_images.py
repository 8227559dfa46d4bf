"""Which references the patterns of the configuration take."""

from __future__ import annotations

import pytest
from cumulus.controller.platforms.allowed_images import AllowedImages, check_pattern

SUM = f"sha256:{'ab' * 32}"


@pytest.mark.parametrize(
    ("pattern", "takes", "refuses"),
    [
        (
            "alpine",
            ["alpine", "alpine:3", "docker.io/library/alpine", f"alpine@{SUM}", f"alpine:3@{SUM}"],
            ["alpinee", "x/alpine", "registry.io/alpine", "alpine-evil:latest", SUM],
        ),
        (
            "alpine:3",
            ["alpine:3", "docker.io/alpine:3"],
            ["alpine", "alpine:31", f"alpine@{SUM}", f"alpine:3@{SUM}", "x.io/alpine:3"],
        ),
        (f"alpine@{SUM}", [f"alpine@{SUM}", f"alpine:9@{SUM}"], ["alpine", f"alpine@{SUM[:-1]}c"]),
        (SUM, [SUM], ["alpine", f"alpine@{SUM}"]),
        (
            "registry.io/team/*",
            ["registry.io/team/a", f"registry.io/team/a@{SUM}"],
            ["registry.io/team/a/b", "registry.io/other/a", "team/a", "evil.registry.io/team/a"],
        ),
        (
            "registry.io:5000/**",
            ["registry.io:5000/a/b:c"],
            ["registry.io/a", "xregistry.io:5000/a"],
        ),
        ("python:3.1*", ["python:3.11", "python:3.12"], ["python:3.9", "python"]),
        ("**", ["alpine", "registry.io/a/b:c", f"a@{SUM}"], ["", "a b", "../x"]),
    ],
)
def test_a_pattern_takes_what_it_names(pattern: str, takes: list[str], refuses: list[str]) -> None:
    check_pattern(pattern)
    allowed = AllowedImages([pattern])
    assert [one for one in takes if not allowed.takes(one)] == []
    assert [one for one in refuses if allowed.takes(one)] == []


def test_without_patterns_every_image_is_taken_and_with_none_no_one() -> None:
    assert AllowedImages().takes("anything:at-all")
    assert not AllowedImages([]).takes("alpine")
    assert str(AllowedImages([])) == "none"


@pytest.mark.parametrize("pattern", ["", "a b", "https://x/y", "a//b", "../a", "-x"])
def test_what_is_no_pattern_is_told(pattern: str) -> None:
    with pytest.raises(ValueError, match="is no pattern of images"):
        check_pattern(pattern)
