# Shared by the scripts beside it; source it. Leaves the shell in the repository's root, with stdin
# closed to questions, and defines:
#
#   log TEXT…, die TEXT…          a line on stderr with the time, and in LOG_FILE where one is set;
#                                 die also ends with status 1
#   quietly COMMAND…              run it; what it says is shown only when it fails, and then we end
#   need COMMAND PACKAGE          remember that PACKAGE is needed where COMMAND is missing
#   install_needed                apt-get install what `need` remembered, or say what to install
#   need_python                   remember what is missing of Python itself
#   find_python, make_venv        PYTHON=a python3 >= 3.11 that can make a venv; .venv
#   install_locked LOCK           install exactly what LOCK says, and this package, editable
#   source_hash                   of all that an installed package is made from
#   in_venv COMMAND…              run a command of the venv
# shellcheck shell=bash

cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit
exec </dev/null
export DEBIAN_FRONTEND=noninteractive PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1
# The venv and the lock decide what is imported, not what the caller has around.
unset PYTHONPATH PYTHONHOME

VENV=.venv
NEEDED=()

log() {
  printf '%s %s\n' "$(date +%H:%M:%S)" "$*" >&2
  [ -z "${LOG_FILE:-}" ] || printf '%s %s\n' "$(date -u +%FT%TZ)" "$*" >>"$LOG_FILE"
}

die() {
  DIED=yes # for steps.sh
  log "$@"
  exit 1
}

quietly() {
  local output
  output=$(mktemp)
  if ! "$@" >"$output" 2>&1 9>&-; then # 9: the lock of steps.sh, which a daemon would keep
    tail -n 30 "$output" | tee -a "${LOG_FILE:-/dev/null}" >&2
    rm -f "$output"
    die "this failed (the end of what it said is above): $*"
  fi
  rm -f "$output"
}

need() { command -v "$1" >/dev/null || NEEDED+=("$2"); }

install_needed() {
  [ "${#NEEDED[@]}" -gt 0 ] || return 0
  local packages=("${NEEDED[@]}")
  NEEDED=()
  command -v apt-get >/dev/null ||
    die "please install what Debian calls: ${packages[*]} (only apt-get is known here)"
  [ "$(id -u)" -eq 0 ] ||
    die "please run as root, then start this again: apt-get update && apt-get install -y ${packages[*]}"
  log "installing ${packages[*]}"
  quietly apt-get update -q
  quietly apt-get install -q -y --no-install-recommends "${packages[@]}"
}

need_python() {
  PYTHON=${PYTHON:-python3}
  need "$PYTHON" python3
  "$PYTHON" -c 'import ensurepip, venv' 2>/dev/null || NEEDED+=(python3-venv)
}

find_python() {
  need_python
  install_needed
  "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    die "$PYTHON is $("$PYTHON" --version 2>&1): Python 3.11 or newer is needed; set PYTHON to one"
}

make_venv() {
  # A copy or a moved checkout leaves a venv whose interpreter is gone.
  if ! "$VENV/bin/python" -c 'import pip' 2>/dev/null; then
    log "making $VENV"
    "$PYTHON" -m venv --clear "$VENV"
  fi
}

in_venv() {
  local command=$1
  shift
  "$VENV/bin/$command" "$@"
}

install_locked() {
  local lock=$1 stamp="$VENV/.installed-$1" wanted
  wanted=$(sha256sum "$lock" pyproject.toml; pwd)
  if [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]; then
    log "installing what $lock says into $VENV"
    quietly in_venv pip install --require-hashes -r "$lock"
    quietly in_venv pip install --no-deps --no-build-isolation --editable .
    printf '%s' "$wanted" >"$stamp"
  fi
}

source_hash() {
  find __init__.py pyproject.toml requirements.lock api chronos_bindings controller crd_like_specs \
    image sdk -type f ! -name '*.pyc' -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum |
    cut -c1-16
}
