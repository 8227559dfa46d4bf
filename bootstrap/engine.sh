# Shared by controller.sh and worker.sh: the Docker Engine of a machine that stays. Source after
# packages.sh and services.sh. Nothing here opens the engine's socket to the network.
# shellcheck shell=bash

DAEMON_JSON=/etc/docker/daemon.json
RESTART_ENGINE=${RESTART_ENGINE:-}
FORGET=/usr/local/sbin/cumulus-forget-networks
FORGET_UNIT=/etc/systemd/system/docker.service.d/cumulus.conf

daemon_json() { "$PYTHON" bootstrap/daemon_json.py "$@"; }

has_nvidia() { [ -e /dev/nvidiactl ] && command -v nvidia-smi >/dev/null; }

# A card that no driver answers for would be a worker without a GPU, which nobody wants to pay for.
check_nvidia() {
  local device
  has_nvidia && return
  for device in /sys/bus/pci/devices/*; do
    if [ "$(cat "$device/vendor" 2>/dev/null)" = 0x10de ] && [[ $(cat "$device/class") == 0x03* ]]; then
      log "note: there is an NVIDIA device, but no driver answers (nvidia-smi, /dev/nvidiactl): the worker will have no GPU until one is installed"
      return
    fi
  done
}

plan_daemon() {
  local options=()
  ! has_nvidia || options=(--nvidia)
  daemon_json plan "$DAEMON_JSON" "${options[@]}"
}

daemon_what() {
  command -v "$PYTHON" >/dev/null || { echo "$DAEMON_JSON: log limits, address pools, runtime"; return; }
  echo "$DAEMON_JSON: $(plan_daemon 2>&1 | cut -d' ' -f1 | tr '\n' ' ')(what it says already is kept)"
}
daemon_done() { local lines && lines=$(plan_daemon 2>/dev/null) && [ -z "$lines" ]; }
daemon_do() {
  local lines line
  lines=$(plan_daemon) || die "$DAEMON_JSON is not changed; what is above is in the way"
  own_dir "$(dirname "$DAEMON_JSON")"
  while read -r line; do did daemon-key "$line"; done <<<"$lines"
  daemon_json set "$DAEMON_JSON" <<<"$lines"
}

engine_needs() {
  NEEDED=()
  need dockerd docker.io
  if ! command -v docker >/dev/null && apt-cache show docker-cli >/dev/null 2>&1; then
    NEEDED+=(docker-cli) # apart from the engine since Debian 13
  fi
  need iptables iptables
}

# What Docker makes of its own accord, its packages leave behind.
install_engine_packages() {
  local folder
  for folder in /var/lib/docker /var/lib/containerd /opt/containerd /etc/cni; do
    [ -d "$folder" ] || did folder "$folder"
  done
  [ -e /etc/docker/key.json ] || did link /etc/docker/key.json
  getent group docker >/dev/null || did group docker
  install_recorded "${NEEDED[@]}"
  packages_needs # what apt offers is known for sure by now
  [ "${#NEEDED[@]}" -eq 0 ] || install_recorded "${NEEDED[@]}"
}

engine_follows() {
  docker info --format '{{json .}}' 2>/dev/null | daemon_json follows "$DAEMON_JSON" 2>/dev/null
}

engine_what() { echo "the Docker Engine runs with that $DAEMON_JSON"; }
engine_done() { engine_follows; }
engine_do() {
  local busy
  busy=$({ docker ps -q 2>/dev/null || true; } | wc -l)
  [ "$busy" -eq 0 ] || [ -n "$RESTART_ENGINE" ] ||
    die "the Docker Engine must be restarted for its new settings, which would stop the $busy containers that run: stop them, or add --restart-engine"
  install_forget
  if has_systemd; then
    systemctl --quiet enable docker
    quietly systemctl restart docker
  else
    stop_stray_engine
    did service cumulus-dockerd
    install_service cumulus-dockerd "$FORGET" dockerd
  fi
  wait_until 60 engine_follows || {
    tail -n 15 /var/log/cumulus/cumulus-dockerd.log >&2 2>/dev/null || true
    die "the Docker Engine does not answer within a minute, or not with what $DAEMON_JSON says"
  }
  was_done package docker.io || was_done kept-image || keep_images
}

# See forget_networks.sh: it runs before each start of the engine.
install_forget() {
  if ! cmp -s bootstrap/forget_networks.sh "$FORGET"; then
    [ -e "$FORGET" ] || did link "$FORGET"
    install -m 755 bootstrap/forget_networks.sh "$FORGET"
  fi
  if has_systemd && [ ! -e "$FORGET_UNIT" ]; then
    own_dir "$(dirname "$FORGET_UNIT")"
    did link "$FORGET_UNIT"
    printf '[Service]\nExecStartPre=-%s\n' "$FORGET" >"$FORGET_UNIT"
    systemctl daemon-reload
  fi
}

# One that was started by hand, or by a package's script, restarts no more once it dies.
stop_stray_engine() {
  local pid
  if service_running cumulus-dockerd; then
    remove_service cumulus-dockerd
    return
  fi
  pid=$(cat /run/docker.pid 2>/dev/null || cat /run/docker-ssd.pid 2>/dev/null || true)
  [ -n "$pid" ] && [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = dockerd ] || return 0
  kill "$pid"
  wait_until 30 test ! -e "/proc/$pid" || die "dockerd (pid $pid) does not stop"
}

swarm_state() { docker info --format '{{.Swarm.LocalNodeState}} {{.Swarm.ControlAvailable}}' 2>/dev/null; }

# What the agent made in the engine and the firewall, known by its labels and names.
remove_traces() {
  local label=dev.cumulus.owned=1 tool rule
  if docker info >/dev/null 2>&1; then
    docker ps -aq --filter "label=$label" | xargs -r docker rm -f >/dev/null
    docker network ls -q --filter "label=$label" | xargs -r docker network rm >/dev/null
    docker volume ls -q --filter "label=$label" | xargs -r docker volume rm >/dev/null
    docker image ls -q --no-trunc --filter "label=$label" | sort -u |
      grep -vxFf <(recorded kept-image) | xargs -r docker image rm -f >/dev/null || true
  fi
  for tool in iptables ip6tables; do
    command -v "$tool" >/dev/null || continue
    while read -r rule; do
      # shellcheck disable=SC2086 # the rule is words
      "$tool" -w ${rule/#-A/-D} 2>/dev/null || true
    done < <("$tool" -w -S 2>/dev/null | grep -E -- 'cml-(iso|egr|prp)0' || true)
  done
}

# Images of ours that were here before are not for us to remove; this comes before any is made.
keep_images() {
  local id
  for id in $(docker image ls -q --no-trunc --filter label=dev.cumulus.owned=1 | sort -u); do
    did kept-image "$id"
  done
}

# An engine that others have come to use stays, with its data. Called once our own things are gone.
keep_used_engine() {
  local containers volumes kind value
  docker info >/dev/null 2>&1 || return 0
  containers=$(docker ps -aq | wc -l) volumes=$(docker volume ls -q | wc -l)
  [ $((containers + volumes)) -gt 0 ] || return 0
  log "keeping the Docker Engine: $containers containers and $volumes volumes on it are not of Cumulus"
  while read -r kind value; do
    forget "$kind" "$value"
  done < <(grep -E '^((folder|link) /(var/lib/(docker|containerd)|opt/containerd|etc/(cni|docker)).*|(group|package) (docker|containerd|runc).*|service cumulus-dockerd)$' "$STATE")
}

undo_engine() {
  local lines
  lines=$(recorded daemon-key)
  if [ -n "$lines" ]; then
    log "taking back what was set in $DAEMON_JSON"
    daemon_json unset "$DAEMON_JSON" <<<"$lines"
  fi
  if was_done service cumulus-dockerd; then
    log "stopping the Docker Engine"
    remove_service cumulus-dockerd
    forget service cumulus-dockerd
  elif was_done package docker.io; then
    ! has_systemd || quietly systemctl stop docker.socket docker
  elif [ -n "$lines" ] && has_systemd; then
    quietly systemctl restart docker
  fi
  while read -r line; do forget daemon-key "$line"; done <<<"$lines"
}
