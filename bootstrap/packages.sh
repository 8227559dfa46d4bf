# Shared by controller.sh and worker.sh: Debian's packages, on record; the programs in a venv.
# Source after steps.sh.
# shellcheck shell=bash

PREFIX=/opt/cumulus
VENV=$PREFIX/venv

# Nothing is asked, and each file is not waited for alone: `sync` waits for all of them once.
APT=(apt-get -q -y -o DPkg::Lock::Timeout=300 -o DPkg::Options::=--force-unsafe-io)
APT_LISTS_FRESH=

# What a kill in the middle of apt left is brought to an end first.
dpkg_is_whole() {
  [ -z "$(dpkg --audit 2>/dev/null)" ] && ! compgen -G '/var/lib/dpkg/updates/*' >/dev/null
}

repair_dpkg() {
  dpkg_is_whole && return
  log "finishing what was broken off while packages were installed"
  dpkg --configure -a --force-confdef --force-confold >/dev/null 2>&1 || true
  quietly "${APT[@]}" --fix-broken --no-install-recommends install
}

# Only what is new is ours: what was there, or is merely upgraded, stays when all else goes.
install_recorded() {
  local name
  repair_dpkg
  [ -n "$APT_LISTS_FRESH" ] || quietly apt-get -q update
  APT_LISTS_FRESH=yes
  while read -r name; do
    did package "$name"
  done < <(apt-get -s -q --no-install-recommends install "$@" | sed -n 's/^Inst \([^ ]*\) (.*/\1/p')
  quietly "${APT[@]}" --no-install-recommends install "$@"
  sync -f /usr
}

remove_recorded() {
  local names name others
  mapfile -t names < <(recorded package)
  [ "${#names[@]}" -gt 0 ] || return 0
  repair_dpkg
  others=$(apt-get -s purge "${names[@]}" | sed -n 's/^\(Remv\|Purg\) \([^ ]*\).*/\2/p' |
    grep -vxF -f <(printf '%s\n' "${names[@]}") | tr '\n' ' ' || true)
  if [ -n "$others" ]; then
    log "leaving the packages: others need them now ($others); see \`apt-get autoremove\`"
    quietly apt-mark auto "${names[@]}"
  else
    log "removing ${#names[@]} packages that were installed for this"
    quietly "${APT[@]}" purge "${names[@]}"
    sync -f /usr
  fi
  for name in "${names[@]}"; do forget package "$name"; done
  while read -r name; do
    ! getent group "$name" >/dev/null || quietly groupdel "$name"
    forget group "$name"
  done < <(recorded group)
}

# Ubuntu 22.04 has 3.10 by default and 3.11 beside it.
choose_python() {
  local name
  for name in ${PYTHON:-} python3 python3.13 python3.12 python3.11; do
    if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      PYTHON=$name
      return
    fi
  done
  PYTHON=python3
  command -v python3 >/dev/null || return 0
  PYTHON=python3.11
  apt-cache show python3.11 >/dev/null 2>&1 ||
    die "$(python3 --version) is too old and apt offers no 3.11: Debian 12, Ubuntu 22.04 or newer is needed"
}

base_needs() {
  NEEDED=()
  choose_python
  need "$PYTHON" "$PYTHON"
  "$PYTHON" -c 'import ensurepip, venv' 2>/dev/null || NEEDED+=("$PYTHON-venv")
  need iptables iptables
  need ip iproute2
  [ -e /etc/ssl/certs/ca-certificates.crt ] || NEEDED+=(ca-certificates)
}
base_what() { base_needs && echo "packages that the programs need: ${NEEDED[*]:-none missing}"; }
base_done() { base_needs && dpkg_is_whole && [ "${#NEEDED[@]}" -eq 0 ]; }
base_do() { install_recorded "${NEEDED[@]}"; }

programs_what() { echo "the programs of this checkout ($(source_hash)) in $VENV"; }
programs_done() {
  [ ! -e "$PREFIX/unfinished" ] && [ "$(cat "$VENV/.cumulus-source" 2>/dev/null)" = "$(source_hash)" ] &&
    "$VENV/bin/python" -c 'import cumulus' 2>/dev/null
}
programs_do() {
  local copy
  own_folder "$PREFIX"
  # What was broken off here may look whole to pip and not be: it is made anew.
  [ ! -e "$PREFIX/unfinished" ] || rm -rf "$VENV"
  touch "$PREFIX/unfinished"
  make_venv
  quietly in_venv pip install --no-cache-dir --require-hashes -r requirements.lock
  # pip builds where the source lies, and a checkout stays as it is.
  copy=$(mktemp -d)
  cp -r __init__.py pyproject.toml README.md LICENSE py.typed api chronos_bindings controller \
    crd_like_specs image sdk "$copy"
  quietly in_venv pip install --no-cache-dir --no-deps --no-build-isolation --force-reinstall "$copy"
  rm -rf "$copy"
  source_hash >"$VENV/.cumulus-source"
  rm "$PREFIX/unfinished"
}

# What someone else put there stays.
link_program() {
  local path=/usr/local/bin/$1
  if [ -e "$path" ] || [ -L "$path" ]; then return; fi
  did link "$path"
  ln -s "$VENV/bin/$1" "$path"
}

remove_links_and_folders() {
  local path
  while read -r path; do
    rm -f "$path"
    forget link "$path"
  done < <(recorded link)
  while read -r path; do
    log "removing $path"
    umount -q -R "$path" 2>/dev/null || true # the engine mounts its folder on itself
    rm -rf --one-file-system "$path"
    forget folder "$path"
  done < <(recorded folder)
  while read -r path; do
    rmdir --ignore-fail-on-non-empty "$path" 2>/dev/null || true
    forget dir "$path"
  done < <(recorded dir)
}
