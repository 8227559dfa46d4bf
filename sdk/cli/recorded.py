"""Records in their order, once or as they come: what `events` and `audit` have in common. I/O."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import typer

from ..client import AsyncCumulusClient
from . import session, talk
from .formats import Form, for_people
from .output import Format

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Records(Generic[T]):
    """How records are written. what: they are called; as_dict: one as JSON has it; table: all of
    them for people; row: the next one of an endless table, which makes its own header.
    """

    what: str
    as_dict: Callable[[T], dict[str, Any]]
    table: Callable[[list[T]], str]
    row: Callable[[T], str]

    def show(
        self,
        ctx: typer.Context,
        asked: Callable[[AsyncCumulusClient], AsyncIterator[T]],
        form: Form | None,
        *,
        watch: bool,
    ) -> None:
        """What the client is asked for; with `watch` a line for each until it ends, or Ctrl-C."""
        if form is not None:
            form.only(Format.WIDE, Format.JSON, Format.JSONPATH, what=self.what)
        if watch:
            session.run(ctx, lambda client: self._watch(asked(client), form))
            return

        async def look(client: AsyncCumulusClient) -> list[T]:
            return [one async for one in asked(client)]

        found = session.run(ctx, look)
        if not for_people(form):
            assert form is not None
            sys.stdout.write(form.data({"items": [self.as_dict(one) for one in found]}))
        elif found:
            sys.stdout.write(self.table(found))
        else:
            talk.say(f"no {self.what} found")

    async def _watch(self, records: AsyncIterator[T], form: Form | None) -> None:
        async for one in records:
            if form is None or form.table:
                sys.stdout.write(self.row(one))
            elif form.format is Format.JSON:
                sys.stdout.write(json.dumps(self.as_dict(one), ensure_ascii=False) + "\n")
            else:
                sys.stdout.write(form.data(self.as_dict(one)) + "\n")
            sys.stdout.flush()
