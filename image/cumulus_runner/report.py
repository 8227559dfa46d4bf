"""What the child tells the parent, and the envelope that the parent prints. Pure.

The frame on the private pipe: 1 byte `S` or `E`, 1 byte exit code, 8 bytes length (big-endian),
then the middle of the envelope: `"result": …` or `"error": …`, with `"execution_time"`. The
result is encoded once, in the child, and never parsed again: it may be large.
"""

from __future__ import annotations

from _json import encode_basestring_ascii as quote  # what json uses, without importing the rest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .settings import Settings

HEADER = 10
MESSAGE_LIMIT = 8 << 10
"""Characters of an error's message that are kept."""

TRACEBACK_LIMIT = 64 << 10
"""Characters of a traceback that are kept, a quarter of them from its start."""


class JobError(Exception):
    """A job that cannot be run, or whose result cannot be given. kind: `error_type` of the
    envelope (BadCode, NoMain, BadArguments, RequirementsFailed, NotSerializable, ResultTooLarge).
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message


def success(result: str, seconds: float) -> bytes:
    """Frame of a result, given as JSON text; seconds: how long main() ran."""
    return _frame(b"S", 0, f'"result": {result}, "execution_time": {seconds:.6f}')


def failure(
    kind: str,
    message: str,
    traceback: str,
    seconds: float,
    code: int,
    place: str = "",
    fields: str = "",
) -> bytes:
    """Frame of an error; code: exit code of the container, 1 to 255 (0 for `sys.exit(0)`); place:
    `module:name` of the exception's class, "" where it is none; fields: JSON text of what it holds.
    """
    return _frame(b"E", code, failure_middle(kind, message, traceback, seconds, place, fields))


def failure_middle(
    kind: str, message: str, traceback: str, seconds: float, place: str = "", fields: str = ""
) -> str:
    """The envelope's middle for an error."""
    named = f'"error_class": {_quoted(place, MESSAGE_LIMIT)}, ' if place else ""
    if fields:
        named += f'"error_fields": {fields}, '
    return (
        f'"error": {_quoted(message, MESSAGE_LIMIT)}, '
        f'"error_type": {_quoted(kind, MESSAGE_LIMIT)}, {named}'
        f'"traceback": {_quoted(traceback, TRACEBACK_LIMIT)}, "execution_time": {seconds:.6f}'
    )


def complete(frame: bytes | bytearray) -> bool:
    """Whether a whole frame has arrived."""
    return len(frame) >= HEADER and len(frame) - HEADER >= int.from_bytes(frame[2:HEADER], "big")


def opened(frame: bytes | bytearray) -> tuple[bool, int, bytes]:
    """(succeeded, exit code, middle of the envelope) of a complete frame."""
    size = int.from_bytes(frame[2:HEADER], "big")
    return frame[:1] == b"S", frame[1], bytes(frame[HEADER : HEADER + size])


def envelope(
    succeeded: bool, middle: bytes, settings: Settings, timestamp: int, python: str
) -> bytes:
    """The line that ends the stream: one line of ASCII. timestamp: POSIX seconds."""
    tail = (
        f', "timestamp": {timestamp}, "system_info": {{"python_version": {quote(python)}, '
        f'"job_id": {quote(settings.job_id)}, '
        f'"chronos_partition": {quote(settings.chronos_partition)}, '
        f'"gpu_device": {quote(settings.gpu_device)}}}}}\n'
    )
    head = b'{"status": "success", ' if succeeded else b'{"status": "error", '
    return head + middle + tail.encode("ascii")


def clip(text: str, limit: int) -> str:
    """The text, without its middle where it is longer than `limit` characters."""
    if len(text) <= limit:
        return text
    head = limit // 4
    return f"{text[:head]}\n… {len(text) - limit} characters left out …\n{text[head - limit :]}"


def whole(text: str) -> str:
    """With U+FFFD in place of lone surrogates, as a file name that is no UTF-8 brings them: many
    JSON readers refuse those.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def _quoted(text: str, limit: int) -> str:
    return quote(whole(clip(text, limit)))


def _frame(mark: bytes, code: int, middle: str) -> bytes:
    body = middle.encode("ascii")
    return mark + bytes((code & 0xFF,)) + len(body).to_bytes(8, "big") + body
