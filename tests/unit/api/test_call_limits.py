"""How long a call with one answer may take: a minute, but for uploads."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest
from cumulus.api import interceptor
from cumulus.api.gate import Gate
from cumulus.api.interceptor import Interceptor


class Caller:
    """The context of one call; what it is refused with is kept."""

    refused: grpc.StatusCode | None = None

    def peer(self) -> str:
        return "unix:"

    def set_trailing_metadata(self, _pairs: object) -> None:
        """Nobody reads it."""

    async def abort(self, code: grpc.StatusCode, *_: object) -> None:
        self.refused = code


@pytest.mark.parametrize("method", ["Cumulus/PutBlob", "Datasets/Put"])
async def test_uploads_take_as_long_as_they_do(
    monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    monkeypatch.setattr(interceptor, "UNARY_SECONDS", 0.01)
    arrived, late, uploading = asyncio.Event(), Caller(), Caller()

    async def wait(_request: Any, _context: Any) -> str:
        await arrived.wait()
        return "done"

    door = Interceptor(Gate(None))
    upload = door._unary(wait, f"/cumulus.v1.{method}", {})(object(), uploading)
    begun = asyncio.ensure_future(upload)
    other = door._unary(wait, "/cumulus.v1.Cumulus/Get", {})(object(), late)
    assert await other is None
    assert late.refused is grpc.StatusCode.UNAVAILABLE
    assert not begun.done()
    arrived.set()
    assert await begun == "done"
    assert uploading.refused is None
