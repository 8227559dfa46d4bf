"""A TCP proxy on loopback that cuts every connection, in the middle of whatever it carries."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections import deque
from types import TracebackType
from typing import Self


class CuttingProxy:
    """A context manager; `address` leads to 127.0.0.1:target. It runs on a thread of its own.

    late: seconds until a connection leads anywhere, as to a server that is far or busy.
    """

    def __init__(self, target: int, *, late: float = 0.0) -> None:
        self._target = target
        self._late = late
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._open: set[asyncio.StreamWriter] = set()
        self._armed: deque[int] = deque()
        self.cuts = 0
        self.connections = 0
        self.port = 0

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def cut_after(self, count: int) -> None:
        """All connections end after `count` more bytes to the client; one armed before goes first."""
        self._armed.append(count)

    def cut_now(self) -> None:
        """All connections end."""
        self.cuts += 1
        self._loop.call_soon_threadsafe(self._cut)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        self._server.close()
        self._cut()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        await asyncio.sleep(self._late)
        try:
            upstream, to_server = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:  # it is being restarted
            writer.transport.abort()
            return
        ends = {writer, to_server}
        self._open |= ends
        try:
            await asyncio.gather(
                self._pump(reader, to_server), self._pump(upstream, writer, counted=True)
            )
        finally:
            self._open -= ends
            for end in ends:
                end.transport.abort()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, counted: bool = False
    ) -> None:
        try:
            while data := await reader.read(64 << 10):
                if counted and self._armed:
                    left = self._armed[0] - len(data)
                    if left < 0:
                        writer.write(data[: self._armed.popleft()])
                        await writer.drain()
                        self.cuts += 1
                        self._cut()
                        return
                    self._armed[0] = left
                writer.write(data)
                await writer.drain()
        except OSError:  # the other side went first
            return
        finally:
            writer.transport.abort()

    def _cut(self) -> None:
        for writer in self._open:
            found = writer.get_extra_info("socket")
            if found is not None and found.fileno() >= 0:  # no farewell: a reset, as of a lost path
                found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            writer.transport.abort()
