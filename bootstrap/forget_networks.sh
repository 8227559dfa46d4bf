#!/usr/bin/env bash
# forget_networks.sh [COMMAND…]: run before the Docker Engine starts, or to start it with COMMAND.
#
# An engine that lost power while a task used one of Swarm's bridge networks keeps that network in
# its bridge driver's store, and only there: after it every task on that network is rejected with
# "network … exists", for good (github.com/moby/moby/issues/37087). No call of the engine removes
# it. So the store is removed, only where it has such an entry (Swarm's ids are no hexadecimal
# numbers, local ones are), before the engine reads it. The agent and Swarm make their networks
# anew; other local networks of this engine are lost with it.
set -euo pipefail
STORE=${CUMULUS_NETWORK_STORE:-/var/lib/docker/network/files/local-kv.db}

if [ -e "$STORE" ] && LC_ALL=C grep -aqE 'network/v1\.0/bridge/[0-9a-f]{0,24}[g-z]' "$STORE"; then
  echo "forget_networks: the engine was stopped while jobs ran; its store of networks is made anew" >&2
  rm -f -- "$STORE"
fi
[ $# -eq 0 ] || exec "$@"
