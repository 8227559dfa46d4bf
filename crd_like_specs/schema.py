"""JSON Schema of the resources, for editors that complete and check YAML files. Pure.

    # yaml-language-server: $schema=job.schema.json

`cumulusctl schema Job > job.schema.json` writes one.
"""

from __future__ import annotations

import re
import sys
from typing import Any, Final

from pydantic.alias_generators import to_snake

from .codec import KINDS

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def schema(kind: str = "") -> dict[str, Any]:
    """Of one kind, or of any of them ("")."""
    if kind:
        return {"$schema": DIALECT, **_of(kind)}
    defs: dict[str, Any] = {}
    options = []
    for name in KINDS:
        body = _of(name)
        defs.update(body.pop("$defs", {}))
        defs[name] = body
        options.append({"$ref": f"#/$defs/{name}"})
    return {"$schema": DIALECT, "oneOf": options, "$defs": defs}


def _of(kind: str) -> dict[str, Any]:
    """What a person writes: apiVersion and kind are said, the server's parts are optional."""
    model = KINDS[kind]
    body = model.model_json_schema(by_alias=True, mode="validation")
    written = model.model_json_schema(by_alias=True, mode="serialization")
    module = sys.modules[model.__module__].__doc__ or ""
    body["description"] = f"{module.splitlines()[0].removesuffix(' Pure.')}\n\n{model.__doc__}"
    _show_defaults(body, written)
    _describe(body)
    for name, part in body.get("$defs", {}).items():
        _show_defaults(part, written["$defs"][name])
        _describe(part)
    body["required"] = sorted({*body.get("required", ()), "apiVersion", "kind"})
    return body


def _show_defaults(read: dict[str, Any], written: dict[str, Any]) -> None:
    """Defaults as people write them: `1Gi`, where the number behind it is 1073741824."""
    for name, field in read.get("properties", {}).items():
        if "default" in field:
            field["default"] = written["properties"][name]["default"]


def _describe(model: dict[str, Any]) -> None:
    """Models tell of their fields in their docstrings, as `memory: bytes; count: of devices`: each
    field is given its own part, and the model keeps the rest.
    """
    fields = {to_snake(name): field for name, field in model.get("properties", {}).items()}
    text = " ".join(str(model.get("description", "")).split())
    text = re.sub(r" ?See the module docstring\.", "", text)
    if not fields:
        return
    one = rf"`?(?:{'|'.join(fields)})`?"
    starts = list(re.finditer(rf"(?:^|(?<=[;.] )|(?<=\) ))({one}(?:, {one})*): ", text))
    edges = [*(found.start() for found in starts), len(text)]
    model["description"] = text[: edges[0]].strip()
    for found, end in zip(starts, edges[1:], strict=True):
        said = text[found.end() : end].strip().rstrip(";.")
        for name in re.findall(r"\w+", found[1]):
            fields[name]["description"] = said
