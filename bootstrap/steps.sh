# Shared by the scripts that set a machine up: steps that test the state before they change it, and
# a record of what was done, so that the whole can be broken off anywhere, run again, and undone.
# Source after lib.sh; set WHAT (the script's name) and STATE (the record) first. Defines:
#
#   step NAME         runs the functions NAME_what (says what it is for), NAME_done (whether it is
#                     done; changes nothing) and, where it is not, NAME_do
#   did KIND VALUE    record what is about to be done: before it, or a kill in between loses it
#   was_done KIND [VALUE]    whether it is on record
#   recorded KIND     the values on record, the last first
#   forget KIND VALUE        after it was undone
# shellcheck shell=bash

DRY_RUN=${DRY_RUN:-}
CHANGED=0
STEP=
DIED=

begin_log() {
  [ -z "$DRY_RUN" ] || return 0
  install -d -m 755 /var/log/cumulus
  LOG_FILE=/var/log/cumulus/${WHAT%.sh}-setup.log
  [ "$(stat -c %s "$LOG_FILE" 2>/dev/null || echo 0)" -lt 1000000 ] || mv "$LOG_FILE" "$LOG_FILE.1"
  touch "$LOG_FILE"
  trap 'leave $?' EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
}

# What ended by `die` or a usage error has said why.
leave() {
  trap - EXIT
  [ "$1" -eq 0 ] || [ -n "$DIED" ] ||
    log "broken off${STEP:+ in step $STEP} (exit $1); what is done stays: run $WHAT again to go on"
  exit "$1"
}

# One at a time on a machine: two would undo each other's halves.
only_one() {
  [ -z "$DRY_RUN" ] || return 0
  mkdir -p /run/lock
  exec 9>"/run/lock/cumulus-setup.lock"
  flock -n 9 || die "another controller.sh or worker.sh is at work on this machine"
}

step() {
  local begun
  STEP=$1
  if "$1_done"; then
    log "step $1: $("$1_what"): already so"
  elif [ -n "$DRY_RUN" ]; then
    CHANGED=$((CHANGED + 1))
    log "step $1: would do: $("$1_what")"
  else
    CHANGED=$((CHANGED + 1))
    log "step $1: $("$1_what")"
    begun=$(date +%s%N)
    "$1_do"
    "$1_done" || die "step $1 was done without an error, and still is not so: $("$1_what")"
    log "step $1: done in $(awk -v n=$((($(date +%s%N) - begun) / 1000000)) 'BEGIN{printf "%.1f", n/1000}') s"
  fi
  STEP=
}

did() {
  was_done "$1" "$2" && return
  install -d -m 700 "$(dirname "$STATE")"
  printf '%s %s\n' "$1" "$2" >>"$STATE"
}

was_done() {
  [ -e "$STATE" ] || return 1
  if [ $# -eq 1 ]; then grep -q "^$1 " "$STATE"; else grep -qxF "$1 $2" "$STATE"; fi
}

recorded() { [ ! -e "$STATE" ] || sed -n "s|^$1 ||p" "$STATE" | tac; }

forget() {
  { grep -vxF "$1 $2" "$STATE" || true; } >"$STATE.new"
  mv "$STATE.new" "$STATE"
}

# A folder that was not there is ours: it goes with all that is in it (own_folder), or once it is
# empty, where others put things too (own_dir).
own_folder() {
  [ -d "$1" ] || did folder "$1"
  install -d -m "${2:-755}" "$1"
}
own_dir() {
  [ -d "$1" ] || did dir "$1"
  install -d -m "${2:-755}" "$1"
}
