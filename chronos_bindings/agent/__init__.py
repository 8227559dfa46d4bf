"""The agent of a worker: leases, deadlines, staging, logs; its machine and its controller."""

from __future__ import annotations

import os

# gRPC reads it when it is first imported. Its own line for every port scan, in a form of its own,
# would stand among ours; what fails is told by errors.
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
