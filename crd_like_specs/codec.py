"""YAML and JSON files to resources and back. Reads files; the rest is pure.

    for loaded in load_sources(["jobs/", "more.yaml", "-"], sys.stdin.buffer):
        print(loaded.file, loaded.line, loaded.resource.metadata.name)

All problems of all files come at once, as one ValidationError, each with file, line, column, field
path and what was expected there.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final

import pydantic
import yaml
from pydantic import BaseModel

from .dataset import Dataset
from .errors import Problem, ValidationError
from .job import Job
from .lease import Lease
from .meta import API_VERSION
from .source import Source
from .template import Template
from .wording import clipped, describe
from .worker import Worker
from .yaml_nodes import (
    MAX_BYTES,
    Document,
    FieldPath,
    as_json,
    decode,
    dotted,
    parse,
    reads_as_number,
)

Resource = Job | Lease | Worker | Source | Template | Dataset
KINDS: Final[dict[str, type[Job | Lease | Worker | Source | Template | Dataset]]] = {
    "Job": Job,
    "Lease": Lease,
    "Worker": Worker,
    "Source": Source,
    "Template": Template,
    "Dataset": Dataset,
}
SUFFIXES: Final = (".yaml", ".yml", ".json")
STDIN: Final = "<stdin>"
LIST: Final = "List"
"""The kind of several resources in one document."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A resource and where it stands. folder: relative paths in it start there."""

    resource: Resource
    file: str
    line: int
    folder: Path


def load_sources(paths: Sequence[str | Path], stdin: BinaryIO | None = None) -> list[Loaded]:
    """Every resource of these files and folders, in order; `-` reads stdin.

    Of a folder its *.yaml, *.yml and *.json come, sorted, subfolders too, hidden ones not.
    """
    loaded: list[Loaded] = []
    problems: list[Problem] = []
    for path in paths:
        try:
            if str(path) == "-":
                data = stdin.read(MAX_BYTES + 1) if stdin else b""
                loaded += load_bytes(data, STDIN, Path.cwd())
            else:
                loaded += _load_path(Path(path))
        except ValidationError as error:
            problems += error.problems
    if problems:
        raise ValidationError(problems)
    if not loaded:
        names = ", ".join(str(path) for path in paths)
        raise ValidationError([Problem("holds no documents: expected a Job", file=names)])
    return loaded


def load_bytes(data: bytes, file: str, folder: Path, name: str = "") -> list[Loaded]:
    """Every resource of one file's content. file: as errors name it; name: of what has none, ""
    where each must have its own.
    """
    text, problems = decode(data, file)
    json = None
    if file.endswith(".json"):
        text = text.replace("\t", " ")  # JSON may be indented so, YAML may not; no string holds one
        json = as_json(text)
    documents: list[Document] = []
    if not problems:
        documents, problems = parse(json or text, file, json=json is not None)
    loaded: list[Loaded] = []
    for document in _of_lists(documents):
        if name and isinstance(document.value, dict):
            _give_name(document.value, name)
        try:
            loaded.append(Loaded(_resource(document, file), file, document.line, folder))
        except ValidationError as error:
            problems += error.problems
    if problems:
        raise ValidationError(sorted(problems, key=lambda problem: (problem.line, problem.column)))
    return loaded


def load_text(text: str, file: str = "<text>") -> list[Resource]:
    """Every resource of a text."""
    return [one.resource for one in load_bytes(text.encode(), file, Path.cwd())]


def dump_yaml(resources: Resource | Iterable[Resource]) -> str:
    """YAML that `load_text` reads back to equal resources; one document each."""
    given = [resources] if isinstance(resources, Resource) else list(resources)
    documents = [resource.to_dict() for resource in given]
    return yaml.dump_all(documents, Dumper=_Dumper, sort_keys=False, allow_unicode=True)


class _Dumper(yaml.SafeDumper):
    """Text of several lines stands as it is, and what YAML takes for a line's end is escaped."""

    def represent_text(self, text: str) -> yaml.ScalarNode:
        style = '"' if _BREAKS.intersection(text) else "|" if "\n" in text else None
        if reads_as_number(text):
            style = "'"
        return self.represent_scalar("tag:yaml.org,2002:str", text, style)


_BREAKS: Final = frozenset("\r\x85\u2028\u2029\ufeff")
_Dumper.add_representer(str, _Dumper.represent_text)


def _load_path(path: Path) -> list[Loaded]:
    try:
        if path.is_dir():
            return _load_folder(path)
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        message = f"cannot be read: {error.strerror or error}"
        raise ValidationError([Problem(message, file=str(path))]) from error
    return load_bytes(data, str(path), path.absolute().parent)


def _load_folder(folder: Path) -> list[Loaded]:
    found = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix in SUFFIXES
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )
    if not found:
        raise ValidationError(
            [Problem(f"holds no files ending in {', '.join(SUFFIXES)}", file=str(folder))]
        )
    return load_sources(found)


def _of_lists(documents: Iterable[Document]) -> Iterator[Document]:
    """Each one, and in place of a `kind: List`, as `get -o json` writes several, what it lists."""
    for document in documents:
        value = document.value
        listed = isinstance(value, dict) and value.get("kind") == LIST
        if not listed or not isinstance(value.get("items"), list):
            yield document
            continue
        parts = [_Part() for _ in value["items"]]
        for path, place in document.marks.items():
            if path[:1] == ("items",) and len(path) > 1:
                parts[int(path[1])].marks[path[2:]] = place
        for path, place in document.keys.items():
            if path[:1] == ("items",) and len(path) > 1:
                parts[int(path[1])].keys[path[2:]] = place
        for path in document.wrong:
            if path[:1] == ("items",) and len(path) > 1:
                parts[int(path[1])].wrong.add(path[2:])
        for item, part in zip(value["items"], parts, strict=True):
            line = part.marks[()][0]
            yield Document(item, line, part.marks, part.keys, frozenset(part.wrong))


@dataclass(slots=True)
class _Part:
    """Of a Document."""

    marks: dict[FieldPath, tuple[int, int]] = field(default_factory=dict)
    keys: dict[FieldPath, tuple[int, int]] = field(default_factory=dict)
    wrong: set[FieldPath] = field(default_factory=set)


def _give_name(value: dict[str, Any], name: str) -> None:
    meta = value.setdefault("metadata", {})
    if isinstance(meta, dict):
        meta.setdefault("name", name)


def _resource(document: Document, file: str) -> Resource:
    value, place = document.value, document.marks[()]
    if not isinstance(value, dict):
        raise ValidationError(
            [Problem("expected a mapping with apiVersion and kind", "", file, *place)]
        )
    problems = []
    for key, expected in (("apiVersion", [API_VERSION]), ("kind", list(KINDS))):
        if value.get(key) not in expected and (key,) not in document.wrong:
            given = f"{clipped(value[key])} is unknown" if key in value else "is missing"
            at = document.marks.get((key,), place)
            problems.append(Problem(f"{given}: expected {' or '.join(expected)}", key, file, *at))
    if problems:
        raise ValidationError(problems)
    model = KINDS[value["kind"]]
    try:
        return model.model_validate(value)
    except pydantic.ValidationError as error:
        raise ValidationError(_problems(model, document, file, error)) from error


def _problems(
    model: type[BaseModel], document: Document, file: str, error: pydantic.ValidationError
) -> list[Problem]:
    """Pydantic's findings in our words, each once, without what is told already."""
    found: dict[tuple[FieldPath, str], Problem] = {}
    for one in error.errors(include_url=False):
        path = _known(document, tuple(one["loc"]), missing=one["type"] == "missing")
        if any(path[:length] in document.wrong for length in range(len(path) + 1)):
            continue
        if one["type"] == "extra_forbidden":
            message = "is no known field" + _did_you_mean(model, path)
            place = document.keys[path]
        else:
            message = describe(one)
            place = document.marks[_known(document, path, missing=False)]
        found[path, message] = Problem(message, dotted(path), file, *place)
    return list(found.values())


def _known(document: Document, loc: tuple[Any, ...], *, missing: bool) -> FieldPath:
    """The longest beginning of the location that the document has, and one step more where that
    step is what is missing. pydantic adds names of union members, which no document has.
    """
    path: FieldPath = ()
    for part in loc:
        if (*path, part) in document.marks or missing:
            path = (*path, part)
        else:
            break
    return path


def _did_you_mean(model: type[BaseModel], path: tuple[str | int, ...]) -> str:
    fields: type[BaseModel] | None = model
    for part in path[:-1]:
        fields = _submodel(fields, str(part)) if fields else None
    if fields is None:
        return ""
    names = [str(info.alias or name) for name, info in fields.model_fields.items()]
    close = difflib.get_close_matches(str(path[-1]), names, 1)
    return f": did you mean {close[0]}?" if close else f": expected one of {', '.join(names)}"


def _submodel(model: type[BaseModel], alias: str) -> type[BaseModel] | None:
    for name, info in model.model_fields.items():
        if (info.alias or name) == alias:
            options = getattr(info.annotation, "__args__", (info.annotation,))
            return next(
                (o for o in options if isinstance(o, type) and issubclass(o, BaseModel)), None
            )
    return None
