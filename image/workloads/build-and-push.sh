#!/bin/bash
# build-local.sh, then push-images.sh, both with these arguments.
set -euo pipefail
cd "$(dirname "$0")"
./build-local.sh "$@"
./push-images.sh "$@"
