"""The templates that Cumulus brings, put into the store when it starts. I/O: package files, store.

A shipped template that is missing is put there. One that somebody changed stays as it is; one that
nobody touched follows what is shipped, which its annotation tells apart.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from importlib.resources import as_file, files
from pathlib import Path
from typing import Final

from loguru import logger

from ...crd_like_specs.codec import load_sources
from ...crd_like_specs.packing import digest, resolve_template
from ...crd_like_specs.template import Template
from .templates import Templates

ANNOTATION: Final = "cumulus.dev/shipped"
"""Annotation of a template in the store: hash of its spec as it was shipped."""


async def ship(templates: Templates) -> None:
    """Do it; done twice it is done once."""
    for template, packed in await asyncio.to_thread(_read):
        shipped = _hash(template)
        old = templates.find(template.metadata.name)
        if old is not None:
            noted = old.metadata.annotations.get(ANNOTATION, "")
            if noted == shipped:
                continue
            if noted != _hash(old):
                logger.info("template {} was changed here and stays so", old.metadata.name)
                continue
        if packed is not None:
            await templates.keep(digest(packed), packed)
        meta = template.metadata
        notes = {**meta.annotations, ANNOTATION: shipped}
        meta = meta.model_copy(update={"annotations": notes})
        applied = await templates.put(template.model_copy(update={"metadata": meta}))
        logger.info("template {}: {} as shipped", meta.name, applied.outcome.value)


def _read() -> list[tuple[Template, bytes | None]]:
    """Each with the zip of its code."""
    with as_file(files("cumulus.crd_like_specs") / "templates") as folder:
        found = [one.resource for one in load_sources([Path(folder)])]
        return [resolve_template(one, folder) for one in found if isinstance(one, Template)]


def _hash(template: Template) -> str:
    # Without defaults: a field that a newer version adds is nobody's change.
    body = template.spec.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
