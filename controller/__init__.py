"""Owns the truth: records in a store, a loop that makes them true, the services of the API."""

from __future__ import annotations

import os

# gRPC reads it when it is first imported. Its own line for every port scan, in a form of its own,
# would stand among ours; what fails is told by errors.
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
