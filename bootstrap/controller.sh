#!/usr/bin/env bash
# Makes this machine a Cumulus controller: Docker Engine, Swarm manager, the controller with its own
# authority and tokens, the job image. As root on Debian 12, Ubuntu 22.04, or newer ones.
#
#   controller.sh [--advertise HOST] [--image-archive FILE] [--with-agent] [--dry-run]
#   controller.sh --uninstall [--purge]
#
#   --advertise      name or address under which workers and clients reach this machine (default:
#                    the address of its way to the internet); its ports 50051 (clients), 50052
#                    (agents) and 2377 (Swarm) must be open to them
#   --image-archive  a `docker save` of cumulus-job:latest; without it the image is built, minutes
#   --with-agent     let jobs run on this machine too
#   --restart-engine restart a Docker Engine for its new settings though containers run on it
#   --dry-run        say what would be done, change nothing
#   --uninstall      undo what this script did, and nothing else; the data folder stays, unless --purge
#
# Run it again after anything: what is done is not done twice, and each run ends with a fresh command
# for a worker. The configuration, once written, is yours to edit.
# Exit codes: 0 done, 1 failed or refused (the last line says why), 2 bad arguments.
set -euo pipefail
CALLER=$PWD
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
WHAT=controller.sh DATA=/var/lib/cumulus CONFIG=/etc/cumulus/controller.yaml
STATE=/var/lib/cumulus-controller/installed
for part in steps services packages preflight chronos engine controller_steps; do
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
step base
step programs
step daemon
step packages
[ -z "$WITH_AGENT" ] || step chronos
step engine
step swarm
step image
step config
step controller
step client
report
