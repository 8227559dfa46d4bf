#!/bin/bash
# Builds cumulus-job:torch: the job image that is there, with PyTorch below it. Quick when nothing has
# changed. Called by `build.sh --variant torch`, and for the workloads that compute with PyTorch.
#
#   image/build-torch.sh [--wheels FOLDER]
#
#   --wheels   a folder of wheels that pip prefers, such as PyTorch for the CPU alone: PyPI's has CUDA
#              and several GB (what pip itself is told by PIP_FIND_LINKS or its configuration, where
#              that is a folder)
set -euo pipefail
cd "$(dirname "$0")"

JOB=cumulus-job:latest TAG=cumulus-job:torch LABEL=dev.cumulus.source
say() { echo "build-torch: $*" >&2; }
die() { say "$*"; exit 1; }

WHEELS=${PIP_FIND_LINKS:-$(python3 -m pip config get global.find-links 2>/dev/null || true)}
if [ "${1:-}" = --wheels ]; then
    WHEELS=${2:?--wheels needs a folder}
    [ -d "$WHEELS" ] || die "--wheels: '$WHEELS' is no folder"
    shift 2
fi
[ $# -eq 0 ] || die "unknown argument '$1': expected --wheels FOLDER or nothing"
ID=$(docker image inspect "$JOB" --format '{{.Id}}' 2>/dev/null) || die "$JOB is not here: run build.sh"

CONTEXT=$(mktemp -d)
trap 'rm -rf "$CONTEXT"' EXIT
mkdir "$CONTEXT/wheels"
cp torch.Dockerfile "$CONTEXT/Dockerfile"
# Names and sizes tell wheels apart: a version is in its name.
FOUND=''
if [ -d "$WHEELS" ]; then
    FOUND=$(find "$WHEELS" -maxdepth 1 -name '*.whl' -printf '%f %s\n' | LC_ALL=C sort)
fi
SOURCE=$( (sha256sum <"$CONTEXT/Dockerfile"; echo "$ID $FOUND") | sha256sum | cut -c1-16)
if [ "$(docker image inspect "$TAG" --format "{{index .Config.Labels \"$LABEL\"}}" 2>/dev/null)" = "$SOURCE" ]; then
    say "$TAG is up to date"
    exit 0
fi
[ -z "$FOUND" ] || find "$WHEELS" -maxdepth 1 -name '*.whl' -exec cp -t "$CONTEXT/wheels" {} +
say "building $TAG on $JOB, a few minutes"
# The classic builder uses local images as they are, where BuildKit may ask a registry for them; it
# says each time that it is old, which nobody needs to read unless something fails.
SAID=$(DOCKER_BUILDKIT=0 docker build --quiet --tag "$TAG" --build-arg "JOB_IMAGE=$JOB" \
    --label "$LABEL=$SOURCE" "$CONTEXT" 2>&1) || die "docker build fails: $SAID"
say "$TAG is ready: $(docker image inspect "$TAG" --format '{{.Id}}')"
