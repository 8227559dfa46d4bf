# Part of worker.sh: its own steps; see steps.sh for what _what, _done and _do are.
# shellcheck shell=bash

IDENTITY=$DATA/identity

identity_field() {
  "$PYTHON" -c 'import json, sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' \
    "$IDENTITY/identity.json" "$1"
}

check_machine() {
  check_engine_can_run
  service_running cumulus-agent || check_disk
  check_clock
  check_nvidia
  check_controller
}

check_controller() {
  local known
  known=$(cat "$DATA/controller" 2>/dev/null || true)
  [ -z "$known" ] || [ "$known" = "$CONTROLLER" ] ||
    die "this machine is a worker of $known: worker.sh --uninstall first"
  case $(swarm_state) in
    *" true") refuse "it is a manager of a Swarm; workers are other machines, or the controller's own: controller.sh --with-agent" ;;
    "active "*) [ -n "$known" ] ||
      refuse "it is in another Swarm already; \`docker swarm leave\` takes it out of it" ;;
  esac
  check_reachable "$CONTROLLER" "the controller"
}

# What the controller named at joining must be reached as well, and before hours go by.
check_swarm() {
  [ -e "$IDENTITY/identity.json" ] || return 0
  check_reachable "$(identity_field agents)" "the controller, for agents"
  check_reachable "$(identity_field swarm_manager)" "the Swarm's manager"
}

identity_what() { echo "an identity for this machine from $CONTROLLER, for the join token"; }
identity_done() {
  [ "$(cat "$DATA/controller" 2>/dev/null)" = "$CONTROLLER" ] &&
    [ -s "$IDENTITY/identity.json" ] && [ -s "$IDENTITY/worker.crt" ] && [ -s "$IDENTITY/worker.key" ]
}
identity_do() {
  local options=() said
  [ -n "$TOKEN" ] || die "a join token is needed (CUMULUS_JOIN_TOKEN, --token-file or --token): \`cumulusctl token create\` on the controller prints one"
  [ -z "$NAME" ] || options+=(--name "$NAME")
  said=$(CUMULUS_JOIN_TOKEN=$TOKEN in_venv cumulus-agent join --controller "$CONTROLLER" \
    --data "$DATA" "${options[@]}" 2>&1) || die "$(tail -n 1 <<<"$said")"
  printf '%s\n' "$CONTROLLER" >"$DATA/controller"
}

toolkit_what() {
  if has_nvidia; then echo "the NVIDIA container toolkit"; else echo "NVIDIA's container toolkit (no NVIDIA GPU with a driver here: not needed)"; fi
}
toolkit_done() { ! has_nvidia || command -v nvidia-ctk >/dev/null; }
toolkit_do() {
  apt-cache show nvidia-container-toolkit >/dev/null 2>&1 || add_nvidia_repository
  install_recorded nvidia-container-toolkit
}

# As NVIDIA's installation guide has it; apt checks every package against the key.
add_nvidia_repository() {
  local base=https://nvidia.github.io/libnvidia-container name=nvidia-container-toolkit
  did link "/usr/share/keyrings/$name.asc"
  did link "/etc/apt/sources.list.d/$name.list"
  quietly "$PYTHON" -c 'import sys, urllib.request
open(sys.argv[2], "wb").write(urllib.request.urlopen(sys.argv[1], timeout=60).read())' \
    "$base/gpgkey" "/usr/share/keyrings/$name.asc"
  echo "deb [signed-by=/usr/share/keyrings/$name.asc] $base/stable/deb/$(dpkg --print-architecture) /" \
    >"/etc/apt/sources.list.d/$name.list"
  APT_LISTS_FRESH=
}

packages_needs() {
  engine_needs
  need_chronos
  [ -z "$BUILD" ] || need mmdebstrap mmdebstrap
}
packages_what() { packages_needs && echo "packages for Docker and Chronos: ${NEEDED[*]:-none missing}"; }
packages_done() { packages_needs && dpkg_is_whole && [ "${#NEEDED[@]}" -eq 0 ]; }
packages_do() { install_engine_packages; }

chronos_what() { echo "Chronos, built from its source, taking a share of a device"; }
chronos_done() { [ -x "$VENV/bin/python" ] && chronos_works 2>/dev/null; }
chronos_do() {
  [ -e /tmp/chronos_locks ] || did folder /tmp/chronos_locks
  install_chronos
}

swarm_what() { echo "this engine is in the controller's Swarm"; }
swarm_done() {
  local here
  here=$(docker info --format '{{.Swarm.LocalNodeState}} {{range .Swarm.RemoteManagers}}{{.Addr}} {{end}}' 2>/dev/null) &&
    [[ $here == "active "*"$(identity_field swarm_manager 2>/dev/null) "* ]]
}
# The Swarm's token lets any machine in, so that it is forgotten once it was used.
swarm_do() {
  local worker
  if [ -z "$(identity_field swarm_join_token)" ]; then
    worker=$(identity_field worker)
    rm "$IDENTITY/identity.json" # the key stays: the controller knows this machine by it
    die "this machine has left the Swarm and needs a new way in: run this again with a token of \`cumulusctl token create --worker $worker\`"
  fi
  did swarm "$(identity_field swarm_manager)"
  "$VENV/bin/python" bootstrap/swarm_join.py "$IDENTITY/identity.json" || die "this machine does not join the Swarm; what is above says why"
}

job_image() { docker image inspect "$(identity_field image)" >/dev/null 2>&1; }
image_what() {
  if [ -n "$ARCHIVE" ]; then echo "the job image, from $ARCHIVE"
  elif [ -n "$BUILD" ]; then echo "the job image, built here"
  else echo "the job image (the agent fetches it from the controller)"; fi
}
image_done() {
  [ -n "$ARCHIVE$BUILD" ] || return 0
  if [ -n "$ARCHIVE" ]; then job_image; else docker image inspect cumulus-job:latest >/dev/null 2>&1; fi
}
image_do() {
  if [ -n "$BUILD" ]; then
    PATH="$VENV/bin:$PATH" quietly ./image/build.sh
    return
  fi
  quietly docker load -i "$ARCHIVE"
  job_image || die "$ARCHIVE does not hold the controller's job image ($(identity_field image))"
}

# What was said in an earlier run holds until something else is said.
agent_labels() {
  local label
  # shellcheck disable=SC2153 # of worker_args.sh
  if [ "${#LABELS[@]}" -gt 0 ]; then
    for label in "${LABELS[@]}"; do printf -- '--label\n%s\n' "$label"; done
  else
    cat "$DATA/labels" 2>/dev/null || true
  fi
}
agent_cache() {
  # shellcheck disable=SC2153 # of worker_args.sh
  if [ -n "$CACHE" ]; then printf -- '--dataset-cache\n%s\n' "$CACHE"; else cat "$DATA/dataset-cache" 2>/dev/null || true; fi
}
agent_command() {
  local given
  mapfile -t given < <(agent_labels && agent_cache)
  COMMAND=("$VENV/bin/cumulus-agent" --identity "$IDENTITY" --data "$DATA" --platform docker "${given[@]}")
}
agent_what() {
  if has_systemd; then echo "the agent, as a unit of systemd"; else echo "the agent, kept running by $SUPERVISE"; fi
}
agent_done() {
  agent_command
  [ "$(cat "$DATA/agent-of" 2>/dev/null)" = "$(source_hash)" ] && service_is cumulus-agent "${COMMAND[@]}"
}
agent_do() {
  local labels cache
  link_program cumulus-agent
  did service cumulus-agent
  agent_command
  labels=$(agent_labels)
  [ -z "$labels" ] || printf '%s\n' "$labels" >"$DATA/labels"
  cache=$(agent_cache)
  [ -z "$cache" ] || printf '%s\n' "$cache" >"$DATA/dataset-cache"
  install_service cumulus-agent "${COMMAND[@]}"
  source_hash >"$DATA/agent-of" # a newer checkout restarts it
}

report() {
  STEP=ready
  if [ -n "$DRY_RUN" ]; then
    log "dry run: $CHANGED steps would be done; nothing was changed"
    STEP=
    return
  fi
  log "waiting until the controller sees this worker, and its job image is here"
  "$VENV/bin/cumulus-agent" status --data "$DATA" --wait 600 | while read -r line; do log "$line"; done ||
    die "the worker is set up, but not ready: the lines above and $(service_log cumulus-agent) say why"
  STEP=
  say_boot
  if [ "$CHANGED" -eq 0 ]; then log "nothing had to be changed"; fi
  log "this machine is a worker of $CONTROLLER: ready"
}
