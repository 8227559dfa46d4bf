"""The user's modules that import the SDK when they are imported. Reads files, runs nothing.

They cannot be imported in a job, where the SDK is not: what a function uses of them travels by
value instead. Typical is a file that makes a client, decorates functions and has helpers for them.
"""

from __future__ import annotations

import ast
import importlib.util
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType

from . import modules


def sdk_users(pickles: Sequence[bytes]) -> list[ModuleType]:
    """Of the modules that these pickles name."""
    known: dict[str, bool] = {}
    found = (
        name
        for name in sorted(modules.named(pickles))
        if name in sys.modules and name not in ("", "__main__") and modules.is_local(name)
    )
    return [sys.modules[name] for name in found if _uses_sdk(name, known)]


def _uses_sdk(name: str, known: dict[str, bool]) -> bool:
    """Whether importing it imports the SDK: itself, by its packages, or by what it imports."""
    if name.partition(".")[0] == modules.OWN:
        return True
    if name in known:
        return known[name]
    known[name] = False  # until shown: modules may import each other
    known[name] = modules.is_local(name) and any(
        _uses_sdk(one, known) for one in (*_above(name), *_imports(name))
    )
    return known[name]


def _above(name: str) -> Iterator[str]:
    while "." in name:
        name = name.rpartition(".")[0]
        yield name


def _imports(name: str) -> Iterator[str]:
    """Absolute names of what a module's own statements import, outside of its functions."""
    spec = modules.spec_of(name)
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return
    try:
        tree = ast.parse(Path(spec.origin).read_bytes())
    except (OSError, SyntaxError, ValueError):
        return
    for node in _statements(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            try:
                base = importlib.util.resolve_name(
                    "." * node.level + (node.module or ""), spec.parent
                )
            except ImportError:
                continue
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(child, ast.stmt | ast.excepthandler | ast.match_case):
            yield child
            yield from _statements(child)
