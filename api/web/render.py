"""Views as HTML, by the templates beside this file. Pure after the templates are read.

Everything is escaped unless a template says otherwise, and none does. Pieces of a page are made
once per value: equal views look the same, whoever looks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, Final

from jinja2 import BytecodeCache, Environment, FileSystemLoader, StrictUndefined
from jinja2.bccache import Bucket

from ...crd_like_specs.instants import show_instant
from ..frames import ServerInfo
from .views.detail import JobDetail
from .views.fleet import Tiles, WorkerRow
from .views.lanes import Lane
from .views.rows import JobRow
from .views.sources import SourceRow

FOLDER: Final = Path(__file__).parent / "templates"
PIECES_KEPT: Final = 8_192

Piece = JobRow | Lane | WorkerRow


def mark(piece: Piece) -> str:
    """Tells whether two views of one thing look the same, within one life of the controller."""
    return f"{hash(piece) & 0xFFFFFFFFFFFF:x}"


@dataclass(frozen=True, slots=True)
class PageView:
    """All of the page. seen: tells whether anything changed since; refresh: see `live.py`."""

    now: float
    info: ServerInfo
    who: str
    tiles: Tiles
    jobs: Sequence[JobRow]
    more: int
    lanes: Sequence[Lane]
    workers: Sequence[WorkerRow]
    seen: str
    detail: JobDetail | None = None
    trouble: str = ""


class _Compiled(BytecodeCache):
    """Templates that this process compiled before: it takes longer than all else of the page."""

    _known: ClassVar[dict[str, bytes]] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        """Whether it is of the source as it is now, the bucket sees."""
        if bucket.key in self._known:
            bucket.bytecode_from_string(self._known[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep it."""
        self._known[bucket.key] = bucket.bytecode_to_string()


class Pages:
    """Every page and piece. assets: what paths of scripts and styles begin with; login: whether
    there is anything to log out of.
    """

    def __init__(self, assets: str, *, login: bool) -> None:
        self.assets = assets
        env = Environment(
            loader=FileSystemLoader(FOLDER),
            bytecode_cache=_Compiled(),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        env.filters["instant"] = show_instant
        env.filters["mark"] = mark
        env.globals.update(assets=assets, can_log_out=login)
        self._page = env.get_template("page.html")
        self._login = env.get_template("login.html")
        pieces: Any = env.get_template("pieces.html").module
        panel: Any = env.get_template("panel.html").module
        self._panel, self._trouble, self._detail = panel.panel, panel.trouble, panel.detail
        self._tiles, self._sources = pieces.tiles, pieces.sources
        self._macros = {JobRow: pieces.job_row, Lane: pieces.lane, WorkerRow: pieces.worker_row}
        self.piece = lru_cache(maxsize=PIECES_KEPT)(self._piece)
        """HTML of one row, lane or worker."""
        env.globals["piece"] = self.piece

    def page(self, view: PageView) -> str:
        """The whole page."""
        return self._page.render(page=view)

    def login(self, target: str, trouble: str = "") -> str:
        """The form; target: where it leads to."""
        return self._login.render(target=target, trouble=trouble)

    def panel(self, detail: JobDetail) -> str:
        """A job, with an empty log."""
        return str(self._panel(detail))

    def detail(self, detail: JobDetail) -> str:
        """A job without its log."""
        return str(self._detail(detail))

    def trouble(self, message: str) -> str:
        """What the panel says instead of a job."""
        return str(self._trouble(message))

    def tiles(self, tiles: Tiles) -> str:
        """The numbers at the top."""
        return str(self._tiles(tiles))

    def sources(self, rows: Sequence[SourceRow]) -> str:
        """The table of sources; nothing where there are none."""
        return str(self._sources(rows)).strip()

    def _piece(self, piece: Piece) -> Any:
        return self._macros[type(piece)](piece)
