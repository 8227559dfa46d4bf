"""Sizes and keepalive on both ends of every gRPC connection. Pure.

`server.py` uses SERVER_OPTIONS; the SDK and the agent open their channels with CHANNEL_OPTIONS.
"""

from __future__ import annotations

from typing import Final

Options = tuple[tuple[str, int], ...]

CHUNK_BYTES: Final = 1 << 20
"""Code, results and blobs travel in pieces of at most this."""

MAX_CODE_BYTES: Final = 512 << 20
"""Largest code zip, unless the controller is configured otherwise."""

MAX_REQUEST_BYTES: Final = 16 << 20
"""Largest single message a server takes; a larger one ends its call with RESOURCE_EXHAUSTED."""

MAX_RESPONSE_BYTES: Final = 64 << 20
"""Largest single message a client takes: pages of large jobs."""

# NAT gateways of rented machines forget silent connections after a minute or less.
_KEEPALIVE: Final[Options] = (
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
)

SERVER_OPTIONS: Final[Options] = (
    *_KEEPALIVE,
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ("grpc.max_receive_message_length", MAX_REQUEST_BYTES),
    ("grpc.max_send_message_length", MAX_RESPONSE_BYTES),
    ("grpc.so_reuseport", 0),  # else a second controller could listen on the same port unseen
)

CHANNEL_OPTIONS: Final[Options] = (
    *_KEEPALIVE,
    # By its name a pause, in fact how long one attempt to connect may take: over TLS a far or a busy
    # server takes a second, and what is refused is tried again at once all the same.
    ("grpc.min_reconnect_backoff_ms", 5_000),
    ("grpc.max_receive_message_length", MAX_RESPONSE_BYTES),
    ("grpc.max_send_message_length", MAX_REQUEST_BYTES),
)
