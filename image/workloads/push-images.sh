#!/bin/bash
# Pushes what build-local.sh built, every tag of it. `docker login` comes before.
#
#   image/workloads/push-images.sh --prefix PREFIX [--tag TAG] [io] [cpu] [gpu]
set -euo pipefail
cd "$(dirname "$0")"
. ./images.sh
parse_arguments "$@"
[ -n "$PREFIX" ] || die "where to? give --prefix, or set DOCKER_USERNAME"

# First of all that nothing is missing: what is pushed by halves confuses whoever pulls it.
for kind in "${KINDS[@]}"; do
    for tag in $(tags "$kind"); do
        docker image inspect "$(repository "$kind"):$tag" >/dev/null 2>&1 ||
            die "$(repository "$kind"):$tag is not built: run build-local.sh with the same arguments"
    done
done
for kind in "${KINDS[@]}"; do
    for tag in $(tags "$kind"); do
        say "pushing $(repository "$kind"):$tag"
        docker push --quiet "$(repository "$kind"):$tag" >/dev/null
    done
done
