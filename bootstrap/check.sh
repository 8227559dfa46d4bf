#!/usr/bin/env bash
# The checks that need no test to run: style, shell scripts, types, layers. Arguments: none.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need shellcheck shellcheck
find_python
make_venv
install_locked requirements-dev.lock

status=0
log "ruff"
in_venv ruff check --quiet . || status=1
in_venv ruff format --quiet --check . || status=1

# The parts of a script set what the others read (SC2034), and are found from the root (SC1091);
# some words are for another shell (SC2016).
log "shellcheck"
shellcheck --exclude=SC2034,SC1091,SC2016 --external-sources bootstrap/*.sh || status=1

# mypy takes the folder's name for the package's, and a checkout may be called anything: it looks
# at this folder through a link of the right name.
log "mypy"
view=$(mktemp -d)
trap 'rm -rf "$view"' EXIT
ln -s "$PWD" "$view/cumulus"
root=$PWD
(cd "$view" && "$root/$VENV/bin/mypy" --config-file "$root/pyproject.toml" \
  --cache-dir "$root/.mypy_cache" --no-error-summary --exclude '^cumulus/(tests|build)/') || status=1

log "import-linter"
in_venv lint-imports --no-cache >"$view/lint" 2>&1 || {
  cat "$view/lint" >&2
  status=1
}

[ "$status" -eq 0 ] || die "the checks found what is above"
log "style, types and layers are in order"
