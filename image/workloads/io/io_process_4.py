"""Sends numbered frames over a loopback connection, with buffers of changing size.

The receiver checks each frame's number and CRC, and in the end the digest of everything.
"""

from __future__ import annotations

import hashlib
import socket
import struct
import sys
import threading
import zlib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..harness import Run, main
else:
    from harness import Run, main

HEADER = struct.Struct("!IIQ")  # length, CRC 32, number


def work(run: Run) -> None:
    """A round: one connection, over which a thread sends and this one receives."""
    for _ in run.rounds():
        frames = [
            run.rng.randbytes(run.rng.choice((16, 1 << 10, 16 << 10, 256 << 10)))
            for _ in range(run.size("frames", 150, 450))
        ]
        buffer = run.choice("buffer_bytes", (4 << 10, 64 << 10, 1 << 20))
        with (
            socket.create_server(("127.0.0.1", 0)) as server,
            socket.create_connection(server.getsockname()) as sender,
            server.accept()[0] as receiver,
        ):
            thread = threading.Thread(target=_send, args=(sender, frames), daemon=True)
            thread.start()
            found = _receive(run, receiver, buffer)
            thread.join()
        sent = hashlib.sha256(b"".join(frames)).digest()
        run.check(found == sent, "what arrived differs from what was sent")
        run.result(found)


def _send(sender: socket.socket, frames: list[bytes]) -> None:
    try:
        for number, frame in enumerate(frames):
            sender.sendall(HEADER.pack(len(frame), zlib.crc32(frame), number) + frame)
        sender.shutdown(socket.SHUT_WR)
    except OSError:
        return  # the receiver is gone: the run ends, or tells itself that something is missing


def _receive(run: Run, receiver: socket.socket, buffer: int) -> bytes:
    """SHA-256 of all frames, each checked as it arrives."""
    digest = hashlib.sha256()
    held = bytearray()
    number = 0
    while piece := receiver.recv(buffer):
        held += piece
        run.count("reads")
        start = 0
        while len(held) - start >= HEADER.size:
            length, crc, sent = HEADER.unpack_from(held, start)
            end = start + HEADER.size + length
            if len(held) < end:
                break
            frame = bytes(held[start + HEADER.size : end])
            run.check(sent == number, f"frame {sent} came where {number} was due")
            run.check(zlib.crc32(frame) == crc, f"frame {number} is damaged")
            digest.update(frame)
            number += 1
            start = end
        del held[:start]
        run.count("bytes_received", len(piece))
    run.check(not held, f"{len(held)} bytes of a frame are missing")
    run.count("frames", number)
    return digest.digest()


if __name__ == "__main__":
    sys.exit(main(work, __file__, __doc__))
