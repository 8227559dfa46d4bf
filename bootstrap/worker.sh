#!/usr/bin/env bash
# Makes this machine a GPU worker of a Cumulus controller. As root on Debian 12, Ubuntu 22.04, or
# newer ones, from a checkout of the controller's version.
#
#   worker.sh --controller HOST:50051 --token TOKEN [--name N] [--label K=V …]
#             [--available-until TIME] [--dataset-cache SIZE]
#             [--image-archive FILE | --build-image] [--dry-run]
#   worker.sh --uninstall
#
#   --controller       what the controller's machine printed, or `cumulusctl token create`
#   --token            the join token; better: CUMULUS_JOIN_TOKEN, or --token-file FILE
#   --name             of the worker (default: the host's name)
#   --label            shown by `cumulusctl get workers`, for jobs' constraints; may be repeated
#   --available-until  end of the rental, as `date` reads it ("2026-12-01 08:00 UTC", "+3 hours"):
#                      no lease is placed past it
#   --dataset-cache    what unpacked datasets may take of its disk, such as 200Gi (default: half)
#   --image-archive    a `docker save` of the job image; --build-image: build it here. With neither
#                      the agent fetches it from the controller
#   --restart-engine   restart a Docker Engine for its new settings though containers run on it
#   --dry-run          say what would be done, change nothing
#   --uninstall        undo what this script did, and nothing else
#
# Run it again after anything: what is done is not done twice, and a second run changes nothing.
# Exit codes: 0 done, 1 failed or refused (the last line says why), 2 bad arguments.
set -euo pipefail
CALLER=$PWD
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
WHAT=worker.sh DATA=/var/lib/cumulus/worker
STATE=$DATA/installed
for part in steps services packages preflight chronos engine worker_args worker_steps worker_undo; do
  # shellcheck source=/dev/null
  . "bootstrap/$part.sh"
done

read_arguments "$@"
check_system
only_one
begin_log
if [ -n "$UNINSTALL" ]; then
  uninstall
  exit 0
fi

check_machine
[ -n "$DRY_RUN" ] || install -d -m 700 "$DATA"
step base
step programs
step identity
check_swarm
step daemon
step toolkit
step packages
step chronos
step engine
step swarm
step image
step agent
report
