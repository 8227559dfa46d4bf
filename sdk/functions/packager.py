"""`CodePackager`: a function, its arguments and its requirements as one zip. Reads files.

What `CumulusClient.run` sends is packed by `code.py`, with arguments and requirements beside it in
the job's spec. This is for zips that are kept, looked at or sent by other means; such a zip can be
named by `spec.code.path` and needs no arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .needs import Requirements


class CodePackager:
    """Packs functions; files added to it go into every zip."""

    def __init__(self) -> None:
        self._files: dict[str, bytes] = {}

    def add_source_file(self, filename: str, content: str | bytes) -> None:
        """A further file. filename: relative, with forward slashes."""
        self._files[filename] = content.encode() if isinstance(content, str) else content

    def package_function(
        self,
        func: Callable[..., Any],
        requirements: Requirements = None,
        job_id: str = "",
        args: Sequence[Any] | None = None,
        **kwargs: Any,
    ) -> bytes:
        """The zip. job_id: of no use any more: equal code is to have equal bytes.

        ValidationError for what cannot be packed.
        """
        from ...crd_like_specs import packing  # noqa: PLC0415 (importing the SDK costs little)
        from .code import function_files  # noqa: PLC0415 (same)
        from .needs import read_requirements  # noqa: PLC0415 (same)

        del job_id
        files, _pickled = function_files(func, (tuple(args or ()), kwargs))
        lines = read_requirements(requirements)
        if lines:
            files["requirements.txt"] = "".join(f"{line}\n" for line in lines).encode()
        return packing.pack({**files, **self._files})
