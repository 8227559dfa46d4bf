#!/bin/bash
# Builds cumulus-base:bookworm, the root of the job images, from Debian packages: no image
# registry is needed, only a Debian mirror.
#
#   image/build-base.sh            build, or do nothing when it is there already
#   image/build-base.sh --recipe   print the hash of the recipe and leave
#
# The image carries the hash of its recipe as a label, and the root file system is kept in
# ${CUMULUS_CACHE:-~/.cache/cumulus}: neither a second run nor a fresh clone builds again.
# CUMULUS_DEBIAN_MIRROR replaces http://deb.debian.org. Needs docker, mmdebstrap, flock; as root
# or as a user that mmdebstrap's unshare mode works for.
set -euo pipefail

IMAGE=cumulus-base:bookworm
LABEL=dev.cumulus.recipe
SUITE=bookworm
PACKAGES=(
    ca-certificates
    python3 python3-pip python3-venv
    python3-numpy python3-pyopencl
    ocl-icd-libopencl1 pocl-opencl-icd clinfo
)
# Left out of the image: nobody reads manuals there, and they are a tenth of its size.
EXCLUDED=('/usr/share/doc/*' '/usr/share/man/*' '/usr/share/info/*' '/usr/share/locale/*')

say() { echo "build-base: $*" >&2; }
die() { say "$*"; exit 1; }

ARCH=$(dpkg --print-architecture 2>/dev/null || uname -m)
RECIPE=$(printf '%s\n' "$SUITE" "$ARCH" "${PACKAGES[@]}" "${EXCLUDED[@]}" | sha256sum | cut -c1-16)
if [ "${1:-}" = --recipe ]; then
    echo "$RECIPE"
    exit 0
fi
[ $# -eq 0 ] || die "unknown argument '$1': expected --recipe or nothing"
command -v docker >/dev/null || die "docker is missing: apt-get install docker.io"

present() {
    [ "$(docker image inspect "$IMAGE" --format "{{index .Config.Labels \"$LABEL\"}}" 2>/dev/null)" = "$RECIPE" ]
}
if present; then
    say "$IMAGE is up to date"
    exit 0
fi

CACHE=${CUMULUS_CACHE:-${HOME:-/root}/.cache/cumulus}
mkdir -p "$CACHE"
# Two runs at once would build the same thing twice: the second waits and finds it done.
exec 9>"$CACHE/base.lock"
flock 9
if present; then
    say "$IMAGE is up to date"
    exit 0
fi

TARBALL=$CACHE/base-$SUITE-$ARCH-$RECIPE.tar.gz
if [ ! -s "$TARBALL" ]; then
    command -v mmdebstrap >/dev/null || die "mmdebstrap is missing: apt-get install mmdebstrap"
    MIRROR=${CUMULUS_DEBIAN_MIRROR:-http://deb.debian.org}
    PART=$TARBALL.part
    trap 'rm -f "$PART"' EXIT
    options=()
    for path in "${EXCLUDED[@]}"; do options+=(--dpkgopt="path-exclude=$path"); done
    say "bootstrapping Debian $SUITE ($ARCH) from $MIRROR, a few minutes the first time"
    mmdebstrap --quiet --variant=minbase --format=tar \
        --include="$(IFS=,; echo "${PACKAGES[*]}")" "${options[@]}" "$SUITE" - - <<SOURCES | gzip -1 >"$PART"
deb $MIRROR/debian $SUITE main
deb $MIRROR/debian $SUITE-updates main
deb $MIRROR/debian-security $SUITE-security main
SOURCES
    mv "$PART" "$TARBALL"
    # Older recipes' tarballs are of no more use; their images keep their layers anyway.
    find "$CACHE" -maxdepth 1 -name "base-$SUITE-$ARCH-*.tar.gz" ! -path "$TARBALL" -delete
fi

say "importing $IMAGE"
docker import --change "LABEL $LABEL=$RECIPE" --change "LABEL dev.cumulus.owned=1" \
    "$TARBALL" "$IMAGE" >/dev/null
say "$IMAGE is ready"
