#!/usr/bin/env bash
# Every check and every test, from a bare Debian or Ubuntu: installs what is missing (Docker
# Engine, PoCL, Chromium, build tools), starts the engine where none answers, builds Chronos and the job
# image, then runs ruff, shellcheck, mypy, import-linter and pytest. Can be run again at any time;
# what is done is not done twice. Arguments go to pytest, e.g. `./bootstrap/test.sh tests/unit -k
# plan`; with any, static checks and coverage limits are left out. With CI=true a skipped test is a
# failure.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. bootstrap/docker.sh
. bootstrap/chronos.sh

need git git
need mmdebstrap mmdebstrap
need ip iproute2
need iptables iptables
need mkfs.ext4 e2fsprogs
need faketime faketime
need shellcheck shellcheck
need curl curl
need jq jq
need xz xz-utils
need docker-registry docker-registry
need chromium chromium
need chromedriver chromium-driver
[ -e /usr/share/keyrings/debian-archive-keyring.gpg ] || NEEDED+=(debian-archive-keyring)
[ "$(id -u)" -eq 0 ] || need newuidmap uidmap
need_python
need_docker
need_chronos
install_needed
find_python
make_venv
install_locked requirements-dev.lock
install_chronos
start_docker
log "building the job image"
PATH="$PWD/$VENV/bin:$PATH" ./image/build.sh >&2

[ $# -gt 0 ] || ./bootstrap/check.sh

# Programs of the venv are found by tests that start them.
tests() { PATH="$PWD/$VENV/bin:$PATH" in_venv python -m pytest -m "not soak" "$@" 2>&1; }

# In a view of its own of Chronos' files: what one lane takes of a device, no other one misses.
own_shares() (
  export -f tests in_venv
  export VENV
  exec unshare --mount bash -euc 'mkdir -p /tmp/chronos_locks
    mount -t tmpfs -o mode=1777 tmpfs /tmp/chronos_locks
    tests "$@"' own_shares "$@"
)

work=$(mktemp -d)
lane=''
trap '[ -z "$lane" ] || kill -INT -- "-$lane" 2>/dev/null || true; rm -rf "$work"' EXIT
status=0
log "pytest"
if [ $# -eq 0 ]; then
  # Two lanes side by side: a third one saved a sixth of the time on two processors, and cost tests
  # their deadlines.
  # One has machines with engines of their own, and then what needs no engine; the other the rest, on
  # this machine's Swarm, which has one controller at a time. Simulations are there, without
  # coverage, which makes them three times as slow.
  machines=(tests/e2e/fleet tests/e2e/test_bootstrap.py)
  engineless=(tests/unit tests/property)
  for name in dashboard{,_page,_tls} dataset_uploads http_uploads notebook openapi operating \
    sources stream_cuts tenancy wheel; do
    engineless+=("tests/e2e/test_$name.py")
  done
  set -m # a group of its own, so that nothing of it outlives this script
  {
    ended=0
    tests "${machines[@]}" >"$work/machines" || ended=$?
    own_shares --cov --cov-report= --cov-report="json:$work/coverage.json" \
      "${engineless[@]}" >"$work/engineless" || ended=$?
    exit "$ended"
  } &
  lane=$!
  set +m
  elsewhere=("${machines[@]}" "${engineless[@]}")
  tests "${elsewhere[@]/#/--ignore=}" | tee "$work/swarm" || status=$?
  wait "$lane" || status=$?
  lane=''
  cat "$work/machines" "$work/engineless"
else
  tests "$@" | tee "$work/chosen" || status=$?
fi
closing=$(for file in "$work"/{chosen,swarm,machines,engineless}; do
  [ ! -e "$file" ] || tail -n 1 "$file"
done)

if [ $# -eq 0 ] && [ "$status" -eq 0 ]; then
  in_venv python bootstrap/coverage_gate.py "$work/coverage.json" 95 \
    controller/reconcile controller/store || status=1
fi
if [ "${CI:-}" = true ] && grep -qE '[0-9]+ (skipped|xfailed)' <<<"$closing"; then
  log "CI=true: a skipped test is a failure"
  status=1
fi
printf '%s\n' "$closing"
exit "$status"
