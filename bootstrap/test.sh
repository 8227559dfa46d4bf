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

AGAIN=3 # tests that may fail beside others, if they pass alone

# Programs of the venv are found by tests that start them. First argument: a name, under which what
# failed is remembered.
tests() {
  PATH="$PWD/$VENV/bin:$PATH" in_venv python -m pytest -m "not soak" \
    -o "cache_dir=$work/$1.cache" "${@:2}" 2>&1
}

# In a view of its own of Chronos' files: what one lane takes of a device, no other one misses.
own_shares() (
  export -f tests in_venv
  export VENV work
  exec unshare --mount bash -euc 'mkdir -p /tmp/chronos_locks
    mount -t tmpfs -o mode=1777 tmpfs /tmp/chronos_locks
    tests "$@"' own_shares "$@"
)

worse() { echo $(($1 > $2 ? $1 : $2)); } # of two exit codes of pytest; 1: tests failed

# The tests that failed, a line each.
failed() {
  local cache
  for cache in "$work"/*.cache; do
    jq -r 'keys[]' "$cache/v/cache/lastfailed" 2>/dev/null || true
  done
}

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
    tests machines "${machines[@]}" >"$work/machines" || ended=$?
    own_shares engineless --cov --cov-report= --cov-report="json:$work/coverage.json" \
      "${engineless[@]}" >"$work/engineless" || ended=$(worse "$ended" $?)
    exit "$ended"
  } &
  lane=$!
  set +m
  elsewhere=("${machines[@]}" "${engineless[@]}")
  tests swarm "${elsewhere[@]/#/--ignore=}" | tee "$work/swarm" || status=$?
  wait "$lane" || status=$(worse "$status" $?)
  lane=''
  cat "$work/machines" "$work/engineless"
  # Two lanes on two processors can make one of thousands of tests miss a deadline. A few that failed
  # are run once more with nothing beside them: what fails then is broken, the rest is named below.
  mapfile -t again < <(failed)
  if [ "$status" -eq 1 ] && [ "${#again[@]}" -gt 0 ] && [ "${#again[@]}" -le "$AGAIN" ]; then
    status=0
    tests again "${again[@]}" | tee "$work/again" || status=$?
  else
    again=()
  fi
else
  tests chosen "$@" | tee "$work/chosen" || status=$?
  again=()
fi
closing=$(for file in "$work"/{chosen,swarm,machines,engineless,again}; do
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
[ "${#again[@]}" -eq 0 ] || printf 'failed beside others, run once more alone: %s\n' "${again[@]}"
printf '%s\n' "$closing"
exit "$status"
