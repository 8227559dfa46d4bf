#!/bin/bash
# Builds the images of the workloads, one for each, on the job image. Quick when nothing has changed.
#
#   image/workloads/build-local.sh [--prefix PREFIX] [--tag TAG] [--wheels FOLDER] [io] [cpu] [gpu]
set -euo pipefail
cd "$(dirname "$0")"
. ./images.sh
parse_arguments "$@"

LABEL=dev.cumulus.workloads
docker image inspect cumulus-job:latest >/dev/null 2>&1 || ../build.sh

CONTEXT=$(mktemp -d)
trap 'rm -rf "$CONTEXT"' EXIT
cp Dockerfile "$CONTEXT/"
for kind in "${KINDS[@]}"; do
    mkdir -p "$CONTEXT/$kind/harness"
    cp "$kind"/*.py "$CONTEXT/$kind/"
    cp harness/*.py "$CONTEXT/$kind/harness/"
done
# File times and the umask of a checkout are no part of the images.
find "$CONTEXT" -type f -exec touch -d @0 {} + -exec chmod 644 {} +
# build KIND: its first image, with all of its workloads in it, and one for each of the others.
build() {
    local kind=$1 name source number on=cumulus-job:latest
    name=$(repository "$kind")
    [ "$kind" != gpu ] || on=cumulus-job:torch
    source=$( (cd "$CONTEXT" && find Dockerfile "$kind" -type f | LC_ALL=C sort | xargs sha256sum
               docker image inspect "$on" --format '{{.Id}}') | sha256sum | cut -c1-16)
    if up_to_date "$name" "$kind" "$source"; then
        say "$name is up to date"
    else
        say "building $name"
        docker_build --tag "$name:latest" --build-arg "KIND=$kind" \
            --build-arg "JOB_IMAGE=$on" --label "$LABEL=$source" "$CONTEXT"
        for number in $(numbers "$kind"); do
            printf 'FROM %s\nCMD ["python", "%s"]\n' "$name:latest" "${kind}_process_$number.py" |
                docker_build --tag "$name:$number" -
        done
        docker tag "$name:1" "$name:latest"
        say "$name is ready: tags $(tags "$kind" | xargs)"
    fi
    [ -z "$EXTRA_TAG" ] || docker tag "$name:latest" "$name:$EXTRA_TAG"
}

# The classic builder uses local images as they are, where BuildKit may ask a registry for them; it
# says each time that it is old, which nobody needs to read unless something fails.
docker_build() {
    local said
    said=$(DOCKER_BUILDKIT=0 docker build --quiet "$@" 2>&1) || die "docker build fails: $said"
}

up_to_date() { # name, kind, source
    local tag
    for tag in $(numbers "$2") latest; do
        [ "$(docker image inspect "$1:$tag" --format "{{index .Config.Labels \"$LABEL\"}}" \
            2>/dev/null)" = "$3" ] || return 1
    done
}

for kind in "${KINDS[@]}"; do
    if [ "$kind" = gpu ]; then  # one layer of PyTorch for these and for jobs with runtime: torch
        if [ -d "$WHEELS" ]; then
            ../build-torch.sh --wheels "$WHEELS"
        else
            ../build-torch.sh
        fi
    fi
    build "$kind"
done
