"""References of container images as engines understand them. Pure.

`ubuntu`, `library/ubuntu:latest` and `docker.io/library/ubuntu` name the same image; engines list
it as `ubuntu:latest`, which is the form that is compared everywhere.
"""

from __future__ import annotations

import re
from typing import Final

DEFAULT_REGISTRY: Final = "docker.io"
IMAGES_PRESENT: Final = "ImagesPresent"
"""Type of a worker's condition: whether it has every image that it should have."""

NETWORK_ISOLATED: Final = "NetworkIsolated"
"""Type of a worker's condition: whether jobs without a network have been seen to have none."""

IMAGE_MISSING: Final = "ImageMissing"
"""Its reason while that could not be tried, for want of the job image."""

FETCHING: Final = "Fetching"
DISK_TOO_FULL: Final = "DiskTooFull"
"""Reasons of that condition while it is false; there are more."""

_ID: Final = re.compile(r"sha256:[0-9a-f]{64}")
_REFERENCE: Final = re.compile(r"[A-Za-z0-9]+([._:/@-]+[A-Za-z0-9]+)*")
_LIBRARY: Final = f"{DEFAULT_REGISTRY}/library/"


def is_id(reference: str) -> bool:
    """Whether it is an image's id, `sha256:<64 hex digits>`, and no name."""
    return _ID.fullmatch(reference) is not None


def is_reference(text: str) -> bool:
    """Whether it can be a reference at all, and so may become part of a request's path."""
    return _REFERENCE.fullmatch(text) is not None and ".." not in text


def registry_of(reference: str) -> str:
    """The registry that a name points to, as `host[:port]`."""
    first, slash, _ = reference.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return DEFAULT_REGISTRY if first == "index.docker.io" else first
    return DEFAULT_REGISTRY


def familiar(reference: str) -> str:
    """The name as engines list it: without the default registry, and with its tag."""
    if is_id(reference):
        return reference
    name = reference
    if name.startswith(f"index.{DEFAULT_REGISTRY}/"):
        name = name.removeprefix("index.")
    for prefix in (_LIBRARY, f"{DEFAULT_REGISTRY}/", "library/"):
        if name.startswith(prefix):
            name = name.removeprefix(prefix)
            break
    repository, tag = split_tag(name)
    return f"{repository}@{tag}" if "@" in name else f"{repository}:{tag}"


def split_tag(reference: str) -> tuple[str, str]:
    """Repository, and its tag or digest; a tag that is not given is `latest`."""
    name, at, digest = reference.partition("@")
    repository, colon, tag = name.rpartition(":")
    if not colon or "/" in tag:  # a colon before a slash belongs to the registry's port
        repository, tag = name, "latest"
    return (repository, digest) if at else (repository, tag)
