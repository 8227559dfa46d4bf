#!/usr/bin/env bash
# Generates api/gen from api/proto (run by `just proto`). The generated imports are made
# relative, since `cumulus` is the name of our own root package.
set -euo pipefail
cd "$(dirname "$0")"
python="${PYTHON:-python3}"
"$python" -m grpc_tools.protoc -I proto --python_out=gen --pyi_out=gen --grpc_python_out=gen proto/cumulus/v1/*.proto
sed -i -E 's/^from cumulus\.v1 import/from . import/' gen/cumulus/v1/*_pb2*.py gen/cumulus/v1/*_pb2.pyi
# Strict type checkers want the parameters of generic types.
sed -i -E 's/_Mapping\]/_Mapping[str, object]]/g' gen/cumulus/v1/*_pb2.pyi
# The service stubs carry no types at all.
sed -i '1i # mypy: ignore-errors' gen/cumulus/v1/*_pb2_grpc.py
