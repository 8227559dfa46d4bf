#!/usr/bin/env bash
# Keeps programs running where there is no systemd: one instance of each, started again after a
# pause, with a pid file and a log that does not grow for ever.
#
#   cumulus-supervise start|stop|status NAME
#   cumulus-supervise boot               start every one; for whatever this machine runs at its start
#
# A program NAME is /etc/cumulus/services/NAME: its command, an argument a line.
set -euo pipefail

SERVICES=/etc/cumulus/services LOGS=/var/log/cumulus RUN=/run/cumulus
LARGEST=10000000 # bytes of a log before it becomes NAME.log.1, of which there is one
SHORTEST=1 LONGEST=30 GOOD=60 # seconds: pauses, and the life after which the pause starts anew

say() { echo "cumulus-supervise: $*" >&2; }
note() { echo "$(date -u +%FT%TZ) supervise: $*" >>"$LOGS/$name.log"; }

# Whoever holds the lock is the supervisor, whatever an old pid file says.
running() { ! flock -n -s "$RUN/$1.lock" true 2>/dev/null; }

rotate() {
  local log=$LOGS/$name.log
  if [ "$(stat -c %s "$log")" -gt "$LARGEST" ]; then
    cp "$log" "$log.1"
    : >"$log" # the program appends, so that it goes on at the start
  fi
}

# The pid of what a supervisor that was killed left running, where it is still that program.
orphan() {
  local child
  child=$(cat "$RUN/$name.child" 2>/dev/null) || return 1
  # The pid may be another program's by now.
  { tr '\0' '\n' <"/proc/$child/cmdline"; } 2>/dev/null |
    grep -Fxq -- "$(head -n 1 "$SERVICES/$name")" || return 1
  echo "$child"
}

supervise() {
  local begun pause=$SHORTEST code command child='' stopping=''
  exec 9>"$RUN/$name.lock"
  flock -w 2 9 || exit 0 # a look at the lock holds it too, for a moment
  echo "$BASHPID" >"$RUN/$name.pid"
  trap 'stopping=yes; [ -z "$child" ] || kill -TERM "$child" 2>/dev/null || true' TERM INT
  while [ -z "$stopping" ]; do
    mapfile -t command <"$SERVICES/$name"
    begun=$SECONDS
    # Were this shell killed, the program goes on: an agent's leases end on time. The next
    # supervisor takes it over.
    if child=$(orphan); then
      note "goes on with pid $child of a supervisor before this one"
      while kill -0 "$child" 2>/dev/null; do
        rotate
        sleep 1 9>&- &
        wait $! || true
      done
    else
      "${command[@]}" >>"$LOGS/$name.log" 2>&1 </dev/null 9>&- &
      child=$!
      echo "$child" >"$RUN/$name.child"
      while kill -0 "$child" 2>/dev/null; do
        rotate
        sleep 5 9>&- &
        wait -n "$child" $! || true # a signal ends it too
      done
    fi
    code=0
    wait "$child" 2>/dev/null || code=$?
    [ -n "$stopping" ] && break
    [ $((SECONDS - begun)) -lt "$GOOD" ] || pause=$SHORTEST
    note "${command[0]} ended with $code; again in $pause s"
    sleep "$pause" 9>&- &
    wait $! || true
    pause=$((pause * 2 < LONGEST ? pause * 2 : LONGEST))
  done
  rm -f "$RUN/$name.pid" "$RUN/$name.child"
}

start() {
  [ -r "$SERVICES/$name" ] || { say "there is no program $SERVICES/$name"; exit 4; }
  touch "$LOGS/$name.log"
  running "$name" && { say "$name runs already"; return; }
  setsid "$0" supervise "$name" >>"$LOGS/$name.log" 2>&1 </dev/null &
  for _ in $(seq 100); do
    running "$name" && return
    sleep 0.05
  done
  say "$name does not start: see $LOGS/$name.log"
  exit 1
}

# Ends what a supervisor that was killed left behind.
stop_orphan() {
  local child
  child=$(orphan) || return 0
  kill -TERM "$child" 2>/dev/null || return 0
  for _ in $(seq 600); do
    kill -0 "$child" 2>/dev/null || return 0
    sleep 0.1
  done
}

stop() {
  running "$name" || { stop_orphan; return 0; }
  kill -TERM "$(cat "$RUN/$name.pid")" 2>/dev/null || true
  for _ in $(seq 600); do
    running "$name" || return 0
    sleep 0.1
  done
  say "$name does not stop within a minute"
  exit 1
}

status() {
  running "$name" || { echo "$name is stopped"; exit 3; }
  echo "$name runs: pid $(cat "$RUN/$name.child")"
}

usage() { say "expected start|stop|status NAME, or boot"; exit 2; }
[ $# -ge 1 ] || usage
verb=$1 name=${2:-}
[ "$verb" = boot ] || [[ $name =~ ^[a-z0-9-]+$ ]] || usage
mkdir -p "$RUN" "$LOGS"
case $verb in
  start | stop | status) "$verb" ;;
  supervise) supervise ;;
  boot)
    for file in "$SERVICES"/*; do
      name=${file##*/}
      start
    done
    ;;
  *) usage ;;
esac
