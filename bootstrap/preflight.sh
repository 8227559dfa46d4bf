# Shared by controller.sh and worker.sh: whether this machine will do, found by trying what will be
# needed. Changes nothing. Each refusal says what was found and what works instead. Source after
# steps.sh.
# shellcheck shell=bash

NEED_FREE_GIB=${NEED_FREE_GIB:-8}

refuse() { die "this machine cannot be used: $*"; }

check_system() {
  local family pretty
  # shellcheck source=/dev/null
  family=$(. /etc/os-release 2>/dev/null && echo " ${ID:-} ${ID_LIKE:-} ")
  # shellcheck source=/dev/null
  pretty=$(. /etc/os-release 2>/dev/null && echo "${PRETTY_NAME:-}")
  case $family in
    *" debian "* | *" ubuntu "*) ;;
    *) refuse "it is ${pretty:-no known system}: Debian 12 or Ubuntu 22.04, or newer ones, work" ;;
  esac
  command -v apt-get >/dev/null || refuse "$pretty has no apt-get here"
  [ "$(id -u)" -eq 0 ] || refuse "you are $(id -un): please run this as root, such as with sudo -E"
}

# A plain container lacks the first or the second; an engine that answers proves both.
check_engine_can_run() {
  local works="a virtual machine (on Vast.ai: a VM instance, not a container) or bare metal works"
  if docker info >/dev/null 2>&1; then return; fi
  unshare --mount --net --ipc --uts mount -t tmpfs none /proc 2>/dev/null ||
    refuse "mounts and namespaces are not allowed (no CAP_SYS_ADMIN: a plain container?), so that no Docker Engine can run in it; $works"
  cgroups_work ||
    refuse "its control groups are missing or read-only, so that no Docker Engine can run in it; $works"
}

cgroups_work() {
  local folder
  for folder in /sys/fs/cgroup/memory /sys/fs/cgroup; do
    [ -e "$folder/cgroup.procs" ] || continue
    mkdir "$folder/cumulus-check.$$" 2>/dev/null || return 1
    rmdir "$folder/cumulus-check.$$"
    return 0
  done
  return 1
}

check_disk() {
  local free folder=/var/lib
  free=$(df --output=avail -k "$folder" | tail -n 1)
  [ "$((free / 1048576))" -ge "$NEED_FREE_GIB" ] ||
    refuse "$((free / 1048576)) GiB are free at $folder: $NEED_FREE_GIB GiB are needed for packages, images and jobs"
}

# The seconds by which this clock is ahead of a server's Date; nothing where it can't be known.
clock_ahead() {
  local host=$1 port=$2 date
  date=$(timeout 5 bash -c 'exec 3<>"/dev/tcp/$0/$1"
    printf "HEAD / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n" "$0" >&3
    tr -d "\r" <&3 | sed -n "s/^[Dd]ate: //p;/^$/q"' "$host" "$port" 2>/dev/null) || true
  date=$(date -d "${date:-none}" +%s 2>/dev/null) || return 0
  echo $(($(date +%s) - date))
}

# Certificates and tokens are for a time. Debian's mirror tells it without any secret being at risk.
check_clock() {
  local mirror ahead
  mirror=$(grep -rhoE '^[^#]*http://[A-Za-z0-9.-]+/' /etc/apt/sources.list /etc/apt/sources.list.d 2>/dev/null |
    sed -n '1s|.*http://\([^/]*\)/|\1|p')
  [ -n "$mirror" ] || return 0
  ahead=$(clock_ahead "$mirror" 80)
  [ "${ahead#-}" = "" ] || [ "${ahead#-}" -lt 300 ] ||
    refuse "its clock is ${ahead#-} s $([ "$ahead" -gt 0 ] && echo ahead || echo behind): set it (timedatectl set-ntp true, or date -s) and run this again"
}

answers() { timeout 5 bash -c 'exec 3<>"/dev/tcp/$0/$1"' "$1" "$2" 2>/dev/null; }

# $1: HOST:PORT, $2: what listens there
check_reachable() {
  local host=${1%:*} port=${1##*:}
  host=${host#[} host=${host%]}
  answers "$host" "$port" ||
    die "port $port of $host ($2) does not answer within 5 s: is that the controller's address, and does its firewall let port $port in?"
}
