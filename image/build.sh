#!/bin/bash
# Builds cumulus-job:latest, and the variants that are asked for. Quick when nothing has changed.
#
#   image/build.sh [--variant ml|torch]... [--wheels FOLDER] [--base IMAGE] [--python PROGRAM]
#
#   --variant  also cumulus-job:ml, with scipy, pandas, scikit-learn and others, or cumulus-job:torch,
#              with PyTorch (from PyPI); --ml is the same as --variant ml
#   --wheels   a folder of wheels that pip prefers, such as PyTorch for the CPU alone: PyPI's has CUDA
#              and several GB (PIP_FIND_LINKS where that is a folder)
#   --base     what to build on; without it Debian is bootstrapped by build-base.sh, so that no
#              image registry is needed
#   --python   the interpreter that runs jobs, as it is called in the base (python3)
set -euo pipefail
cd "$(dirname "$0")"

LABEL=dev.cumulus.source
say() { echo "build: $*" >&2; }
die() { say "$*"; exit 1; }

VARIANTS=() TORCH_ARGS=() BASE='' PYTHON=python3
while [ $# -gt 0 ]; do
    case $1 in
        --ml) VARIANTS+=(ml); shift ;;
        --variant)
            case ${2:-} in
                ml | torch) VARIANTS+=("$2") ;;
                *) die "--variant '${2:-}' is none: expected ml or torch" ;;
            esac
            shift 2 ;;
        --wheels) TORCH_ARGS=(--wheels "${2:?--wheels needs a folder}"); shift 2 ;;
        --base) BASE=${2:?--base needs an image}; shift 2 ;;
        --python) PYTHON=${2:?--python needs a program}; shift 2 ;;
        *) die "unknown argument '$1': expected --variant NAME, --wheels FOLDER, --base IMAGE or --python PROGRAM" ;;
    esac
done
command -v docker >/dev/null || die "docker is missing: apt-get install docker.io"
docker version >/dev/null 2>&1 || die "no Docker Engine answers: is dockerd running, and may you use it?"

if [ -z "$BASE" ]; then
    ./build-base.sh
    BASE=cumulus-base:bookworm
fi

# A context of its own: nothing else of the repository is sent, or can change the image.
CONTEXT=$(mktemp -d)
trap 'rm -rf "$CONTEXT"' EXIT
mkdir "$CONTEXT/cumulus_runner"
cp Dockerfile entrypoint.sh runner.py "$CONTEXT/"
cp cumulus_runner/*.py "$CONTEXT/cumulus_runner/"
CERTIFICATES=${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}
[ -r "$CERTIFICATES" ] || die "$CERTIFICATES is missing: apt-get install ca-certificates"
cp "$CERTIFICATES" "$CONTEXT/ca-certificates.crt"
# File times and the umask of a checkout are no part of the image.
find "$CONTEXT" -type f -exec touch -d @0 {} + -exec chmod 644 {} +
chmod 755 "$CONTEXT/entrypoint.sh"

BASE_ID=$(docker image inspect "$BASE" --format '{{.Id}}' 2>/dev/null || echo "$BASE")
SOURCE=$( (cd "$CONTEXT" && find . -type f | LC_ALL=C sort | xargs sha256sum
          echo "$BASE_ID $PYTHON") | sha256sum | cut -c1-16)

build() { # target, tag
    if [ "$(docker image inspect "$2" --format "{{index .Config.Labels \"$LABEL\"}}" 2>/dev/null)" = "$SOURCE" ]; then
        say "$2 is up to date"
        return
    fi
    say "building $2 on $BASE"
    # The classic builder uses local images as they are; BuildKit may ask a registry for them.
    DOCKER_BUILDKIT=0 docker build --quiet --target "$1" --tag "$2" \
        --build-arg "BASE_IMAGE=$BASE" --build-arg "PYTHON=$PYTHON" \
        --label "$LABEL=$SOURCE" --label dev.cumulus.owned=1 "$CONTEXT" >/dev/null
    # Functions that are sent as bytecode need the same Python: the controller tells clients.
    version=$(docker run --rm --network none --entrypoint "$PYTHON" "$2" \
        -c 'import sys; print(*sys.version_info[:2], sep=".")')
    echo "FROM $2" | DOCKER_BUILDKIT=0 docker build --quiet --tag "$2" \
        --label "dev.cumulus.python=$version" - >/dev/null
    say "$2 is ready: $(docker image inspect "$2" --format '{{.Id}}')"
}

build job cumulus-job:latest
for variant in ${VARIANTS[@]+"${VARIANTS[@]}"}; do
    case $variant in
        ml) build ml cumulus-job:ml ;;
        torch) ./build-torch.sh ${TORCH_ARGS[@]+"${TORCH_ARGS[@]}"} ;;
    esac
done
