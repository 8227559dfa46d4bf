#!/usr/bin/env bash
# Write requirements.lock (what runs a controller or an agent) and requirements-dev.lock (all that
# is needed to work on Cumulus) anew, with hashes, for every supported Python. No index is named in
# them: pip takes the one it is configured with. Arguments go to `uv pip compile`, e.g. --upgrade.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

find_python
make_venv
in_venv python -c "import uv" 2>/dev/null || in_venv pip install --quiet uv

compile() {
  in_venv python -m uv pip compile pyproject.toml bootstrap/build.in --universal --quiet \
    --python-version 3.11 --generate-hashes --no-annotate --no-header "$@"
}

compile --extra controller --output-file requirements.lock "$@"
compile --all-extras --constraint requirements.lock --output-file requirements-dev.lock "$@"
if grep -nE '://|--(index|extra-index|find-links)' requirements.lock requirements-dev.lock; then
  die "the locks name a host: unset what pip is configured with and lock again"
fi
log "locked: requirements.lock, requirements-dev.lock"
