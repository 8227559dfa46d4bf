# Shared: a Docker Engine in Swarm mode on this machine, for the tests; source after lib.sh. Call
# `need_docker` before install_needed and `start_docker` after it. `engine.sh` is for machines that
# stay.
# shellcheck shell=bash

need_docker() {
  if ! docker info >/dev/null 2>&1; then
    need dockerd docker.io
    need iptables iptables
  fi
  need docker docker.io
}

# An engine that answers is used as it is. Otherwise one is started, and left running.
start_docker() {
  if ! docker info >/dev/null 2>&1; then
    [ "$(id -u)" -eq 0 ] ||
      die "no Docker Engine answers; please start it as root (systemctl start docker) and be in its group: usermod -aG docker $(id -un)"
    if [ -d /run/systemd/system ]; then
      log "starting the Docker Engine by systemd"
      systemctl start docker
    elif [ "$(cat "/proc/$(cat /run/docker.pid 2>/dev/null || echo none)/comm" 2>/dev/null)" = dockerd ]; then
      log "waiting for the Docker Engine, which is starting"
    else
      local log_file=/var/log/dockerd.log
      log "starting dockerd by hand; its log is $log_file"
      rm -f /run/docker.pid # of one that is gone
      setsid nohup dockerd >>"$log_file" 2>&1 </dev/null &
      disown
    fi
    for _ in $(seq 120); do
      docker info >/dev/null 2>&1 && break
      sleep 0.5
    done
    docker info >/dev/null 2>&1 || {
      tail -n 20 /var/log/dockerd.log >&2 2>/dev/null || true
      die "the Docker Engine does not answer after a minute"
    }
  fi
  case $(docker info --format '{{.Swarm.LocalNodeState}} {{.Swarm.ControlAvailable}}') in
    "active true") ;;
    "active false") die "this machine is a worker of another Swarm: the tests need a manager" ;;
    *)
      log "making this machine a Swarm of its own"
      docker swarm init --advertise-addr 127.0.0.1 >/dev/null
      ;;
  esac
}
