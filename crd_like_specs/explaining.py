"""What each field of a resource is, for people who write files: `cumulusctl explain`. Pure.

Everything comes from the models themselves: types, bounds and defaults from their JSON Schema,
descriptions from their docstrings, examples from `examples/`, which the tests read and run.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final

import yaml

from .codec import KINDS
from .errors import NotFoundError
from .schema import schema

_WORDS: Final = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "null": "",
}


@dataclass(frozen=True, slots=True)
class Child:
    """One field below another, in a line. default: as files have it, "" where there is none."""

    name: str
    type: str
    default: str = ""
    required: bool = False
    description: str = ""


@dataclass(frozen=True, slots=True)
class Explained:
    """One field. bounds: such as `more than 0, at most 1`; example: YAML, "" where there is none."""

    kind: str
    path: str
    type: str
    description: str = ""
    default: str = ""
    bounds: str = ""
    choices: tuple[str, ...] = ()
    required: bool = False
    example: str = ""
    children: tuple[Child, ...] = ()


def explain(path: str) -> Explained:
    """`job`, `job.spec.gpu` (`jobspec.spec.gpu` and `jobspec.gpu` say the same). NotFoundError for
    what there is none of, with the names that come nearest.
    """
    word, *names = [part for part in path.strip().split(".") if part] or [""]
    kind = _kind(word)
    if word.lower().removesuffix("s") in ("jobspec", "leasespec", "workerspec") and (
        not names or names[0] != "spec"
    ):
        names = ["spec", *names]
    whole = schema(kind)
    part, required, seen = whole, True, kind.lower()
    for name in names:
        fields = _fields(part, whole)
        if name not in fields:
            raise NotFoundError(_unknown(seen, name, fields, whole))
        required = name in _model(part, whole).get("required", ())
        part, seen = fields[name], f"{seen}.{name}"
    return _explained(kind, seen, part, whole, required=required and bool(names))


def leaves(path: str) -> Iterator[Explained]:
    """The field and every one below it, depth first."""
    found = explain(path)
    yield found
    for child in found.children:
        if child.name != "<name>":
            yield from leaves(f"{found.path}.{child.name}")


def _kind(word: str) -> str:
    short = word.lower().removesuffix("s").removesuffix("spec")
    for kind in KINDS:
        if short == kind.lower():
            return kind
    names = [kind.lower() for kind in KINDS]
    near = difflib.get_close_matches(short, names, 1)
    hint = f"; did you mean {near[0]}?" if near else f": expected {', '.join(names)}"
    raise NotFoundError(f"there is no kind {word!r}{hint}")


def _unknown(seen: str, name: str, fields: Mapping[str, Any], whole: dict[str, Any]) -> str:
    text = f"{seen} has no field {name!r}"
    lower = {field.lower(): field for field in fields}
    near = [lower[word] for word in difflib.get_close_matches(name.lower(), lower, 3, 0.6)]
    if near:
        return f"{text}; did you mean {' or '.join(f'{seen}.{field}' for field in near)}?"
    elsewhere = [path for path in _paths(whole) if path.split(".")[-1].lower() == name.lower()]
    if elsewhere:
        root = seen.split(".", maxsplit=1)[0]
        return f"{text}; there is {' and '.join(f'{root}.{path}' for path in elsewhere[:3])}"
    return f"{text}: expected {', '.join(fields)}" if fields else f"{text}: nothing is below it"


def _paths(whole: dict[str, Any]) -> Iterator[str]:
    stack = [("", whole)]
    while stack:
        above, part = stack.pop(0)
        for name, field in _fields(part, whole).items():
            path = f"{above}.{name}" if above else name
            yield path
            stack.append((path, field))


def _explained(
    kind: str, path: str, part: dict[str, Any], whole: dict[str, Any], *, required: bool
) -> Explained:
    model = _model(part, whole)
    fields = _fields(part, whole)
    children = tuple(
        Child(
            name,
            _type(field, whole),
            _shown(field.get("default")),
            name in model.get("required", ()),
            _sentence(field.get("description") or _model(field, whole).get("description", "")),
        )
        for name, field in fields.items()
    )
    about = [part.get("description", "")]
    about += [text for text in (model.get("description", ""),) if text not in about]
    return Explained(
        kind=kind,
        path=path,
        type=_type(part, whole),
        description="\n".join(filter(None, about)),
        default=_shown(part.get("default")),
        bounds=_bounds(part, whole),
        choices=tuple(str(one) for one in _choices(part, whole)),
        required=required,
        example=_example(kind, path.split(".")[1:], part, whole),
        children=children,
    )


def _options(part: dict[str, Any], whole: dict[str, Any]) -> list[dict[str, Any]]:
    """The shapes that a value may have, references followed, null left out."""
    found: list[dict[str, Any]] = []
    for one in part.get("anyOf") or part.get("allOf") or [part]:
        shape = one
        if "$ref" in one:
            shape = whole["$defs"][one["$ref"].removeprefix("#/$defs/")]
        if shape.get("type") != "null":
            found.append(shape)
    return found


def _model(part: dict[str, Any], whole: dict[str, Any]) -> dict[str, Any]:
    """The mapping with fields that the value is, or that its items are; {} for others."""
    for shape in _options(part, whole):
        if "properties" in shape:
            return shape
        if shape.get("type") == "array" and isinstance(shape.get("items"), dict):
            return _model(shape["items"], whole)
    return {}


def _fields(part: dict[str, Any], whole: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = _model(part, whole).get("properties", {})
    return found


def _type(part: dict[str, Any], whole: dict[str, Any]) -> str:
    words: list[str] = []
    for shape in _options(part, whole):
        word = _word(shape, whole)
        if word and word not in words:
            words.append(word)
    if "text" in words and {"number", "whole number"} & set(words):
        return "quantity"
    return " or ".join(words) or "anything"


def _word(shape: dict[str, Any], whole: dict[str, Any]) -> str:
    kind = shape.get("type")
    if "enum" in shape or "const" in shape:
        return "text"
    if "properties" in shape:
        return str(shape.get("title", "mapping"))
    if kind == "array":
        items = shape.get("items") or {}
        inner = _type(items, whole) if items else "anything"
        return f"list of {inner}"
    if kind == "object":
        values = [shape.get("additionalProperties"), *shape.get("patternProperties", {}).values()]
        value = next((one for one in values if isinstance(one, dict)), None)
        return f"mapping of {_type(value, whole)}" if value else "mapping"
    return _WORDS.get(str(kind), "anything")


def _choices(part: dict[str, Any], whole: dict[str, Any]) -> list[Any]:
    found: list[Any] = []
    for shape in _options(part, whole):
        items = shape.get("items")
        inner = _options(items, whole) if isinstance(items, dict) else [shape]
        for one in inner:
            found += one.get("enum", [one["const"]] if "const" in one else [])
    return found


def _bounds(part: dict[str, Any], whole: dict[str, Any]) -> str:
    words: list[str] = []
    for shape in [part, *_options(part, whole)]:
        for key, text in (
            ("exclusiveMinimum", "more than {}"),
            ("minimum", "at least {}"),
            ("maximum", "at most {}"),
            ("minLength", "at least {} characters"),
            ("maxLength", "at most {} characters"),
        ):
            if key in shape and (said := text.format(shape[key])) not in words:
                words.append(said)
    return ", ".join(words)


def _shown(default: Any) -> str:
    if default is None or default in ("", [], {}):
        return ""
    if isinstance(default, dict):
        return ""  # its own fields say theirs
    text = yaml.safe_dump(default, default_flow_style=True, width=1000).strip()
    return text.removesuffix("\n...").strip()


def _sentence(text: str) -> str:
    first = text.split("\n", maxsplit=1)[0]
    for end in ("; ", ". "):
        first = first.split(end)[0]
    return first.rstrip(".")


def _example(kind: str, names: list[str], part: dict[str, Any], whole: dict[str, Any]) -> str:
    for document in _documents():
        found: Any = document if document.get("kind") == kind else None
        for name in names:
            found = found.get(name) if isinstance(found, dict) else None
        if found not in (None, "", [], {}):
            return _yaml(names, found)
    for shape in _options(part, whole):
        samples = [*shape.get("examples", ()), *shape.get("enum", ())]
        if samples and names:
            return _yaml(names, samples[0])
    default = part.get("default")
    return _yaml(names, default) if names and default not in (None, "", [], {}) else ""


def _yaml(names: list[str], value: Any) -> str:
    for name in reversed(names):
        value = {name: value}
    return yaml.safe_dump(value, sort_keys=False, width=88)


@cache
def _documents() -> tuple[dict[str, Any], ...]:
    """Those of `examples/`, in order of their names."""
    folder = files(__package__) / "examples"
    found = sorted(
        (one for one in folder.iterdir() if one.name.endswith(".yaml")), key=lambda one: one.name
    )
    return tuple(
        document
        for one in found
        for document in yaml.safe_load_all(one.read_text(encoding="utf-8"))
        if isinstance(document, dict)
    )
