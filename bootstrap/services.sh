# Shared by controller.sh and worker.sh: a program that is kept running, by systemd or, where there
# is none, by supervise.sh. Source after steps.sh.
# shellcheck shell=bash

SUPERVISE=/usr/local/sbin/cumulus-supervise
SERVICES=/etc/cumulus/services

has_systemd() { [ -d /run/systemd/system ]; }

wait_until() { # SECONDS COMMAND…
  local end=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$end" ] || return 1
    sleep 0.2
  done
}

# The unit from systemd/ with the command in it, or the command an argument a line.
service_text() { # NAME COMMAND…
  local name=$1
  shift
  if has_systemd; then
    sed "s|@COMMAND@|$(printf '"%s" ' "$@" | sed 's/[&|\\]/\\&/g; s/%/%%/g')|" "bootstrap/systemd/$name.service"
  else
    printf '%s\n' "$@"
  fi
}

service_file() {
  if has_systemd; then echo "/etc/systemd/system/$1.service"; else echo "$SERVICES/$1"; fi
}

service_running() {
  if has_systemd; then systemctl --quiet is-active "$1"; else "$SUPERVISE" status "$1" >/dev/null 2>&1; fi
}

service_is() { # NAME COMMAND…: installed with this command, and running
  [ "$(cat "$(service_file "$1")" 2>/dev/null)" = "$(service_text "$@")" ] && service_running "$1"
}

install_service() { # NAME COMMAND…; `did service NAME` is the caller's
  local file
  file=$(service_file "$1")
  if has_systemd; then
    service_text "$@" >"$file"
    systemctl daemon-reload
    quietly systemctl enable "$1"
    quietly systemctl restart "$1"
  else
    own_dir /etc/cumulus
    own_dir "$SERVICES"
    install_supervisor
    ! service_running "$1" || quietly "$SUPERVISE" stop "$1"
    service_text "$@" >"$file"
    quietly "$SUPERVISE" start "$1"
  fi
}

install_supervisor() {
  cmp -s bootstrap/supervise.sh "$SUPERVISE" && return
  [ -e "$SUPERVISE" ] || did link "$SUPERVISE"
  install -m 755 bootstrap/supervise.sh "$SUPERVISE.new"
  mv "$SUPERVISE.new" "$SUPERVISE"
}

remove_service() {
  if has_systemd; then
    systemctl --quiet disable --now "$1" 2>/dev/null || true
  elif [ -x "$SUPERVISE" ]; then
    quietly "$SUPERVISE" stop "$1"
  fi
  rm -f "$(service_file "$1")"
  if has_systemd; then systemctl daemon-reload; fi
}

service_log() { if has_systemd; then echo "journalctl -u $1"; else echo "/var/log/cumulus/$1.log"; fi; }

say_boot() {
  has_systemd ||
    log "there is no systemd: have this machine run \`$SUPERVISE boot\` at its start (crontab: @reboot $SUPERVISE boot)"
}
