"""Asks GPU frameworks to keep to the lease's share of memory. Called by the child before main.py.

Where the driver does not enforce the share this is all there is, and it is advisory: the job can
set other limits. XLA reads variables; PyTorch and TensorFlow are told once they have been imported,
and neither is imported for it.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType


def limit(fraction: float, mib: Sequence[int] = ()) -> None:
    """fraction: of each device's memory, 0 < fraction <= 1; 0.0 where there is no GPU. mib: of
    each device in the order in which the job sees them, empty where that is not known.
    """
    if not 0 < fraction <= 1:
        return
    os.environ.setdefault("XLA_PYTHON_CLIENT_MEM_FRACTION", f"{fraction:g}")
    # Both would take their share, or all there is, at once: a share is a ceiling, not a wish.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    if fraction < 1:
        sys.meta_path.insert(0, _AfterImport("torch", lambda torch: _limit_torch(torch, fraction)))
        if mib:
            sys.meta_path.insert(
                0, _AfterImport("tensorflow", lambda tf: _limit_tensorflow(tf, mib))
            )


class _AfterImport:
    """A finder that leaves finding to the others and adds a step after one module's import."""

    def __init__(self, name: str, then: Callable[[ModuleType], None]) -> None:
        self._name = name
        self._then = then
        self._searching = False

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec that the other finders give, with `then` behind its loader."""
        # Stays in place: who only asks whether torch is there finds it without importing it.
        if name != self._name or self._searching:
            return None
        self._searching = True
        try:
            for finder in sys.meta_path:
                spec = finder.find_spec(name, path, target)
                if spec is not None:
                    _wrap(spec, self._then)
                    return spec
        finally:
            self._searching = False
        return None


def _wrap(spec: ModuleSpec, then: Callable[[ModuleType], None]) -> None:
    loader = spec.loader
    if loader is None:
        return
    load = loader.exec_module

    def exec_module(module: ModuleType) -> None:
        load(module)
        then(module)

    loader.exec_module = exec_module  # type: ignore[method-assign]


def _limit_tensorflow(tf: ModuleType, mib: Sequence[int]) -> None:
    """A logical device of the share's size on each device; what the job configures itself later
    takes its place.
    """
    try:
        devices = tf.config.list_physical_devices("GPU")
        for device, size in zip(devices, mib, strict=False):  # it may see fewer than it was given
            share = tf.config.LogicalDeviceConfiguration(memory_limit=size)
            tf.config.set_logical_device_configuration(device, [share])
    except Exception as e:  # noqa: BLE001 (another TensorFlow than we know must not end the job)
        print(f"cumulus: TensorFlow's memory share is not set: {e}", file=sys.stderr)


def _limit_torch(torch: ModuleType, fraction: float) -> None:
    def apply() -> None:
        for device in range(torch.cuda.device_count()):
            torch.cuda.set_per_process_memory_fraction(fraction, device)

    try:
        # Setting the limit starts CUDA, after which a process must not fork: where PyTorch lets
        # us, it is set at the moment the job starts CUDA itself.
        lazily = getattr(torch.cuda, "_lazy_call", None)
        if lazily is not None:
            lazily(apply)
        elif torch.cuda.is_available():
            apply()
    except Exception as e:  # noqa: BLE001 (another torch than we know must not end the job)
        print(f"cumulus: PyTorch's memory share is not set: {e}", file=sys.stderr)
