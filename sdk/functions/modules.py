"""Which of the user's own modules a function needs, and their files. Reads files, runs nothing.

What is installed (standard library, site-packages) is there in the job or comes by requirements;
everything else that Python would import from a file travels with the function: a module as its
file, a package as its whole folder with its data files. Imports are read from bytecode, so that
those inside functions count too.
"""

from __future__ import annotations

import dis
import importlib.util
import pickletools
import site
import sys
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import CodeType
from typing import Final

from ...crd_like_specs.errors import ValidationError

OWN: Final = "cumulus"  # the SDK itself is no part of a job
_SUFFIX: Final = ".py"


def local_files(pickles: Sequence[bytes], codes: tuple[CodeType, ...]) -> dict[str, bytes]:
    """Name in the zip → content, of all local modules that the pickles name or the code imports,
    and that those import in turn. ValidationError where one cannot be read.
    """
    files: dict[str, bytes] = {}
    seen: set[str] = set()
    waiting = sorted({*named(pickles), *_imports(codes)})
    while waiting:
        unit = _unit(waiting.pop())
        if unit is None or unit.name in seen:
            continue
        seen.add(unit.name)
        found = _files_of(unit)
        files.update(found)
        sources = {n: c for n, c in found.items() if n.endswith(_SUFFIX)}
        waiting += sorted(_imported_by(sources))
    return files


def codes_of(code: CodeType) -> Iterator[CodeType]:
    """A code object and all that are defined inside it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from codes_of(constant)


def named(pickles: Sequence[bytes]) -> set[str]:
    """Modules that unpickling imports: texts before a STACK_GLOBAL, and subimports."""
    texts = {
        str(argument)
        for pickled in pickles
        for operation, argument, _ in pickletools.genops(pickled)
        if operation.name in ("SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "GLOBAL")
    }
    # More than are modules: only those that are found as local modules matter.
    return {t.split(" ")[0] for t in texts if t.replace(".", "_").replace(" ", "_").isidentifier()}


def is_local(name: str) -> bool:
    """Whether a module is the user's own: of `__main__`, of a notebook, or found in a file that
    is not installed.
    """
    return name in ("", "__main__", "__mp_main__") or _unit(name) is not None


def spec_of(name: str) -> ModuleSpec | None:
    """Found without running anything but the packages above it, which are loaded or empty."""
    found: ModuleSpec | None = getattr(sys.modules.get(name), "__spec__", None)
    try:
        return found or importlib.util.find_spec(name)
    except (ImportError, ValueError, AttributeError):
        return None


def _imports(codes: tuple[CodeType, ...]) -> set[str]:
    names: set[str] = set()
    for outer in codes:
        for code in codes_of(outer):
            for step in dis.get_instructions(code):
                if step.opname == "IMPORT_NAME":
                    names.add(str(step.argval))
    return names - {""}


def _imported_by(sources: Mapping[str, bytes]) -> set[str]:
    names: set[str] = set()
    for name, source in sources.items():
        try:
            code = compile(source, name, "exec", dont_inherit=True)
        except (SyntaxError, ValueError):
            continue  # a template, or code for another Python: it is packed as it is
        names |= _imports((code,))
    return names


def _unit(name: str) -> ModuleSpec | None:
    """What is to be packed for `a.b.c`: the user's own module or package `a`, whole; of a
    namespace package, which has no end, only the part that is named. Else None.
    """
    top, *rest = name.split(".")
    if not top or top in sys.stdlib_module_names or top in (OWN, "__main__", "__mp_main__"):
        return None
    spec = spec_of(top)
    while spec is not None and spec.origin is None and rest:
        spec = spec_of(f"{spec.name}.{rest.pop(0)}")
    return spec if spec is not None and spec.origin is not None and _is_own(spec) else None


def _is_own(spec: ModuleSpec) -> bool:
    places = list(spec.submodule_search_locations or ()) or [spec.origin or ""]
    path = Path(places[0])
    if not path.is_absolute() or not path.exists():
        return False  # built in, frozen, or made up at run time
    return not any(path.resolve().is_relative_to(root) for root in _installed())


@cache
def _installed() -> tuple[Path, ...]:
    paths = {
        *(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")),
        *site.getsitepackages(),
        site.getusersitepackages(),
    }
    return tuple(Path(path).resolve() for path in paths if path)


def _files_of(unit: ModuleSpec) -> dict[str, bytes]:
    from ...crd_like_specs import packing  # noqa: PLC0415 (importing the SDK is to cost little)

    place = unit.name.replace(".", "/")
    path = Path(unit.origin or "")
    try:
        if unit.submodule_search_locations is None:
            if path.suffix != _SUFFIX:
                raise ValidationError(
                    f"module {unit.name} is {path.name}, which is built for this machine: "
                    "expected Python code, or its package in the requirements"
                )
            return {f"{place}{_SUFFIX}": path.read_bytes()}
        found = packing.read_folder(path.parent)
    except OSError as e:
        raise ValidationError(
            f"module {unit.name} cannot be read: {e.strerror}: {e.filename}"
        ) from e
    return {f"{place}/{name}": content for name, content in found.items()}
