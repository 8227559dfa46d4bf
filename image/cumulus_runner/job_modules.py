"""Makes `job_api` importable in the job, by its names. Called by the child before main.py.

It is asked last of all: a module of the job's own, or one that is installed, of the same name wins.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

_HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "job_api.py")
_NAMES = ("cumulus_job", "runtime", "cumulus.sdk.runtime")
_PARENTS = ("cumulus", "cumulus.sdk")
_OF_THE_SDK = (
    "cumulus.image.cumulus_runner.job_api"  # what its names stand for where it is installed
)


def provide() -> None:
    """From now on."""
    sys.meta_path.append(_Finder)  # a class with find_spec is a finder


def saw_pause() -> bool:
    """Whether the job was told that it is to pause."""
    modules = (sys.modules.get(name) for name in (*_NAMES, _OF_THE_SDK))
    return any(getattr(module, "saw_pause", False) is True for module in modules)


class _Finder:
    @staticmethod
    def find_spec(
        name: str, _path: Sequence[str] | None = None, _target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """See `importlib.abc.MetaPathFinder`."""
        if name not in _NAMES and name not in _PARENTS:
            return None
        from importlib import machinery, util  # noqa: PLC0415 (few jobs ask)

        if name in _NAMES:
            return util.spec_from_file_location(name, _HERE)
        spec = machinery.ModuleSpec(name, None, is_package=True)
        spec.submodule_search_locations = []
        return spec
