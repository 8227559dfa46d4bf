"""YAML text to plain values with positions, strictly: what YAML would guess at is an error. Pure.

Used by `codec.py`. Only scalars, lists and mappings with text keys come through; no tag makes an
object, no alias can blow up, and no key is silently taken twice.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from .errors import Problem
from .json_values import INTEGERS, MAX_DEPTH

MAX_BYTES: Final = 1 << 20
MAX_DOCUMENTS: Final = 100
MAX_NODES: Final = 100_000
"""Nodes of one document, aliases counted as often as they are used."""

_TAG: Final = "tag:yaml.org,2002:"
_BOOLS: Final = {"true": True, "false": False}
_SEXAGESIMAL: Final = re.compile(r"^[-+]?\d[\d_]*(:[0-5]?\d)+(\.\d*)?$")
_INFINITE: Final = re.compile(r"\.(inf|nan)")
_OCTAL: Final = re.compile(r"^[-+]?0[0-7_]+$")
_EXPONENT: Final = re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$", re.ASCII)
_VALUES: Final = "args"
"""The field that takes values of any type: there `1e-4` is the number that people and JSON mean by
it. YAML 1.1 takes it for text, as it is everywhere else.
"""
_NOT_IN_YAML: Final = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


FieldPath = tuple[str | int, ...]
"""Steps from the document's top: ("spec", "args", 0)."""


@dataclass(frozen=True, slots=True)
class Document:
    """One document: its value, its first line, and where each path of it stands (line, column).

    marks: of values; keys: of mapping keys. wrong: paths whose value is None because something is
    wrong there, which has been told already.
    """

    value: Any
    line: int
    marks: dict[FieldPath, tuple[int, int]]
    keys: dict[FieldPath, tuple[int, int]]
    wrong: frozenset[FieldPath]


@dataclass(slots=True)
class _Walk:
    file: str
    problems: list[Problem] = field(default_factory=list)
    marks: dict[FieldPath, tuple[int, int]] = field(default_factory=dict)
    keys: dict[FieldPath, tuple[int, int]] = field(default_factory=dict)
    wrong: set[FieldPath] = field(default_factory=set)
    nodes: int = 0

    def problem(self, node: Node, path: FieldPath, message: str) -> None:
        line, column = _mark(node)
        self.wrong.add(path)
        self.problems.append(Problem(message, dotted(path), self.file, line, column))


class TooLargeError(Exception):
    """The document is larger than anyone writes by hand; the message says how."""


class _Loader(yaml.SafeLoader):
    """Stops at the depth limit: the scanner takes the square of the depth in time."""

    def fetch_flow_collection_start(self, TokenClass: Any) -> None:  # noqa: N803 (as overridden)
        self._check_depth()
        super().fetch_flow_collection_start(TokenClass)

    def add_indent(self, column: int) -> bool:
        self._check_depth()
        return bool(super().add_indent(column))

    def _check_depth(self) -> None:
        if self.flow_level + len(self.indents) > MAX_DEPTH:
            raise TooLargeError(f"is nested deeper than {MAX_DEPTH} levels")


class _JsonLoader(_Loader):
    """What JSON is as JSON has it: numbers without a dot too, keys of any length."""

    def stale_possible_simple_keys(self) -> None:
        """Keys may be long, and their colons on other lines."""


_Loader.add_implicit_resolver(f"{_TAG}exponent", _EXPONENT, list("-+.0123456789"))
_JsonLoader.yaml_implicit_resolvers = {}
for _kind, _pattern, _first in (
    ("null", "null", "n"),
    ("bool", "true|false", "tf"),
    ("int", r"-?\d+", "-0123456789"),
    ("float", r"-?\d+(\.\d+)?([eE][-+]?\d+)?|NaN|-?Infinity", "-0123456789NI"),
):
    _whole = re.compile(f"^(?:{_pattern})$", re.ASCII)
    _JsonLoader.add_implicit_resolver(f"{_TAG}{_kind}", _whole, list(_first))


def as_json(text: str) -> str | None:
    """The text such that `parse` with `json` reads what JSON says; None where it is no JSON."""
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return None
    # Outside of texts there is none of them, and in texts YAML breaks lines there, or refuses them.
    return _NOT_IN_YAML.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def decode(data: bytes, file: str) -> tuple[str, list[Problem]]:
    """Text of a file, or what is wrong with its bytes."""
    if len(data) > MAX_BYTES:
        return "", [Problem(f"is too large: expected at most {MAX_BYTES} bytes of text", file=file)]
    try:
        return data.decode("utf-8-sig"), []
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - data.rfind(b"\n", 0, error.start)
        message = f"byte 0x{data[error.start]:02x} is not UTF-8: expected text in UTF-8"
        return "", [Problem(message, "", file, line, column)]


def parse(text: str, file: str, *, json: bool = False) -> tuple[list[Document], list[Problem]]:
    """Every document that is not empty, and everything wrong with them as far as YAML goes. json:
    it is what `as_json` gave.
    """
    documents: list[Document] = []
    problems: list[Problem] = []
    loader = _JsonLoader if json else _Loader
    try:
        for count, node in enumerate(yaml.compose_all(text, Loader=loader), 1):
            if count > MAX_DOCUMENTS:
                problems.append(Problem(f"expected at most {MAX_DOCUMENTS} documents", file=file))
                break
            if node is None:  # an empty document; the stubs do not know
                continue  # type: ignore[unreachable]
            walk = _Walk(file)
            value = _value(walk, node, (), 0)
            problems += walk.problems
            if value is not None:
                line, wrong = _mark(node)[0], frozenset(walk.wrong)
                documents.append(Document(value, line, walk.marks, walk.keys, wrong))
    except TooLargeError as error:
        problems.append(Problem(str(error), file=file))
    except yaml.YAMLError as error:
        problems.append(_syntax(error, file))
    except RecursionError:
        problems.append(Problem(f"is nested deeper than {MAX_DEPTH} levels", file=file))
    return documents, problems


def reads_as_number(text: str) -> bool:
    """Whether YAML 1.1 takes it for text, and `args` for a number: `1e-4`."""
    return _EXPONENT.fullmatch(text) is not None


def dotted(path: FieldPath) -> str:
    """("spec", "args", 0) → `spec.args[0]`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _value(walk: _Walk, node: Node, path: FieldPath, depth: int) -> Any:
    walk.nodes += 1
    if walk.nodes > MAX_NODES:
        raise TooLargeError(f"has more than {MAX_NODES} values, aliases counted")
    if depth > MAX_DEPTH:
        raise TooLargeError(f"is nested deeper than {MAX_DEPTH} levels")
    walk.marks[path] = _mark(node)
    if isinstance(node, ScalarNode):
        return _scalar(walk, node, path)
    if node.tag not in (f"{_TAG}map", f"{_TAG}seq"):
        walk.problem(node, path, f"the tag {node.tag!r} is not taken: expected plain values")
        return None
    if isinstance(node, MappingNode):
        return dict(_items(walk, node, path, depth))
    assert isinstance(node, SequenceNode)
    return [_value(walk, item, (*path, n), depth + 1) for n, item in enumerate(node.value)]


def _items(
    walk: _Walk, node: MappingNode, path: FieldPath, depth: int
) -> Iterator[tuple[str, Any]]:
    seen: dict[str, int] = {}
    for key, item in node.value:
        if not isinstance(key, ScalarNode):
            walk.problem(key, path, "this key is a list or mapping: expected text")
            continue
        if key.tag == f"{_TAG}merge":
            walk.problem(key, path, "merge keys (<<) are not taken: write the fields out")
            continue
        # As written: `on` and `1` are names, whatever YAML makes of them.
        name = _joined(str(key.value))
        if name is None:
            walk.problem(key, path, f"the key {key.value!r:.80} holds half a character")
            continue
        if name in seen:
            message = f"the key {name!r} stands here again, first on line {seen[name]}"
            walk.problem(key, (*path, name), message)
            continue
        seen[name] = _mark(key)[0]
        walk.keys[*path, name] = _mark(key)
        yield name, _value(walk, item, (*path, name), depth + 1)


def _scalar(walk: _Walk, node: ScalarNode, path: FieldPath) -> Any:
    text, kind = str(node.value), node.tag.removeprefix(_TAG)
    if kind == "exponent":
        kind = "float" if _VALUES in path else "str"
    if kind in ("str", "timestamp", "value"):
        whole = _joined(text)
        if whole is None:
            walk.problem(node, path, f"{text!r:.80} holds half a character: expected text")
        return whole
    if kind == "null":
        return None
    if kind == "bool":
        if text.lower() in _BOOLS:
            return _BOOLS[text.lower()]
        walk.problem(node, path, f"{text!r} could be text or truth: write true, false or quote it")
        return None
    if kind in ("int", "float"):
        return _number(walk, node, path, kind)
    walk.problem(node, path, f"the tag {node.tag!r} is not taken: expected plain values")
    return None


def _number(walk: _Walk, node: ScalarNode, path: FieldPath, kind: str) -> Any:
    text = str(node.value).replace("_", "")
    if _SEXAGESIMAL.match(text):
        message = f"{text} would be read to the base of 60: quote it, or write a duration as 90m"
        walk.problem(node, path, message)
        return None
    if _OCTAL.match(text) and text.lstrip("+-") != "0":
        walk.problem(node, path, f"{text} would be read as octal: quote it or drop the zero")
        return None
    try:
        number = int(text, 0) if kind == "int" else float(_INFINITE.sub(r"\1", text.lower()))
    except ValueError:
        walk.problem(node, path, f"{text!r:.80} is no number")
        return None
    if isinstance(number, int) and number not in INTEGERS:
        walk.problem(node, path, f"{text:.80} does not fit into 64 bits: quote it")
        return None
    if isinstance(number, float) and not math.isfinite(number):
        walk.problem(node, path, f"{text} is no finite number: expected one that JSON can hold")
        return None
    return number


def _joined(text: str) -> str | None:
    r"""The text with pairs such as "\ud83d\ude00", as JSON writes them, made one character; None
    where half of a pair stands alone, which no UTF-8 can hold.
    """
    if not any("\ud800" <= char <= "\udfff" for char in text):
        return text
    try:
        return text.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError:
        return None


def _mark(node: Node) -> tuple[int, int]:
    return node.start_mark.line + 1, node.start_mark.column + 1


def _syntax(error: yaml.YAMLError, file: str) -> Problem:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        message = ", ".join(part for part in (error.context, error.problem) if part)
        return Problem(f"is no YAML: {message}", "", file, mark.line + 1, mark.column + 1)
    if isinstance(error, yaml.reader.ReaderError):
        character = error.character
        shown = f"U+{character:04X}" if isinstance(character, int) else repr(character)
        return Problem(f"the character {shown} is not allowed in YAML", file=file)
    return Problem(f"is no YAML: {error}", file=file)
