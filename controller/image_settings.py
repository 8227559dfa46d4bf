"""What the configuration says of images (other job images by name, and which ones jobs may bring) and
of secrets.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from ..crd_like_specs.identity import NAME_PATTERN
from ..crd_like_specs.images import is_reference
from .config_section import Section
from .platforms.allowed_images import check_pattern


def _image(text: str) -> str:
    if not is_reference(text):
        raise PydanticCustomError(
            "image", "'{given}' is no image: expected NAME[:TAG] or NAME@DIGEST", {"given": text}
        )
    return text


def _pattern(text: str) -> str:
    check_pattern(text)
    return text


class SecretsConfig(Section):
    """folder: of files with the values of secrets, see `platforms/secret_values.py`."""

    folder: Path | None = None


RuntimeName = Annotated[str, Field(pattern=NAME_PATTERN)]
ImageName = Annotated[str, AfterValidator(_image)]
ImagePattern = Annotated[str, AfterValidator(_pattern)]
