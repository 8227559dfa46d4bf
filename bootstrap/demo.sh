#!/usr/bin/env bash
# One job on this machine, from nothing to its result: installs Cumulus into .venv, starts a
# controller of its own (platform `process`: no Docker, no isolation), applies the example job,
# prints its result, and leaves nothing running. Nothing outside this folder and a temporary one is
# touched, but for the package python3-venv where it is missing. Arguments: a job file to run
# instead of the example.
set -euo pipefail
caller=$PWD
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

job=${1:-crd_like_specs/examples/hello.yaml}
[ $# -eq 0 ] || [ "${1#/}" != "$1" ] || job=$caller/$1
[ -r "$job" ] || die "there is no job file $job"

controller=
interrupted=
data=$(mktemp -d "${TMPDIR:-/tmp}/cumulus-demo.XXXXXX")

# Everything the demo starts has the unique temporary folder in its arguments or environment: the
# controller, its agent, and the jobs, which run in sessions of their own.
stop_all() {
  "$PYTHON" - "$data" "$1" <<'PYTHON'
import os, pathlib, signal, sys, time

mark, patience = os.fsencode(sys.argv[1]), float(sys.argv[2])
me = {os.getpid(), os.getppid()}


def ours():
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) not in me:
            try:
                words = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
            except OSError:
                continue
            if mark in words:
                yield int(entry.name)


def tell(number):
    for pid in ours():
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass


end = time.monotonic() + patience
tell(signal.SIGTERM)
while list(ours()) and time.monotonic() < end:
    time.sleep(0.05)
while list(ours()):
    tell(signal.SIGKILL)
    time.sleep(0.05)
PYTHON
}

finish() {
  local status=$?
  trap '' INT TERM HUP
  trap - EXIT
  if [ -n "$controller" ]; then
    if [ "$status" -ne 0 ] && [ -z "$interrupted" ]; then
      log "it did not work (status $status); the ends of the controller's and its agent's log:"
      tail -n 60 "$data/controller.log" >&2 || true
      tail -n 20 "$data/data/agent/agent.log" >&2 || true
    fi
    log "stopping"
    kill "$controller" 2>/dev/null || true
    stop_all 10
    wait "$controller" 2>/dev/null || true
  fi
  rm -rf "$data"
  exit "$status"
}
trap finish EXIT
trap 'interrupted=yes; exit 130' INT
trap 'interrupted=yes; exit 143' TERM HUP

find_python
make_venv
install_locked requirements.lock

read -r grpc http < <("$PYTHON" -c '
import socket
taken = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
print(*(each.getsockname()[1] for each in taken))')
mkdir "$data/data"
cat >"$data/controller.yaml" <<YAML
platform: {type: process}
listen: {grpc: "127.0.0.1:$grpc", http: "127.0.0.1:$http"}
dataDir: "$data/data"
agent: {embedded: true}
YAML

# Loopback is never asked of a proxy; settings and contexts of the caller stay out of it.
export no_proxy="127.0.0.1,localhost${no_proxy:+,$no_proxy}" NO_PROXY="127.0.0.1,localhost"
export XDG_CONFIG_HOME="$data/config"
for name in $(compgen -e CUMULUS_); do unset "$name"; done

log "starting a controller (gRPC on 127.0.0.1:$grpc, HTTP on 127.0.0.1:$http)"
setsid "$VENV/bin/cumulus-controller" --config "$data/controller.yaml" \
  >"$data/controller.log" 2>&1 &
controller=$!

"$PYTHON" - "http://127.0.0.1:$http/readyz" "$controller" <<'PYTHON' || die "the controller does not become ready"
import os, sys, time, urllib.error, urllib.request

url, pid = sys.argv[1], int(sys.argv[2])
ask = urllib.request.build_opener(urllib.request.ProxyHandler({})).open
for _ in range(600):
    try:
        os.kill(pid, 0)
        ask(url, timeout=2).close()
        sys.exit(0)
    except ProcessLookupError:
        sys.exit("it has ended")
    except OSError:  # not yet: refused, or 503
        time.sleep(0.1)
sys.exit("not ready after a minute")
PYTHON

# A machine without an OpenCL driver has nothing to share; the rest is worth seeing all the same.
ctl=("$VENV/bin/cumulusctl" --server "127.0.0.1:$grpc")
if [ $# -eq 0 ] && ! "${ctl[@]}" get workers -o json | grep -q '"index"'; then
  log "OpenCL finds no device here: the example is run without its line gpu:"
  sed '/^  gpu:/d' "$job" >"$data/${job##*/}"
  job=$data/${job##*/}
fi

log "applying $job and waiting for its result"
# In the background, since bash would hold back Ctrl-C until a foreground command has ended.
"${ctl[@]}" apply "$job" --wait &
wait $!
log "done: that was a job's result"
