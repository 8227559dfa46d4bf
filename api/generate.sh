#!/usr/bin/env bash
# Generates api/gen from api/proto (run by `just proto`). The generated imports are made
# relative, since `cumulus` is the name of our own root package.
set -euo pipefail
cd "$(dirname "$0")"
python="${PYTHON:-python3}"
"$python" -m grpc_tools.protoc -I proto --python_out=gen --pyi_out=gen --grpc_python_out=gen proto/cumulus/v1/*.proto
sed -i -E 's/^from cumulus\.v1 import/from . import/' gen/cumulus/v1/*_pb2*.py gen/cumulus/v1/*_pb2.pyi
